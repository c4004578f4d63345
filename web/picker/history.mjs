/** Changes that can be taken back and made again, of a state that may also change elsewhere meanwhile. */

const MOST = 200 // changes that are kept

/** @template State */
export class History {
  /** @param {(one: State, other: State) => boolean} isSame */
  constructor(isSame) {
    this.isSame = isSame
    /** @type {State[]} */
    this.past = []
    /** @type {State[]} */
    this.future = []
    /** @type {State | null} */
    this.before = null
  }

  /**
   * A change begins, if none has begun yet.
   * @param {State} now
   */
  begin(now) {
    this.before ??= now
  }

  /**
   * The change is complete.
   * @param {State} now
   * @returns {boolean} whether it changed anything
   */
  end(now) {
    const { before } = this
    this.before = null
    if (!before || this.isSame(before, now)) return false
    this.past.push(before)
    if (this.past.length > MOST) this.past.shift()
    this.future = []
    return true
  }

  /** The change is to be forgotten: what was there before it, or null without one. */
  cancel() {
    const { before } = this
    this.before = null
    return before
  }

  /**
   * The state before the last change that was not taken back elsewhere, or null.
   * @param {State} now
   */
  undo(now) {
    return this.#step(this.past, this.future, now)
  }

  /**
   * The state that the last undo took back, or null.
   * @param {State} now
   */
  redo(now) {
    return this.#step(this.future, this.past, now)
  }

  /** Forget all changes. */
  clear() {
    this.past = []
    this.future = []
  }

  /**
   * Go on where another history was left, at another of its states if that is there now.
   * @param {History<State>} other
   * @param {State} last state of the other one
   * @param {State} now
   */
  takeOver({ past, future }, last, now) {
    const line = [...past, last, ...future.toReversed()]
    const before = [last, ...past.toReversed(), ...future].find((state) => this.isSame(state, now))
    const here = before ? line.lastIndexOf(before) : -1
    this.past = line.slice(0, Math.max(here, 0))
    this.future = here < 0 ? [] : line.slice(here + 1).reverse()
  }

  /**
   * @param {State[]} from
   * @param {State[]} to
   * @param {State} now
   */
  #step(from, to, now) {
    let state = from.pop()
    while (state && this.isSame(state, now)) state = from.pop() // ComfyUI's own undo came before
    if (!state) return null
    to.push(now)
    return state
  }
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
