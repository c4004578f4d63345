/**
 * A button of the picker.
 * @param {string} text
 * @param {string} tip
 * @param {() => void} press
 */
export function makeButton(text, tip, press) {
  const made = document.createElement('button')
  made.type = 'button'
  made.textContent = text
  made.title = tip
  made.addEventListener('click', press)
  return made
}
