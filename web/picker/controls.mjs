/** What lies around the image: the switch between segments and objects, the buttons, and what is said. */

import { makeButton } from './button.mjs'

/** @typedef {import('./host.mjs').Mode} Mode */
/** @typedef {import('./texts.mjs').Texts} Texts */

/** @typedef {'all' | 'none' | 'invert' | 'undo'} ButtonName */

/** @type {ButtonName[]} */
const BUTTONS = ['all', 'none', 'invert', 'undo']
/** @type {Mode[]} */
const MODES = ['segments', 'object']

export class Controls {
  /**
   * @param {Texts} texts
   * @param {Record<ButtonName, () => void>} actions
   * @param {(mode: Mode) => void} switchTo
   */
  constructor(texts, actions, switchTo) {
    this.texts = texts
    this.hint = element('hint') // in the place of the image
    this.tools = element('tools') // the row below the image, with more than is made here
    this.switch = element('modes')
    this.switch.setAttribute('role', 'group')
    for (const mode of MODES) {
      const button = makeButton(texts.mode[mode], texts.mode[`${mode}Tip`], () => switchTo(mode))
      button.dataset.mode = mode
      this.switch.append(button)
    }
    this.tools.append(this.switch)
    this.bar = element('bar')
    /** @type {Record<string, HTMLButtonElement>} */
    this.buttons = {}
    for (const name of BUTTONS) {
      const button = makeButton(texts.buttons[name], texts.tips[name], () => actions[name]())
      button.dataset.action = name
      this.buttons[name] = button
      this.bar.append(button)
    }
    this.status = element('status')
    this.status.setAttribute('role', 'status')
    this.bar.append(this.status)
    this.note = element('note') // what is set, and left unheeded by the run
    this.note.setAttribute('role', 'status')
    // The graph drags a node by whatever lies on it.
    for (const row of [this.tools, this.bar]) row.addEventListener('pointerdown', (event) => event.stopPropagation())
  }

  /**
   * @param {Mode} mode
   * @param {boolean} isInverted
   */
  show(mode, isInverted) {
    for (const button of this.switch.querySelectorAll('button')) {
      if (button.dataset.mode) button.setAttribute('aria-pressed', `${button.dataset.mode === mode}`)
    }
    this.buttons.invert.setAttribute('aria-pressed', `${isInverted}`)
  }

  /**
   * Say why there is no image.
   * @param {string} what
   */
  hintAt(what) {
    this.hint.textContent = what
    this.tell([], [])
  }

  /**
   * @param {string[]} parts of the status
   * @param {string[]} notes what is set, and left unheeded by the run
   */
  tell(parts, notes) {
    const note = notes.join(' · ')
    if (this.note.textContent !== note) this.note.textContent = note // said again by a screen reader only if new
    const status = parts.join(' · ')
    this.status.textContent = status
    this.status.title = status // it may not all fit
  }
}

/** @param {string} name */
function element(name) {
  const made = document.createElement('div')
  made.className = `diffseg-picker-${name}`
  return made
}
