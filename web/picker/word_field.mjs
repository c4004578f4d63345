/** The field for words where objects are chosen: what is typed becomes a prompt, and a run makes a click of it. */

import { plainText } from './prompting/plain_text.mjs'
import { formatPrompts, isWords, objectOf } from './prompting/prompts.mjs'

/** @typedef {import('./object_mode.mjs').ObjectMode} ObjectMode */
/** @typedef {import('./host.mjs').Host} Host */
/** @typedef {import('./host.mjs').Shown} Shown */
/** @typedef {import('./texts.mjs').Texts} Texts */

/**
 * What the node found of words: see ../PROTOCOL.md.
 * @typedef {{text: string, found: boolean, score: number, x?: number, y?: number}} FoundWord
 */

/**
 * @typedef {object} FieldOwner
 * @property {(points: string) => void} write other prompts, as a change of its own
 * @property {(points: string) => void} settle the same, as part of the change before
 * @property {() => void} repaint
 * @property {() => void} leave the keyboard goes back to the image
 */

export class WordField {
  /**
   * @param {Host} host
   * @param {Texts} texts
   * @param {ObjectMode} objects
   * @param {FieldOwner} owner
   */
  constructor(host, texts, objects, owner) {
    this.host = host
    this.texts = texts
    this.objects = objects
    this.owner = owner
    this.isRunning = false // what is looked for
    this.note = '' // what was not found, or why words were refused
    /** @type {Map<string, FoundWord>} */
    this.known = new Map() // from the last run, by the image's file and the text
    this.image = '' // the file of the image that is shown
    this.element = document.createElement('div')
    this.element.className = 'diffseg-picker-words'
    this.input = document.createElement('input')
    this.input.type = 'text'
    this.input.spellcheck = false
    this.input.setAttribute('aria-label', texts.words.name)
    this.element.append(this.input)
    for (const type of ['keydown', 'keyup', 'keypress']) {
      this.input.addEventListener(type, (event) => event.stopPropagation()) // ComfyUI has meanings for most keys
    }
    this.input.addEventListener('keydown', (event) => {
      if (event.isComposing) return // such an Enter ends a word of an input method
      if (event.key === 'Enter') this.#enter()
      else if (event.key === 'Escape') this.#escape()
    })
  }

  /**
   * @param {boolean} isFixed whether nothing can be changed here
   * @param {Shown | undefined} files of the image that is shown
   */
  show(isFixed, files) {
    this.image = files?.segments?.filename ?? ''
    const { words } = this.texts
    const isConnected = this.host.canFindWords()
    this.element.hidden = !isConnected
    this.input.disabled = isFixed || !isConnected
    this.input.placeholder = words.example
    this.input.title = words.tip
  }

  /** What there is to say of words, as part of the status. */
  get said() {
    const waiting = this.objects.own.filter(isWords).map(({ words }) => `${words}`)
    if (!waiting.length) return []
    return [this.isRunning ? this.texts.words.looking(waiting) : this.texts.words.run(waiting)]
  }

  /** What there is to note: words that were not found or refused. */
  get notes() {
    return this.note ? [this.note] : []
  }

  /** Forget what was found: it is of another run, or of what was connected before. */
  forget() {
    this.known.clear()
  }

  /**
   * Take what a run found.
   * @param {Shown} files of an image
   * @param {boolean} isShown whether that image is the one at hand
   */
  take(files, isShown) {
    for (const word of files.words ?? []) this.known.set(key(files.segments.filename, word.text), word)
    if (!isShown) return
    this.image = files.segments.filename
    this.#settle((points) => this.owner.settle(points))
  }

  /** Nothing is looked for any more, whether it was found or not. */
  end() {
    if (!this.isRunning) return
    this.isRunning = false
    this.owner.repaint()
  }

  /** Prompts were changed by hand. */
  forgetNote() {
    this.note = ''
  }

  #enter() {
    const typed = this.input.value
    const text = plainText(typed).trim().replace(/^[!！]\s*/, '')
    if (!nameOf(text) || this.input.disabled) return
    this.input.value = ''
    this.#search(text, typed)
  }

  #escape() {
    this.input.value = ''
    this.owner.leave()
  }

  /**
   * @param {string} text
   * @param {string} typed the same, with what is not read of it
   */
  async #search(text, typed) {
    const { objects } = this
    const { current, added } = objects
    const wasRunning = this.isRunning
    this.note = ''
    const points = objects.withWords(text, nameOf(text))
    const target = objects.current
    const known = this.#found(text)
    if (known && isFound(known)) return this.#click(known, points)
    const isWaiting = points === formatPrompts(objects.own)
    if (isWaiting && wasRunning) return this.owner.repaint()
    this.isRunning = true
    if (isWaiting) this.owner.repaint()
    else this.owner.write(points)
    const { isSent, refusal } = await this.host.run()
    if (!isSent && !wasRunning) this.end()
    if (!refusal) return
    const { points: now } = this.host.read()
    objects.read(now, objects.given)
    const rest = objects.withoutWords(text, target)
    Object.assign(objects, { current, added })
    this.owner.settle(rest)
    this.input.value ||= typed
    this.note = refusal
    this.owner.repaint()
  }

  /**
   * @param {FoundWord} word
   * @param {string} points with the word among them
   */
  #click(word, points) {
    const { own, current } = this.objects
    const isThere = own.some((each) => each.x === word.x && each.y === word.y && objectOf(each) === current)
    if (isThere) this.owner.repaint()
    else this.owner.write(this.objects.withClicks(points, (text) => (text === word.text ? word : undefined)))
  }

  /**
   * Put clicks in the place of words that are known by now, and say which were not found.
   * @param {(points: string) => void} write
   */
  #settle(write) {
    const { points } = this.host.read()
    this.objects.read(points, this.objects.given)
    const waiting = this.objects.own.filter((prompt) => isWords(prompt) && this.#found(prompt.words))
    if (!waiting.length) return
    const missed = waiting.map(({ words }) => /** @type {FoundWord} */ (this.#found(words))).filter((word) => !isFound(word))
    const found = waiting.filter(({ words }) => isFound(/** @type {FoundWord} */ (this.#found(words))))
    if (found.length) this.objects.current = objectOf(found[found.length - 1])
    this.isRunning = false
    write(this.objects.withClicks(points, (words) => this.#found(words)))
    this.note = missed.map(({ text, score }) => this.texts.words.missed(text, score)).join(' · ')
    this.owner.repaint()
  }

  /**
   * @param {string | undefined} text
   * @returns {FoundWord | undefined}
   */
  #found(text) {
    return this.known.get(key(this.image, `${text}`))
  }
}

/**
 * @param {string} file
 * @param {string} text
 */
function key(file, text) {
  return `${file} ${text}`
}

/** @param {FoundWord} word */
export function isFound({ found, x, y }) {
  return found && x !== undefined && y !== undefined
}

/**
 * What an object is called after words: by the first of several that mean the same, without its weight. Empty where
 * there are no words. The node's `parse_words` reads them alike.
 * @param {string} text such as "(cup:1.3), mug"
 */
export function nameOf(text) {
  const words = plainText(text).split(/[,，、]/).map((word) => word.trim())
  const first = words.find(Boolean) ?? ''
  const inside = /^\(((?:[^()\\]|\\.)*)\)$/.exec(first)?.[1]
  const weight = inside === undefined ? null : /^(?!\s*embedding\s*:[^:]*$)(.*):[^:]*$/i.exec(inside)
  const name = weight?.[1] ?? inside ?? first
  return name.replace(/\\([()\\])/g, '$1').trim().split(/\s+/).join(' ')
}
