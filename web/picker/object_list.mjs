/** The objects under the image: which of them prompts go to, their names, one more and one less. */

import { makeButton } from './button.mjs'
import { hueOf } from './overlays.mjs'
import { plainText } from './prompting/plain_text.mjs'

/** @typedef {import('./texts.mjs').Texts} Texts */

/**
 * @typedef {object} ListActions
 * @property {(name: string) => void} select
 * @property {() => void} add
 * @property {(name: string, to: string) => void} rename
 * @property {(name: string) => void} remove
 */

/**
 * @typedef {object} Listed
 * @property {string} name
 * @property {boolean} own whether it can be renamed and deleted here
 */

export class ObjectList {
  /**
   * @param {Texts} texts
   * @param {ListActions} actions
   */
  constructor(texts, actions) {
    this.texts = texts
    this.actions = actions
    this.shown = ''
    this.element = document.createElement('div')
    this.element.className = 'diffseg-picker-objects'
    this.element.setAttribute('role', 'group')
    this.element.setAttribute('aria-label', texts.objects.list)
  }

  /**
   * @param {Listed[]} objects
   * @param {string} current name
   * @param {boolean} fixed whether nothing can be changed here
   */
  show(objects, current, fixed) {
    const state = JSON.stringify([objects, current, fixed])
    if (state === this.shown) return // an input that is being typed in stays
    this.shown = state
    const chips = objects.map((object, index) => this.#chip(object, index, object.name === current, fixed))
    const add = makeButton('+', this.texts.objects.add, () => this.actions.add())
    add.dataset.action = 'add'
    add.disabled = fixed
    this.element.replaceChildren(...chips, add)
  }

  /**
   * @param {Listed} object
   * @param {number} index
   * @param {boolean} isCurrent
   * @param {boolean} fixed
   */
  #chip({ name, own }, index, isCurrent, fixed) {
    const chip = document.createElement('span')
    chip.className = 'diffseg-picker-object'
    chip.dataset.object = name
    const swatch = document.createElement('i')
    swatch.style.background = hueOf(index)
    const select = makeButton(name, this.texts.objects.tip, () => this.actions.select(name))
    select.dataset.action = 'select'
    select.setAttribute('aria-pressed', `${isCurrent}`)
    chip.append(swatch, select)
    if (!own || fixed) return chip
    const rename = () => this.#edit(select, name)
    select.addEventListener('dblclick', rename)
    select.addEventListener('keydown', (event) => {
      if (event.key === 'F2') rename()
      else if (event.key === 'Delete') this.actions.remove(name)
      else return
      event.preventDefault()
      event.stopPropagation()
    })
    const remove = makeButton('×', this.texts.objects.remove(name), () => this.actions.remove(name))
    remove.dataset.action = 'remove'
    chip.append(remove)
    return chip
  }

  /**
   * Have a name typed.
   * @param {HTMLButtonElement} label that is replaced
   * @param {string} name
   */
  #edit(label, name) {
    const input = document.createElement('input')
    input.value = name
    input.size = Math.max(8, name.length)
    input.setAttribute('aria-label', this.texts.objects.rename)
    let isDone = false
    /** @param {boolean} keep */
    const done = (keep) => {
      if (isDone) return
      isDone = true
      input.replaceWith(label)
      const wanted = plainText(input.value).trim()
      if (keep && wanted && wanted !== name) this.actions.rename(name, wanted)
    }
    input.addEventListener('keydown', (event) => {
      event.stopPropagation() // ComfyUI has meanings of its own for most keys
      if (event.key === 'Enter') done(true)
      else if (event.key === 'Escape') done(false)
    })
    input.addEventListener('blur', () => done(true))
    label.replaceWith(input)
    input.focus()
    input.select()
  }
}
