/** Draws prompts over the objects: a disc for each click, and the boxes and strokes. */

import { isPositive } from './prompting/prompts.mjs'

/** @import { Hierarchy } from './hierarchy.mjs' */
/** @import { Prompt } from './prompting/prompts.mjs' */

const [FOR, AGAINST] = ['#2fd06a', '#ff4b3e']
const [RADIUS, LINE] = [5, 1.75] // of a click and of a box, in pixels of the screen

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Hierarchy} hierarchy
 * @param {Prompt[]} prompts
 * @param {number} fineness pixels of the canvas in one of the screen
 */
export function drawMarks(context, hierarchy, prompts, fineness) {
  const { width, height } = context.canvas
  /** @param {number} x @param {number} y */
  const at = (x, y) => /** @type {const} */ ([(x * width) / hierarchy.width, (y * height) / hierarchy.height])
  /** @param {string} colour @param {number} breadth */
  const outline = (colour, breadth) => {
    for (const [style, line] of /** @type {const} */ ([['rgba(0, 0, 0, 0.7)', 2 * breadth], [colour, breadth]])) {
      context.strokeStyle = style
      context.lineWidth = line
      context.stroke()
    }
  }
  context.save()
  context.lineJoin = 'round'
  context.lineCap = 'round'
  for (const prompt of prompts) {
    const colour = isPositive(prompt) ? FOR : AGAINST
    context.beginPath()
    if (prompt.box) {
      const [left, top] = at(prompt.box[0], prompt.box[1])
      const [right, bottom] = at(prompt.box[2], prompt.box[3])
      context.rect(left, top, right - left, bottom - top)
      outline(colour, LINE * fineness)
    } else if (prompt.stroke) {
      prompt.stroke.forEach(([x, y]) => context.lineTo(...at(x + 0.5, y + 0.5)))
      if (prompt.stroke.length === 1) context.lineTo(...at(prompt.stroke[0][0] + 0.6, prompt.stroke[0][1] + 0.5))
      outline(colour, 2 * LINE * fineness)
    } else if (prompt.x !== undefined && prompt.y !== undefined) {
      const [x, y] = at(prompt.x + 0.5, prompt.y + 0.5)
      const radius = RADIUS * fineness
      context.arc(x, y, radius, 0, 2 * Math.PI)
      context.fillStyle = colour
      context.fill()
      // A plus or a minus, not by colour alone.
      context.moveTo(x - radius / 2, y)
      context.lineTo(x + radius / 2, y)
      if (isPositive(prompt)) {
        context.moveTo(x, y - radius / 2)
        context.lineTo(x, y + radius / 2)
      }
      context.strokeStyle = 'white'
      context.lineWidth = 1.5 * fineness
      context.stroke()
    }
  }
  context.restore()
}
