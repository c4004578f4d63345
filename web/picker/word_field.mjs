/** The field for words where objects are chosen: what is typed becomes a prompt, and a run makes a click of it. */

import { make } from './dom.mjs'
import { formatPrompts, isWords, objectOf, plainText } from './prompting/prompts.mjs'

/** @import { Shown } from './host.mjs' */
/** @import { ObjectTool } from './object_tool.mjs' */

/**
 * What the node found of words: see ../PROTOCOL.md.
 * @typedef {{text: string, found: boolean, score: number, x?: number, y?: number}} FoundWord
 */

export class WordField {
  /** @param {ObjectTool} tool */
  constructor(tool) {
    this.picker = tool.picker
    this.tool = tool
    this.objects = tool.objects
    this.isRunning = false // what is looked for
    this.note = '' // what was not found, or why words were refused; until prompts are changed by hand
    /** @type {Map<string, FoundWord>} */
    this.known = new Map() // from the last run, by the image's file and the text
    this.image = '' // the file of the image that is shown
    const { example, name, tip } = this.picker.texts.words
    const attributes = { type: 'text', spellcheck: 'false', placeholder: example, title: tip, 'aria-label': name }
    this.input = make('', 'input', attributes)
    this.element = make('words', 'div', {}, this.input)
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
    const isConnected = this.picker.nodeView?.has_clip === true
    this.element.hidden = !isConnected
    this.input.disabled = isFixed || !isConnected
  }

  /** What there is to say of words, as part of the status. */
  get said() {
    const waiting = this.objects.fromPicker.filter(isWords).map(({ words }) => `${words}`)
    if (!waiting.length) return []
    return [this.isRunning ? this.picker.texts.words.looking(waiting) : this.picker.texts.words.run(waiting)]
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
    this.#settle()
  }

  /** Nothing is looked for any more, whether it was found or not. */
  end() {
    if (!this.isRunning) return
    this.isRunning = false
    this.picker.repaint()
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
    this.picker.view.canvas.focus({ preventScroll: true })
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
    if (known?.found) return this.#click(known, points)
    const isWaiting = points === formatPrompts(objects.fromPicker)
    if (isWaiting && wasRunning) return this.picker.repaint()
    this.isRunning = true
    if (isWaiting) this.picker.repaint()
    else this.tool.prompt(points)
    const { isSent, refusal } = await this.picker.host.run()
    if (!isSent && !wasRunning) this.end()
    if (!refusal) return
    const { points: now } = this.picker.host.read()
    objects.read(now, objects.fromNodes)
    const rest = objects.withoutWords(text, target)
    Object.assign(objects, { current, added })
    this.picker.changes.settle(rest)
    this.input.value ||= typed
    this.note = refusal
    this.picker.repaint()
  }

  /**
   * @param {FoundWord} word
   * @param {string} points with the word among them
   */
  #click(word, points) {
    const { fromPicker, current } = this.objects
    const isThere = fromPicker.some((click) => click.x === word.x && click.y === word.y && objectOf(click) === current)
    if (isThere) this.picker.repaint()
    else this.tool.prompt(this.objects.withClicks(points, (text) => (text === word.text ? word : undefined)))
  }

  /** Put clicks in the place of words that are known by now, and say which were not found. */
  #settle() {
    const { points } = this.picker.host.read()
    this.objects.read(points, this.objects.fromNodes)
    const known = this.objects.fromPicker.flatMap((prompt) => {
      const word = isWords(prompt) && this.#found(prompt.words)
      return word ? [{ word, name: objectOf(prompt) }] : []
    })
    if (!known.length) return
    const last = known.findLast(({ word }) => word.found)
    if (last) this.objects.current = last.name
    this.isRunning = false
    this.picker.changes.settle(this.objects.withClicks(points, (words) => this.#found(words)))
    const missed = known.map(({ word }) => word).filter(({ found }) => !found)
    this.note = missed.map(({ text, score }) => this.picker.texts.words.missed(text, score)).join(' · ')
    this.picker.repaint()
  }

  /** @param {string | undefined} text @returns {FoundWord | undefined} */
  #found(text) {
    return this.known.get(key(this.image, `${text}`))
  }
}

/** @param {string} file @param {string} text */
function key(file, text) {
  return `${file} ${text}`
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
