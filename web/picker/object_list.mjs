/** The objects under the image: which of them prompts go to, their names, one more and one less. */

import { make, makeButton } from './dom.mjs'
import { hueOf } from './overlays.mjs'
import { plainText } from './prompting/prompts.mjs'

/** @import { ObjectTool } from './object_tool.mjs' */

/**
 * @typedef {object} Listed
 * @property {string} name
 * @property {boolean} isEditable whether it can be renamed and deleted here
 */

export class ObjectList {
  /** @param {ObjectTool} tool */
  constructor(tool) {
    this.tool = tool
    this.texts = tool.picker.texts.objects
    this.shown = ''
    this.element = make('objects', 'div', { role: 'group', 'aria-label': this.texts.list })
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
    const add = makeButton('+', this.texts.add, () => this.tool.add(), 'add')
    add.disabled = fixed
    this.element.replaceChildren(...chips, add)
  }

  /**
   * @param {Listed} object
   * @param {number} index
   * @param {boolean} isCurrent
   * @param {boolean} fixed
   */
  #chip({ name, isEditable }, index, isCurrent, fixed) {
    const swatch = make('', 'i')
    swatch.style.background = hueOf(index)
    const select = makeButton(name, this.texts.tip, () => this.tool.select(name), 'select')
    select.setAttribute('aria-pressed', `${isCurrent}`)
    const chip = make('object', 'span', { 'data-object': name }, swatch, select)
    if (!isEditable || fixed) return chip
    const rename = () => this.#edit(select, name)
    const remove = () => this.tool.prompt(this.tool.objects.without(name))
    select.addEventListener('dblclick', rename)
    select.addEventListener('keydown', (event) => {
      if (event.key === 'F2') rename()
      else if (event.key === 'Delete') remove()
      else return
      event.preventDefault()
      event.stopPropagation()
    })
    chip.append(makeButton('×', this.texts.remove(name), remove, 'remove'))
    return chip
  }

  /**
   * Have a name typed.
   * @param {HTMLButtonElement} label that is replaced
   * @param {string} name
   */
  #edit(label, name) {
    const size = Math.max(8, name.length)
    const input = make('', 'input', { value: name, size: `${size}`, 'aria-label': this.texts.rename })
    let isDone = false
    /** @param {boolean} keep */
    const done = (keep) => {
      if (isDone) return
      isDone = true
      input.replaceWith(label)
      const wanted = plainText(input.value).trim()
      if (keep && wanted && wanted !== name) this.tool.prompt(this.tool.objects.renamed(name, wanted))
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
