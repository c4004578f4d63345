/** What lies around the image: list items, the switch between segments and objects, buttons, and what is said. */

import { make, makeButton } from './dom.mjs'

/** @import { Mode } from './host.mjs' */
/** @import { Picker } from './picker.mjs' */

const BUTTONS = /** @type {const} */ (['all', 'none', 'invert', 'undo'])
const MODES = /** @type {const} */ (['segments', 'object'])

export class Controls {
  /** @param {Picker} picker */
  constructor(picker) {
    const { texts } = picker
    this.texts = texts
    this.hint = make('hint') // in the place of the image
    this.tools = make('tools') // the row below the image, with more than is made here
    this.page = 0
    this.earlier = makeButton('◀', texts.pages.earlier, () => picker.turn(this.page - 1))
    this.later = makeButton('▶', texts.pages.later, () => picker.turn(this.page + 1))
    for (const button of [this.earlier, this.later]) button.setAttribute('aria-label', button.title)
    this.pageNumber = make('', 'output')
    this.pages = make('pages', 'div', {}, this.earlier, this.pageNumber, this.later)
    this.pages.hidden = true
    this.switch = make('modes', 'div', { role: 'group' })
    for (const mode of MODES) {
      const button = makeButton(texts.mode[mode], texts.mode[`${mode}Tip`], () => picker.switchTo(mode))
      button.dataset.mode = mode
      this.switch.append(button)
    }
    this.tools.append(this.pages, this.switch)
    this.bar = make('bar')
    /** @type {Record<string, HTMLButtonElement>} */
    this.buttons = {}
    for (const name of BUTTONS) {
      this.buttons[name] = makeButton(texts.buttons[name], texts.tips[name], () => picker.changes[name](), name)
      this.bar.append(this.buttons[name])
    }
    this.status = make('status', 'div', { role: 'status' })
    this.bar.append(this.status)
    this.note = make('note', 'div', { role: 'status' }) // what is set, and left unheeded by the run
    // The graph drags a node by whatever lies on it.
    for (const row of [this.tools, this.bar]) row.addEventListener('pointerdown', (event) => event.stopPropagation())
  }

  /** @param {Mode} mode @param {boolean} isInverted */
  show(mode, isInverted) {
    for (const button of this.switch.querySelectorAll('button')) {
      if (button.dataset.mode) button.setAttribute('aria-pressed', `${button.dataset.mode === mode}`)
    }
    this.buttons.invert.setAttribute('aria-pressed', `${isInverted}`)
  }

  /**
   * Show which item it is, where the segments came as a list; the items need not be of one size.
   * @param {number} page from 0
   * @param {number} count of pages
   */
  showPage(page, count) {
    this.page = page
    this.pages.hidden = count < 2
    this.pageNumber.textContent = this.texts.pages.of(page + 1, count)
    this.earlier.disabled = page === 0
    this.later.disabled = page === count - 1
  }

  /**
   * Say why there is no image.
   * @param {string} what
   */
  hintAt(what) {
    this.hint.textContent = what
    this.say([], [])
  }

  /**
   * @param {string[]} parts of the status
   * @param {string[]} notes what is set, and left unheeded by the run
   */
  say(parts, notes) {
    const note = notes.join(' · ')
    if (this.note.textContent !== note) this.note.textContent = note // said again by a screen reader only if new
    const status = parts.join(' · ')
    this.status.textContent = status
    this.status.title = status // it may not all fit
  }
}
