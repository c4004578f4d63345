/** The objects of one image: their prompts, what these find, and the text of the widget after each change. */

import { ObjectFinder } from './prompting/object_finder.mjs'
import { FIRST_OBJECT, byObject, formatPrompts, isClick, isOutside, isWords, objectOf, parsePrompts } from './prompting/prompts.mjs'

/** @import { Hierarchy } from './hierarchy.mjs' */
/** @import { Point } from './label_map.mjs' */
/** @import { PaintedObject } from './overlays.mjs' */
/** @import { Found } from './prompting/object_finder.mjs' */
/** @import { Prompt } from './prompting/prompts.mjs' */
/** @import { FoundWord } from './word_field.mjs' */

const STANDARD_NAME = /^Object \d+$/
const MOST_KNOWN = 2000 // answers that are kept
const MOST_STEPS = 99 // of the size of a click

/** The objects of one image. */
export class Objects {
  constructor() {
    /** @type {ObjectFinder | null} */
    this.finder = null
    /** @type {Prompt[]} */
    this.fromNodes = [] // by other nodes
    this.blank = 0 // what they have painted nowhere
    /** @type {Prompt[]} */
    this.fromPicker = []
    this.current = FIRST_OBJECT // which object prompts go to
    this.added = '' // an object without a prompt yet
    this.subtracting = false
    /** @type {Map<string, Found>} */
    this.known = new Map() // by prompts
    /** @type {WeakMap<Found, PaintedObject>} */
    this.drawn = new WeakMap()
  }

  /**
   * Find by what the node wrote of an image; by nothing until it is there.
   * @param {ObjectFinder | null} finder
   */
  use(finder) {
    this.finder = finder
    this.known.clear()
  }

  /**
   * Take the prompts.
   * @param {string} text of the widget
   * @param {Prompt[]} fromNodes
   * @returns {boolean} whether the text is a list of prompts
   */
  read(text, fromNodes) {
    const prompts = parsePrompts(text)
    this.fromPicker = prompts ?? []
    this.fromNodes = fromNodes.filter(({ leaves }) => !leaves || leaves.length)
    this.blank = fromNodes.length - this.fromNodes.length
    const names = this.names
    if (!names.includes(this.current)) this.current = names[names.length - 1]
    return prompts !== null
  }

  /** All prompts of all objects, those of other nodes before own ones. */
  get prompts() {
    return byObject([...this.fromNodes, ...this.fromPicker])
  }

  /**
   * How many prompts lie outside the image, or are painted nowhere.
   * @param {Hierarchy} hierarchy
   */
  outside(hierarchy) {
    return this.blank + [...this.fromNodes, ...this.fromPicker].filter((prompt) => isOutside(prompt, hierarchy)).length
  }

  /** What the objects are called, in their order; there is always one. */
  get names() {
    const names = [...this.prompts.keys()]
    if (this.added && !names.includes(this.added)) names.push(this.added)
    return names.length ? names : [FIRST_OBJECT]
  }

  /** The objects as a list shows them. */
  get listed() {
    const named = new Set(this.fromNodes.map(objectOf))
    return this.names.map((name) => ({ name, isEditable: !named.has(name) }))
  }

  /** What each object holds, in the order of their names. */
  get held() {
    const { prompts } = this
    return this.names.map((name) => this.#find(prompts.get(name) ?? []))
  }

  /** The objects as they are painted. @returns {PaintedObject[]} */
  get painted() {
    const { finder, drawn } = this
    if (!finder) return []
    return this.held.map((held) => {
      const painted = drawn.get(held) ?? { label: held.label, divided: finder.divided(held) }
      drawn.set(held, painted)
      return painted
    })
  }

  /** The prompts that are drawn: those of the object at hand. */
  get marks() {
    return this.prompts.get(this.current) ?? []
  }

  /**
   * What the object at hand would hold with a click more.
   * @param {Point} at
   * @param {number} label
   */
  preview(at, label) {
    const leaf = this.finder?.hierarchy.leafAt(at) ?? -1
    if (leaf < 0 || this.#find(this.marks).label[leaf] === label) return null // nothing would change
    return this.previewOf({ ...at, label }, `${leaf} ${label}`)
  }

  /**
   * What the object at hand would hold with a prompt more.
   * @param {Prompt} prompt
   * @param {string} [place] by which it is known again
   */
  previewOf(prompt, place) {
    const { finder, marks } = this
    if (!finder) return null
    const find = () => finder.with(this.#find(marks), prompt)
    const { label } = place ? this.#kept(`${place} ${JSON.stringify(marks)}`, find) : find()
    return { index: this.names.indexOf(this.current), label }
  }

  /**
   * The widget's text with one more prompt for the object at hand.
   * @param {Prompt} prompt
   */
  withPrompt(prompt) {
    return formatPrompts([...this.fromPicker, { ...prompt, object: this.current }])
  }

  /**
   * The text with words to look for: for the object at hand if it has no prompt yet, else for one of their name.
   * The same where they wait there already.
   * @param {string} words
   * @param {string} name
   */
  withWords(words, name) {
    const { current } = this
    const isEmpty = !this.prompts.has(current)
    if (!isEmpty || STANDARD_NAME.test(current)) {
      if (isEmpty && this.added === current) this.added = ''
      this.current = name
    }
    const isThere = this.fromPicker.some((prompt) => prompt.words === words && objectOf(prompt) === this.current)
    return isThere ? formatPrompts(this.fromPicker) : this.withPrompt({ words, label: 1 })
  }

  /**
   * The text without words that wait in an object.
   * @param {string} words
   * @param {string} name of the object
   */
  withoutWords(words, name) {
    return formatPrompts(this.fromPicker.filter((prompt) => prompt.words !== words || objectOf(prompt) !== name))
  }

  /**
   * A text with clicks in the place of words that were found, without those that were not, and with those that are
   * not known yet.
   * @param {string} text
   * @param {(words: string) => FoundWord | undefined} lookUp
   */
  withClicks(text, lookUp) {
    const prompts = (parsePrompts(text) ?? []).flatMap((prompt) => {
      const word = prompt.words === undefined ? undefined : lookUp(prompt.words)
      if (!word) return [prompt]
      const { words, ...rest } = prompt
      return word.found ? [{ ...rest, x: Number(word.x), y: Number(word.y) }] : []
    })
    return formatPrompts(prompts)
  }

  /** The text without the last prompt of the object at hand; the same without any. */
  withoutLast() {
    const last = this.fromPicker.findLastIndex((prompt) => objectOf(prompt) === this.current)
    return formatPrompts(this.fromPicker.filter((_, index) => index !== last))
  }

  /**
   * The text without an object.
   * @param {string} name
   */
  without(name) {
    if (this.added === name) this.added = ''
    return formatPrompts(this.fromPicker.filter((prompt) => objectOf(prompt) !== name))
  }

  /**
   * The text with the last click of the object at hand larger or smaller; null without a click.
   * @param {number} by
   */
  resized(by) {
    const last = this.fromPicker.findLastIndex((prompt) => objectOf(prompt) === this.current && isClick(prompt))
    if (last < 0) return null
    const size = Math.min(Math.max((this.fromPicker[last].size ?? 0) + by, -MOST_STEPS), MOST_STEPS)
    return formatPrompts(this.fromPicker.map((prompt, index) => (index === last ? { ...prompt, size } : prompt)))
  }

  /** Begin another object, which exists once it has a prompt. */
  add() {
    const names = this.names
    if (!this.prompts.has(this.current) && this.current === names[names.length - 1]) return
    let number = names.length + 1
    while (names.includes(`Object ${number}`)) number++
    this.added = `Object ${number}`
    this.current = this.added
  }

  /**
   * The text with an object called otherwise; another name where there is one of that name already.
   * @param {string} name
   * @param {string} wanted
   */
  renamed(name, wanted) {
    const taken = this.names.filter((other) => other !== name)
    let to = wanted
    for (let number = 2; taken.includes(to); number++) to = `${wanted} ${number}`
    if (this.added === name) this.added = to
    if (this.current === name) this.current = to
    return formatPrompts(this.fromPicker.map((prompt) => (objectOf(prompt) === name ? { ...prompt, object: to } : prompt)))
  }

  /**
   * What prompts find; those before the last were found before, as a rule.
   * @param {Prompt[]} prompts
   * @returns {Found}
   */
  #find(prompts) {
    const finder = /** @type {ObjectFinder} */ (this.finder)
    if (prompts.some(isWords)) return this.#find(prompts.filter((prompt) => !isWords(prompt)))
    if (!prompts.length) return finder.nothing()
    const last = prompts[prompts.length - 1]
    return this.#kept(JSON.stringify(prompts), () => finder.with(this.#find(prompts.slice(0, -1)), last))
  }

  /** @param {string} key @param {() => Found} find */
  #kept(key, find) {
    const answer = this.known.get(key) ?? find()
    if (this.known.size > MOST_KNOWN) this.known.clear()
    this.known.set(key, answer)
    return answer
  }
}
