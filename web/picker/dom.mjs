/** Elements of the picker. */

/**
 * @template {keyof HTMLElementTagNameMap} [Tag='div']
 * @param {string} name of its class, empty for none
 * @param {Tag} [tag]
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(name, tag, attributes = {}, ...children) {
  const element = document.createElement(tag ?? 'div')
  if (name) element.className = `diffseg-picker-${name}`
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value)
  element.append(...children)
  return /** @type {HTMLElementTagNameMap[Tag]} */ (element)
}

/**
 * @param {string} text
 * @param {string} tip
 * @param {() => void} press
 * @param {string} [action] what tests and styles know it by
 */
export function makeButton(text, tip, press, action) {
  const button = make('', 'button', { type: 'button', title: tip }, text)
  if (action) button.dataset.action = action
  button.addEventListener('click', press)
  return button
}
