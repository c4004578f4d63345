/** What a person says of objects: clicks, boxes, strokes, each for one or against it, and words; as text and back. */

/** @import { Hierarchy } from '../hierarchy.mjs' */
/** @import { Point } from '../label_map.mjs' */

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

const FARTHEST = 1_000_000 // a coordinate of any image, as in points.py of the core

// Joiners belong to the word in Arabic, in India's scripts and within emoji.
const UNSEEN =
  /[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|(?<![\u0600-\u1cff\u2190-\u2bff\ufe0f\u{1f000}-\u{1faff}])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u1cff\u2190-\u2bff\ufe0f\u{1f000}-\u{1faff}])/gu
const HALVES = /\p{Surrogate}/gu // of a pair, alone: no letter
const SPACES = /[\x1c-\x1f\x85\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g

/** The object of prompts that name none. */
export const FIRST_OBJECT = 'Object 1'

/**
 * Text as it is seen: without marks that have no width, with usual spaces, letters composed (plain_text.py of the core,
 * which see).
 * @param {string} text
 */
export function plainText(text) {
  return text.normalize('NFC').replace(HALVES, '').replace(UNSEEN, '').replace(SPACES, ' ')
}

/**
 * Read the points of a string widget, as the node does (PROTOCOL.md); null where the text is not a list of points.
 * @param {string} text
 * @returns {Point[] | null}
 */
export function parsePoints(text) {
  return parseList(text, (point) => isCoordinate(point?.x) && isCoordinate(point?.y))
}

/**
 * A list in JSON, empty where there is no text; null where it is no list, or of something else.
 * @param {string} text
 * @param {(entry: any) => boolean} isEntry
 * @returns {any[] | null}
 */
function parseList(text, isEntry) {
  try {
    const list = JSON.parse(plainText(text).trim() || '[]') ?? []
    return Array.isArray(list) && list.every(isEntry) ? list : null
  } catch {
    return null
  }
}

/**
 * Whether a value can be a coordinate of an image.
 * @param {unknown} value
 */
function isCoordinate(value) {
  return typeof value === 'number' && Math.abs(value) <= FARTHEST
}

/**
 * Points as the string widget keeps them.
 * @param {Point[]} points
 */
export function formatPoints(points) {
  return `[${points.map(({ x, y }) => `{"x": ${x}, "y": ${y}}`).join(', ')}]`
}

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
