/** Turns from one item to the next where the segments came as a list, whose items need not be of one size. */

/** @typedef {import('./texts.mjs').Texts} Texts */

export class Pages {
  /**
   * @param {Texts} texts
   * @param {(page: number) => void} turn
   */
  constructor(texts, turn) {
    this.texts = texts
    this.page = 0
    this.element = document.createElement('div')
    this.element.className = 'diffseg-picker-pages'
    this.element.hidden = true
    this.earlier = button('◀', texts.pages.earlier, () => turn(this.page - 1))
    this.later = button('▶', texts.pages.later, () => turn(this.page + 1))
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

/**
 * @param {string} text
 * @param {string} name what a screen reader calls it
 * @param {() => void} press
 */
function button(text, name, press) {
  const element = document.createElement('button')
  element.type = 'button'
  element.textContent = text
  element.title = name
  element.setAttribute('aria-label', name)
  element.addEventListener('click', press)
  return element
}
