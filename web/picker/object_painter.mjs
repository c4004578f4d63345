/** Paints objects over an image: what each holds, its border, and what the pointer would add or take away. */

import { colour, groupedByLeaf, rowsByLeaf } from './raster.mjs'

/** @typedef {import('./hierarchy.mjs').Hierarchy} Hierarchy */

/**
 * An object as it is painted.
 * @typedef {object} PaintedObject
 * @property {Uint8Array} label 1 for each leaf that it holds
 * @property {{leaf: number, cells: Uint32Array, own: Uint8Array}[]} divided leaves of which it holds some cells
 */

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

const NOTHING = colour(0, 0, 0, 0)
const OUTSIDE = colour(0, 0, 0, 0.6)
const ADDED_INSIDE = colour(255, 255, 255, 0.35)
const REMOVED_INSIDE = colour(20, 0, 0, 0.6)
const EDGE = colour(0, 0, 0, 0.85)
const WHITE = colour(255, 255, 255, 1)

/**
 * The colour of an object as CSS has it.
 * @param {number} index from 0
 */
export function hueOf(index) {
  return `rgb(${HUES[index % HUES.length].join(', ')})`
}

/**
 * What is none of some objects, as one.
 * @param {PaintedObject[]} objects
 * @param {Hierarchy} hierarchy
 * @returns {PaintedObject}
 */
export function inverted(objects, { count }) {
  const label = Uint8Array.from({ length: count }, (_, leaf) => (objects.some((each) => each.label[leaf]) ? 0 : 1))
  /** @type {Map<number, PaintedObject['divided'][number]>} */
  const divided = new Map()
  for (const { leaf, cells, own } of objects.flatMap((each) => each.divided)) {
    const others = objects.filter((each) => each.label[leaf] && !each.divided.some((part) => part.leaf === leaf))
    const before = divided.get(leaf)?.own ?? own.map(() => (others.length ? 0 : 1))
    divided.set(leaf, { leaf, cells, own: before.map((is, index) => (own[index] ? 0 : is)) })
  }
  return { label, divided: [...divided.values()] }
}

export class ObjectPainter {
  /**
   * @param {Hierarchy} hierarchy
   * @param {number} width of the canvas, in its pixels
   * @param {number} height
   * @param {number} line width of one half of a border, in pixels of the canvas
   */
  constructor(hierarchy, width, height, line) {
    this.hierarchy = hierarchy
    this.width = width
    this.height = height
    this.line = line
    this.image = new ImageData(width, height)
    this.out = new Uint32Array(this.image.data.buffer)
    this.ids = hierarchy.resampled(width, height)
    this.rows = rowsByLeaf(this.ids, width, hierarchy.count + 1)
    const all = Uint32Array.from(this.ids.keys())
    this.pixels = groupedByLeaf(all, this.ids, hierarchy.count + 1)
    const near = all.filter((pixel) => this.#differs(this.ids, pixel, 1, 2 * line))
    this.near = groupedByLeaf(near, this.ids, hierarchy.count + 1)
    this.beside = this.#neighbours(near)
    /** Of each pixel the object that it belongs to, and what would become of it. */
    this.numbers = new Uint8Array(this.ids.length)
    /** The object of each leaf as it is painted, 255 for not yet; and the leaves that are divided. */
    this.painted = new Uint8Array(hierarchy.count).fill(255)
    /** @type {Set<number>} */
    this.divided = new Set()
    for (let row = this.rows.starts[0]; row < this.rows.starts[1]; row++) {
      this.out.fill(OUTSIDE, this.rows.pixels[row], this.rows.ends[row])
    }
    this.inside = new Uint32Array(256)
    this.rim = new Uint32Array(256)
    for (let number = 0; number < 256; number++) {
      const object = number & NUMBER
      const [red, green, blue] = HUES[(object + HUES.length - 1) % HUES.length]
      this.inside[number] = object ? colour(red, green, blue, 0.48) : NOTHING
      this.rim[number] = object ? colour((red + 255) / 2, (green + 255) / 2, (blue + 255) / 2, 1) : NOTHING
      if (number & ADDED) this.inside[number] = ADDED_INSIDE
      if (number & REMOVED) this.inside[number] = REMOVED_INSIDE
      if (number & (ADDED | REMOVED)) this.rim[number] = WHITE
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {PaintedObject[]} objects later ones lie over earlier ones
   * @param {{index: number, label: Uint8Array} | null} preview what one of them would hold
   */
  paint(context, objects, preview) {
    const divided = new Set(objects.flatMap((object) => object.divided.map(({ leaf }) => leaf)))
    const changed = new Set([...this.divided, ...divided])
    this.painted.forEach((before, leaf) => {
      const number = this.#numberOf(leaf, objects, preview)
      if (number !== before || changed.has(leaf)) {
        changed.add(leaf)
        this.#fill(leaf, number)
      }
    })
    objects.forEach((object, index) => {
      for (const part of object.divided) this.#divide(part, 1 + (index % MOST))
    })
    const around = new Set(changed)
    for (const leaf of changed) for (const other of this.beside[leaf]) around.add(other)
    for (const leaf of around) this.#outline(divided.has(leaf) ? this.pixels : this.near, leaf)
    this.divided = divided
    context.putImageData(this.image, 0, 0)
  }

  /**
   * @param {number} leaf
   * @param {number} number
   */
  #fill(leaf, number) {
    const { rows, numbers, out, inside } = this
    this.painted[leaf] = number
    for (let row = rows.starts[leaf + 1]; row < rows.starts[leaf + 2]; row++) {
      numbers.fill(number, rows.pixels[row], rows.ends[row])
      out.fill(inside[number], rows.pixels[row], rows.ends[row])
    }
  }

  /**
   * The leaves near each leaf.
   * @param {Uint32Array} near pixels near borders
   */
  #neighbours(near) {
    const { ids, width, line } = this
    const beside = Array.from({ length: this.hierarchy.count }, () => /** @type {Set<number>} */ (new Set()))
    for (const pixel of near) {
      for (let step = 1; step <= 2 * line; step++) {
        for (const other of [pixel % width >= step ? pixel - step : pixel, pixel - step * width]) {
          const [one, two] = [ids[pixel], ids[other] ?? 0]
          if (!one || !two || one === two) continue
          beside[one - 1].add(two - 1)
          beside[two - 1].add(one - 1)
        }
      }
    }
    return beside
  }

  /**
   * @param {number} leaf
   * @param {PaintedObject[]} objects
   * @param {{index: number, label: Uint8Array} | null} preview
   */
  #numberOf(leaf, objects, preview) {
    let number = 0
    objects.forEach(({ label }, index) => {
      if (label[leaf]) number = 1 + (index % MOST)
    })
    if (!preview) return number
    const holds = objects[preview.index]?.label[leaf] === 1
    if (preview.label[leaf] && !holds) return number | ADDED
    return !preview.label[leaf] && holds ? number | REMOVED : number
  }

  /**
   * @param {PaintedObject['divided'][number]} part
   * @param {number} number of the object
   */
  #divide({ leaf, cells, own }, number) {
    const { hierarchy, width, height, pixels, numbers, out, inside } = this
    const isOwn = new Map()
    cells.forEach((cell, index) => isOwn.set(cell, own[index]))
    for (let index = pixels.starts[leaf + 1]; index < pixels.starts[leaf + 2]; index++) {
      const pixel = pixels.pixels[index]
      const column = Math.floor((((pixel % width) + 0.5) * hierarchy.columns) / width)
      const row = Math.floor(((Math.floor(pixel / width) + 0.5) * hierarchy.rows) / height)
      const flags = numbers[pixel] & ~NUMBER
      const before = numbers[pixel] & NUMBER
      const after = isOwn.get(row * hierarchy.columns + column) ? number : before === number ? 0 : before
      numbers[pixel] = after | flags
      out[pixel] = inside[numbers[pixel]]
    }
  }

  /**
   * Paint borders between objects.
   * @param {{starts: Uint32Array, pixels: Uint32Array}} pixels on which there may be some, by leaf
   * @param {number} leaf
   */
  #outline({ starts, pixels }, leaf) {
    const { numbers, out, inside, rim, line } = this
    for (let index = starts[leaf + 1]; index < starts[leaf + 2]; index++) {
      const pixel = pixels[index]
      const number = numbers[pixel]
      if (this.#differs(numbers, pixel, 1, line)) out[pixel] = number ? EDGE : inside[0]
      else if (number && this.#differs(numbers, pixel, line + 1, 2 * line)) out[pixel] = rim[number]
      else out[pixel] = inside[number]
    }
  }

  /**
   * Whether a pixel beside, above or below differs.
   * @param {Uint8Array | Uint16Array} values
   * @param {number} pixel
   * @param {number} from how far away, in pixels
   * @param {number} to
   */
  #differs(values, pixel, from, to) {
    const { width, height } = this
    const own = values[pixel]
    const x = pixel % width
    const y = (pixel - x) / width
    for (let step = from; step <= to; step++) {
      if (x >= step && values[pixel - step] !== own) return true
      if (x + step < width && values[pixel + step] !== own) return true
      if (y >= step && values[pixel - step * width] !== own) return true
      if (y + step < height && values[pixel + step * width] !== own) return true
    }
    return false
  }
}
