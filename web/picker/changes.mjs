/**
 * Changes of what is chosen: they are written to the node's widgets, and can be taken back and made again, though
 * these may also change elsewhere meanwhile.
 */

import { pointsOf } from './prompting/prompts.mjs'

/** @import { Choice, Host, Mode } from './host.mjs' */

const MOST = 200 // changes that are kept

export class Changes {
  /** @param {Host} host @param {() => void} repaint */
  constructor(host, repaint) {
    this.host = host
    this.repaint = repaint
    /** What there was before each change, the latest last. @type {Choice[]} */
    this.past = []
    /** What was undone, the latest last. @type {Choice[]} */
    this.future = []
    /** @type {Choice | null} */
    this.before = null // the change that has begun
    /** @type {{points: string, prompts: string} | null} */
    this.aside = null // the prompts that became these points by the switch of the mode
  }

  /**
   * Go on where another node was left, at another of its states if that is there now.
   * @param {Changes} other of the same node
   * @param {Choice} last that there was then
   */
  takeOver({ past, future, aside }, last) {
    const now = this.host.read()
    const line = [...past, last, ...future.toReversed()]
    const state = [last, ...past.toReversed(), ...future].find((choice) => isSameChoice(choice, now))
    const here = state ? line.lastIndexOf(state) : -1
    this.past = line.slice(0, Math.max(here, 0))
    this.future = here < 0 ? [] : line.slice(here + 1).reverse()
    this.aside = aside
  }

  /** Forget what can be undone. */
  clear() {
    this.past = []
    this.future = []
  }

  /** A change begins, to be undone as one, if none has begun yet. */
  begin() {
    this.before ??= this.host.read()
  }

  /**
   * Part of a change.
   * @param {Partial<Choice>} choice
   */
  put(choice) {
    this.host.write({ ...this.host.read(), ...choice })
    this.repaint()
  }

  /** The change is complete. */
  end() {
    const { before } = this
    this.before = null
    if (!before || isSameChoice(before, this.host.read())) return
    this.past.push(before)
    if (this.past.length > MOST) this.past.shift()
    this.future = []
    this.host.commit()
    this.repaint()
  }

  /** The change is to be forgotten. */
  cancel() {
    const { before } = this
    this.before = null
    if (before) this.put(before)
  }

  /**
   * A whole change.
   * @param {Partial<Choice>} choice
   */
  make(choice) {
    if (this.host.isConnected()) return
    this.begin()
    this.put(choice)
    this.end()
  }

  /** @param {string} points from now on, as part of the change before */
  settle(points) {
    this.host.write({ ...this.host.read(), points })
    this.host.commit()
  }

  all() {
    this.make({ points: '[]', invert: true })
  }

  none() {
    this.make({ points: '[]', invert: false })
  }

  invert() {
    this.make({ invert: !this.host.read().invert })
  }

  undo() {
    this.step('undo')
  }

  /**
   * Go one change back or forth. ComfyUI leaves it to the image that has the focus, but in one of its modes.
   * @param {'undo' | 'redo'} step
   * @param {boolean} isKey whether by a key, which ComfyUI gets too
   * @returns {boolean} whether the key is taken
   */
  step(step, isKey = false) {
    if (isKey && !this.host.leavesUndo()) return false
    const choice = this.host.isConnected() ? null : this.#taken(step)
    if (choice) {
      this.put(choice)
      this.host.commit()
    }
    this.repaint()
    return true
  }

  /**
   * Choose segments, or objects. Points are clicks, and positive clicks are points; prompts that are no points come
   * back with the next switch, unless points changed meanwhile.
   * @param {Mode} mode
   */
  switchTo(mode) {
    const { points, mode: before } = this.host.read()
    if (mode === before) return
    if (mode === 'object') return this.make({ mode, points: this.aside?.points === points ? this.aside.prompts : points })
    this.aside = { points: pointsOf(points), prompts: points }
    this.make({ mode, points: this.aside.points })
  }

  /**
   * What a step leads to, or null.
   * @param {'undo' | 'redo'} step
   */
  #taken(step) {
    const now = this.host.read()
    const [from, to] = step === 'undo' ? [this.past, this.future] : [this.future, this.past]
    let choice = from.pop()
    while (choice && isSameChoice(choice, now)) choice = from.pop() // ComfyUI's own undo came before
    if (!choice) return null
    to.push(now)
    return choice
  }
}

/** @param {Choice} one @param {Choice} other */
function isSameChoice(one, other) {
  const keys = /** @type {(keyof Choice)[]} */ (['points', 'invert', 'granularity', 'mode'])
  return keys.every((key) => one[key] === other[key])
}

/**
 * What a key asks for: Ctrl+Z, and to make the change again Ctrl+Shift+Z or Ctrl+Y; on a Mac with Cmd.
 * @param {KeyboardEvent} event
 * @returns {'undo' | 'redo' | null}
 */
export function historyKey({ key, ctrlKey, metaKey, altKey, shiftKey }) {
  if (!(ctrlKey || metaKey) || altKey) return null
  const letter = key.toLowerCase()
  if (letter === 'z') return shiftKey ? 'redo' : 'undo'
  return letter === 'y' && !shiftKey ? 'redo' : null
}
