/** What a person says of objects: clicks, boxes, strokes, each for one or against it, and words; as text and back. */

import { formatPoints, isCoordinate, parseList } from '../selection.mjs'
import { plainText } from './plain_text.mjs'

/** @import { Hierarchy } from '../hierarchy.mjs' */

/**
 * One of `x` and `y`, `box`, `stroke`, `words` and `leaves` says what it is; the last comes from the node alone.
 * @typedef {object} Prompt
 * @property {number} [x]
 * @property {number} [y]
 * @property {[number, number, number, number]} [box] left, top and, exclusive, right and bottom
 * @property {[number, number][]} [stroke]
 * @property {string} [words] that a run makes a click of
 * @property {number[]} [leaves]
 * @property {number | boolean} [label] 1 for the object, the default, or 0
 * @property {number} [size] of a click: steps up or down in the tree from what it takes by itself
 * @property {string} [object] its name; without one it is the first
 */

/** The object of prompts that name none. */
export const FIRST_OBJECT = 'Object 1'

/**
 * Read the prompts of a string widget, as the node does (PROTOCOL.md); null where the text is no list of prompts.
 * @param {string} text
 * @returns {Prompt[] | null}
 */
export function parsePrompts(text) {
  return parseList(text, isPrompt)?.map(inWholePixels) ?? null
}

/**
 * Prompts as the string widget keeps them.
 * @param {Prompt[]} prompts
 */
export function formatPrompts(prompts) {
  return `[${prompts.map(formatPrompt).join(', ')}]`
}

/**
 * The points of a text of prompts: its clicks for objects.
 * @param {string} text
 */
export function pointsOf(text) {
  const clicks = (parsePrompts(text) ?? []).filter((prompt) => isClick(prompt) && isPositive(prompt))
  return formatPoints(clicks.map(({ x, y }) => ({ x: Number(x), y: Number(y) })))
}

/**
 * The prompts of each object, in the order in which objects are first named.
 * @param {Prompt[]} prompts
 * @returns {Map<string, Prompt[]>}
 */
export function byObject(prompts) {
  /** @type {Map<string, Prompt[]>} */
  const objects = new Map()
  for (const prompt of prompts) {
    const name = objectOf(prompt)
    const own = objects.get(name)
    if (own) own.push(prompt)
    else objects.set(name, [prompt])
  }
  return objects
}

/** @param {Prompt} prompt */
export function objectOf(prompt) {
  return prompt.object?.trim() || FIRST_OBJECT
}

/** @param {Prompt} prompt */
export function isPositive(prompt) {
  return Boolean(prompt.label ?? 1)
}

/** @param {Prompt} prompt */
export function isClick(prompt) {
  return !prompt.box && !prompt.stroke && !prompt.leaves && !isWords(prompt)
}

/**
 * Whether it is yet to be looked for.
 * @param {Prompt} prompt
 */
export function isWords(prompt) {
  return prompt.words !== undefined
}

/**
 * Whether a prompt lies outside an image, or says nothing of it.
 * @param {Prompt} prompt
 * @param {Hierarchy} hierarchy of the image
 */
export function isOutside({ x, y, box, stroke, leaves, words }, hierarchy) {
  if (words !== undefined) return false
  if (leaves) return !leaves.length
  if (stroke) return !stroke.some(([column, row]) => hierarchy.contains({ x: column, y: row }))
  if (!box) return !hierarchy.contains({ x: Number(x), y: Number(y) })
  const [left, top, right, bottom] = box
  return left >= hierarchy.width || top >= hierarchy.height || right <= 0 || bottom <= 0
}

/** @param {Prompt} prompt */
function formatPrompt(prompt) {
  const { x, y, box, stroke, words, label = 1, size = 0, object } = prompt
  const parts = box
    ? [`"box": [${box.join(', ')}]`]
    : stroke
      ? [`"stroke": [${stroke.map(([column, row]) => `[${column}, ${row}]`).join(', ')}]`]
      : words !== undefined
        ? [`"words": ${JSON.stringify(words)}`]
        : [`"x": ${x}`, `"y": ${y}`]
  parts.push(`"label": ${label ? 1 : 0}`)
  if (size) parts.push(`"size": ${size}`)
  if (object && objectOf(prompt) !== FIRST_OBJECT) parts.push(`"object": ${JSON.stringify(object)}`)
  return `{${parts.join(', ')}}`
}

/** @param {any} prompt */
function isPrompt(prompt) {
  if (typeof prompt !== 'object' || prompt === null || Array.isArray(prompt)) return false
  const { label = 1, size = 0, object = '' } = prompt
  if (![0, 1, true, false].includes(label) || typeof object !== 'string') return false
  if ('box' in prompt) {
    const { box } = prompt
    if (!Array.isArray(box) || box.length !== 4 || !box.every(isCoordinate)) return false
    const [left, top, right, bottom] = box.map(Math.floor)
    return left < right && top < bottom
  }
  if ('stroke' in prompt) {
    const { stroke } = prompt
    if (!Array.isArray(stroke) || !stroke.length) return false
    return stroke.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isCoordinate))
  }
  if ('words' in prompt) return typeof prompt.words === 'string' && plainText(prompt.words).trim() !== '' && Boolean(label)
  return Number.isInteger(size) && isCoordinate(size) && isCoordinate(prompt.x) && isCoordinate(prompt.y)
}

/**
 * What is read of an entry; a fraction names the pixel that it lies in, and further keys are left out.
 * @param {Prompt} prompt
 * @returns {Prompt}
 */
function inWholePixels({ x, y, box, stroke, words, label = 1, size = 0, object }) {
  const rest = object === undefined ? { label } : { label, object: plainText(object) }
  if (box) return { ...rest, box: /** @type {any} */ (box.map(Math.floor)) }
  if (stroke) return { ...rest, stroke: stroke.map(([column, row]) => [Math.floor(column), Math.floor(row)]) }
  if (words !== undefined) return { ...rest, words: plainText(words).trim() }
  return { ...rest, x: Math.floor(/** @type {number} */ (x)), y: Math.floor(/** @type {number} */ (y)), size }
}
