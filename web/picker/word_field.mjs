/** The field for words where objects are chosen: what is typed becomes a prompt, and a run makes a click of it. */

import { isWords, objectOf } from './prompting/prompts.mjs'

/** @typedef {import('./object_mode.mjs').ObjectMode} ObjectMode */
/** @typedef {import('./picker.mjs').Host} Host */
/** @typedef {import('./picker.mjs').Shown} Shown */
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
    this.missed = '' // what was not found
    /** @type {Map<string, FoundWord>} */
    this.known = new Map() // by the image's file and the text
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
    this.image = files?.ids?.filename ?? ''
    const { words } = this.texts
    const isConnected = this.host.canFindWords()
    this.input.disabled = isFixed || !isConnected
    this.input.placeholder = isConnected ? words.example : words.connect
    this.input.title = isConnected ? words.tip : words.connect
  }

  /** What there is to say of words, as part of the status. */
  get said() {
    const waiting = this.objects.own.filter(isWords).map(({ words }) => `${words}`)
    if (!waiting.length) return []
    return [this.isRunning ? this.texts.words.looking(waiting) : this.texts.words.run(waiting)]
  }

  /** What there is to note: words that were not found. */
  get notes() {
    return this.missed ? [this.missed] : []
  }

  /**
   * Take what a run found.
   * @param {Shown} files of an image
   * @param {boolean} isShown whether that image is the one at hand
   */
  take(files, isShown) {
    for (const word of files.words ?? []) this.known.set(key(files.ids.filename, word.text), word)
    if (!isShown) return
    this.image = files.ids.filename
    this.#settle((points) => this.owner.settle(points))
  }

  /** A run is over, with whatever end. */
  end() {
    if (!this.isRunning) return
    this.isRunning = false
    this.owner.repaint()
  }

  /** Prompts were changed by hand. */
  forgetMissed() {
    this.missed = ''
  }

  #enter() {
    const text = this.input.value.trim().replace(/^!\s*/, '')
    if (!text || this.input.disabled) return
    this.input.value = ''
    this.#search(text)
  }

  #escape() {
    this.input.value = ''
    this.owner.leave()
  }

  /** @param {string} text */
  async #search(text) {
    this.missed = ''
    const known = this.known.get(key(this.image, text))
    if (known && !isFound(known)) {
      this.missed = this.texts.words.missed(text, known.score)
      return this.owner.repaint()
    }
    const points = this.objects.withWords(text, nameOf(text))
    if (known) return this.#click(known, points)
    this.isRunning = true
    this.owner.write(points)
    if (!(await this.host.run())) this.end()
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
    this.missed = missed.map(({ text, score }) => this.texts.words.missed(text, score)).join(' · ')
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
 * What an object is called after words: by the first of several that mean the same, without its weight.
 * @param {string} text such as "(cup:1.3), mug"
 */
export function nameOf(text) {
  const first = text.split(',')[0].trim() || text
  const name = /^\((.+?)(?::\s*[\d.]+\s*)?\)$/.exec(first)?.[1] ?? first
  return name.replace(/\\([()])/g, '$1').trim()
}
