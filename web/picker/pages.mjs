/** Turns from one item to the next where the segments came as a list, whose items need not be of one size. */

import { make, makeButton } from './dom.mjs'

/** @import { Texts } from './texts.mjs' */

export class Pages {
  /**
   * @param {Texts} texts
   * @param {(page: number) => void} turn
   */
  constructor(texts, turn) {
    this.texts = texts
    this.page = 0
    this.element = make('pages')
    this.element.hidden = true
    this.earlier = makeButton('◀', texts.pages.earlier, () => turn(this.page - 1))
    this.later = makeButton('▶', texts.pages.later, () => turn(this.page + 1))
    for (const button of [this.earlier, this.later]) button.setAttribute('aria-label', button.title)
    this.output = document.createElement('output')
    this.element.append(this.earlier, this.output, this.later)
  }

  /**
   * @param {number} page from 0
   * @param {number} count of pages
   */
  show(page, count) {
    this.page = page
    this.element.hidden = count < 2
    this.output.textContent = this.texts.pages.of(page + 1, count)
    this.earlier.disabled = page === 0
    this.later.disabled = page === count - 1
  }
}
