/** Changes of what is chosen: they are written to the node's widgets, and can be taken back. */

import { History } from './history.mjs'
import { pointsOf } from './prompting/prompts.mjs'

/** @import { Choice, Host, Mode } from './host.mjs' */

export class Changes {
  /**
   * @param {Host} host
   * @param {() => void} repaint
   */
  constructor(host, repaint) {
    this.host = host
    this.repaint = repaint
    this.history = new History(isSameChoice)
    /** @type {{points: string, prompts: string} | null} */
    this.aside = null // the prompts that became these points by the switch of the mode
  }

  /**
   * @param {Changes} other of the same node
   * @param {Choice} last that there was then
   */
  takeOver({ history, aside }, last) {
    this.aside = aside
    this.history.takeOver(history, last, this.host.read())
  }

  /** A change begins, to be undone as one. */
  begin() {
    this.history.begin(this.host.read())
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
    if (!this.history.end(this.host.read())) return
    this.host.commit()
    this.repaint()
  }

  /** The change is to be forgotten. */
  cancel() {
    const before = this.history.cancel()
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
    const choice = this.host.isConnected() ? null : this.history[step](this.host.read())
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
}

/**
 * @param {Choice} one
 * @param {Choice} other
 */
function isSameChoice(one, other) {
  const keys = /** @type {(keyof Choice)[]} */ (['points', 'invert', 'granularity', 'mode'])
  return keys.every((key) => one[key] === other[key])
}
