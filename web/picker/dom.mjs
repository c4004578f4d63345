/** Elements of the picker. */

/**
 * @template {keyof HTMLElementTagNameMap} [Tag='div']
 * @param {string} name of its class
 * @param {Tag} [tag]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(name, tag) {
  const element = document.createElement(tag ?? 'div')
  element.className = `diffseg-picker-${name}`
  return /** @type {HTMLElementTagNameMap[Tag]} */ (element)
}

/**
 * @param {string} text
 * @param {string} tip
 * @param {() => void} press
 * @param {string} [action] what tests and styles know it by
 */
export function makeButton(text, tip, press, action) {
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = text
  button.title = tip
  if (action) button.dataset.action = action
  button.addEventListener('click', press)
  return button
}
