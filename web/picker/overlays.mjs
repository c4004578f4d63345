/** What is painted over an image: segments, or objects and what the pointer would add or take away. */

import { colour } from './painter.mjs'

/** @import { Hierarchy } from './hierarchy.mjs' */
/** @import { LabelMap } from './label_map.mjs' */
/** @import { Overlay, Style } from './painter.mjs' */

/**
 * An object as it is painted.
 * @typedef {object} PaintedObject
 * @property {Uint8Array} label 1 for each leaf that it holds
 * @property {{leaf: number, cells: Uint32Array, own: Uint8Array}[]} divided leaves of which it holds some cells
 */

/** What one of the objects would hold. @typedef {{index: number, label: Uint8Array}} Preview */

/** @type {Style} */
const IDLE = [0, colour(0, 0, 0, 0.55), colour(255, 255, 255, 0.5)]
/** @type {Style} */
const HOVERED = [colour(255, 255, 255, 0.3), colour(0, 0, 0, 0.8), colour(255, 255, 255, 1)]
/** @type {Style} */
const CHOSEN = [colour(40, 140, 255, 0.5), colour(0, 40, 110, 0.9), colour(120, 200, 255, 1)]
/** @type {Style} */
const CHOSEN_HOVERED = [colour(80, 165, 255, 0.68), colour(0, 40, 110, 0.9), colour(255, 255, 255, 1)]

/** Red, green and blue of objects, told apart by people who are colour-blind too. @type {[number, number, number][]} */
const HUES = [
  [40, 140, 255],
  [255, 150, 30],
  [70, 205, 120],
  [225, 90, 205],
  [240, 215, 50],
  [60, 215, 225],
  [245, 85, 75],
  [160, 120, 255]
]

const MOST = 62 // objects with a number of their own; further ones begin again
const [ADDED, REMOVED] = [64, 128]
const NUMBER = ADDED - 1
const EDGE = colour(0, 0, 0, 0.85)
const WHITE = colour(255, 255, 255, 1)

/** By the number of the object, 0 for none, and what would become of it. */
const OBJECT_STYLES = Array.from({ length: 256 }, (_, number) => styleOf(number))

/**
 * The colour of an object as CSS has it.
 * @param {number} index from 0
 */
export function hueOf(index) {
  return `rgb(${HUES[index % HUES.length].join(', ')})`
}

/**
 * @param {LabelMap} map
 * @param {Uint8Array} chosen 1 or 0 for each segment
 * @param {number} hovered a segment, or NO_SEGMENT
 * @returns {Overlay}
 */
export function segmentsOverlay(map, chosen, hovered) {
  const styles = Array.from(chosen, (is) => (is ? CHOSEN : IDLE))
  if (hovered in styles) styles[hovered] = chosen[hovered] ? CHOSEN_HOVERED : HOVERED
  return { groups: map.segments, styles }
}

/**
 * @param {PaintedObject[]} objects later ones lie over earlier ones
 * @param {Preview | null} preview
 * @param {number} count of leaves
 * @returns {Overlay}
 */
export function objectsOverlay(objects, preview, count) {
  const groups = new Uint16Array(count)
  objects.forEach(({ label }, index) => label.forEach((is, leaf) => is && (groups[leaf] = numberOf(index))))
  preview?.label.forEach((is, leaf) => {
    const held = objects[preview.index]?.label[leaf]
    if (is && !held) groups[leaf] |= ADDED
    else if (!is && held) groups[leaf] |= REMOVED
  })
  /** @type {Map<number, {leaf: number, cells: Uint32Array, groups: Uint16Array}>} */
  const parts = new Map()
  objects.forEach(({ divided }, index) => {
    for (const { leaf, cells, own } of divided) {
      const before = parts.get(leaf)?.groups ?? new Uint16Array(cells.length).fill(groups[leaf])
      const number = numberOf(index)
      const after = before.map((group, cell) => {
        const isHeld = (group & NUMBER) === number
        return (group & ~NUMBER) | (own[cell] ? number : isHeld ? 0 : group & NUMBER)
      })
      parts.set(leaf, { leaf, cells, groups: after })
    }
  })
  return { groups, styles: OBJECT_STYLES, parts: [...parts.values()] }
}

/**
 * What is none of some objects, as one.
 * @param {PaintedObject[]} objects
 * @param {Pick<Hierarchy, 'count'>} hierarchy
 * @returns {PaintedObject}
 */
export function inverted(objects, { count }) {
  const label = Uint8Array.from({ length: count }, (_, leaf) => (objects.some((object) => object.label[leaf]) ? 0 : 1))
  /** @type {Map<number, PaintedObject['divided'][number]>} */
  const divided = new Map()
  for (const { leaf, cells, own } of objects.flatMap((object) => object.divided)) {
    const isWhole = (/** @type {PaintedObject} */ object) =>
      object.label[leaf] && !object.divided.some((part) => part.leaf === leaf)
    const before = divided.get(leaf)?.own ?? own.map(() => (objects.some(isWhole) ? 0 : 1))
    divided.set(leaf, { leaf, cells, own: before.map((is, index) => (own[index] ? 0 : is)) })
  }
  return { label, divided: [...divided.values()] }
}

/**
 * An object's share of the image, in percent; leaves that are divided count by their cells.
 * @param {PaintedObject} object
 * @param {Hierarchy} hierarchy
 */
export function shareOf({ label, divided }, hierarchy) {
  const parts = new Map(divided.map(({ leaf, own }) => [leaf, own.reduce((sum, is) => sum + is, 0) / own.length]))
  const held = hierarchy.areas.map((area, leaf) => area * (parts.get(leaf) ?? label[leaf]))
  return (100 * held.reduce((sum, area) => sum + area, 0)) / (hierarchy.width * hierarchy.height)
}

/** @param {number} index of an object */
function numberOf(index) {
  return 1 + (index % MOST)
}

/**
 * @param {number} number of an object, with what would become of it
 * @returns {Style}
 */
function styleOf(number) {
  if (!number) return [0, 0, 0]
  const [red, green, blue] = HUES[((number & NUMBER) + HUES.length - 1) % HUES.length]
  if (number & REMOVED) return [colour(20, 0, 0, 0.6), EDGE, WHITE]
  if (number & ADDED) return [colour(255, 255, 255, 0.35), EDGE, WHITE]
  return [colour(red, green, blue, 0.48), EDGE, colour((red + 255) / 2, (green + 255) / 2, (blue + 255) / 2, 1)]
}
