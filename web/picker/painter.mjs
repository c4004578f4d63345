/**
 * Paints leaves over an image, in groups with borders between them: segments, or objects.
 *
 * Where the leaves lie is known beforehand, as rows of pixels that are filled at once, and so are the leaves beside
 * each. So another overlay costs no more than the leaves that change and those around them.
 */

import { cellOf } from './hierarchy.mjs'

/** @import { Hierarchy } from './hierarchy.mjs' */

/** Colours of a pixel inside of its group, next to the border, and next to those: see `colour`. */
/** @typedef {[number, number, number]} Style */

/**
 * What is painted.
 * @typedef {object} Overlay
 * @property {ArrayLike<number>} groups of each leaf the group, below NO_GROUP
 * @property {ArrayLike<Style>} styles of each group; another style is another object
 * @property {{leaf: number, cells: ArrayLike<number>, groups: ArrayLike<number>}[]} [parts] leaves that are divided, with
 *   the groups of their cells
 */

const NO_GROUP = 65535 // where no leaf is
const NO_LEAF = colour(0, 0, 0, 0.6)

export class Painter {
  /**
   * @param {Hierarchy} hierarchy
   * @param {number} width of the canvas, in its pixels
   * @param {number} height
   * @param {number} line width of one half of a border, in pixels of the canvas
   */
  constructor(hierarchy, width, height, line) {
    const { count } = hierarchy
    const ids = hierarchy.resampled(width, height)
    this.hierarchy = hierarchy
    this.width = width
    this.height = height
    this.line = line
    this.image = new ImageData(width, height)
    this.out = new Uint32Array(this.image.data.buffer).fill(NO_LEAF)
    this.isNew = true // nothing is on the canvas yet
    const starts = Uint32Array.from(ids.keys()).filter((pixel) => pixel % width === 0 || ids[pixel] !== ids[pixel - 1])
    /** The first pixel of each row of a leaf's pixels. */
    this.rows = groupedByLeaf(starts, ids, count)
    this.ends = this.rows.pixels.map((pixel) => {
      let end = pixel + 1
      while (end % width && ids[end] === ids[pixel]) end++
      return end
    })
    const { near, beside } = neighbours(ids, width, count, 2 * line)
    /** Of each leaf the pixels near its border, and the leaves near it, `count` where none is. */
    this.near = groupedByLeaf(near, ids, count)
    this.beside = beside
    /** The group of each pixel, and of each leaf as it is painted. */
    this.groups = new Uint16Array(ids.length).fill(NO_GROUP)
    this.painted = new Uint16Array(count + 1).fill(NO_GROUP)
    /** @type {(Style | undefined)[]} */
    this.styles = new Array(count)
    /** @type {Set<number>} */
    this.divided = new Set()
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Overlay} overlay
   * @param {boolean} isWhole whether the canvas has something else on it, so that all of it is painted
   */
  paint(context, { groups, styles, parts = [] }, isWhole) {
    const divided = new Set(parts.map(({ leaf }) => leaf))
    const changed = new Set([...this.divided, ...divided])
    const around = new Set(changed)
    for (let leaf = 0; leaf < this.hierarchy.count; leaf++) {
      if (this.painted[leaf] !== groups[leaf]) changed.add(leaf)
      else if (this.styles[leaf] !== styles[groups[leaf]]) around.add(leaf)
      this.painted[leaf] = groups[leaf]
      this.styles[leaf] = styles[groups[leaf]]
    }
    for (const leaf of changed) {
      around.add(leaf)
      for (const other of this.beside[leaf]) if (other < this.hierarchy.count) around.add(other)
    }
    for (const leaf of around) this.#fill(leaf)
    for (const part of parts) this.#divide(part, styles)
    for (const leaf of around) {
      if (divided.has(leaf)) this.#outline(this.#pixelsOf(leaf), styles)
      else if ([...this.beside[leaf]].some((other) => this.painted[other] !== this.painted[leaf] || divided.has(other))) {
        this.#outline(this.near.pixels.subarray(this.near.starts[leaf], this.near.starts[leaf + 1]), styles)
      }
    }
    this.divided = divided
    if (isWhole || this.isNew) context.putImageData(this.image, 0, 0)
    else this.#put(context, around)
    this.isNew = false
  }

  /** @param {number} leaf */
  #fill(leaf) {
    const { rows, ends, groups, out, painted } = this
    const [inside] = /** @type {Style} */ (this.styles[leaf])
    for (let row = rows.starts[leaf]; row < rows.starts[leaf + 1]; row++) {
      groups.fill(painted[leaf], rows.pixels[row], ends[row])
      out.fill(inside, rows.pixels[row], ends[row])
    }
  }

  /**
   * All pixels of a leaf.
   * @param {number} leaf
   */
  #pixelsOf(leaf) {
    const pixels = []
    for (let row = this.rows.starts[leaf]; row < this.rows.starts[leaf + 1]; row++) {
      for (let pixel = this.rows.pixels[row]; pixel < this.ends[row]; pixel++) pixels.push(pixel)
    }
    return pixels
  }

  /** @param {NonNullable<Overlay['parts']>[number]} part @param {ArrayLike<Style>} styles */
  #divide({ leaf, cells, groups }, styles) {
    const { hierarchy, width, height } = this
    const byCell = new Map(Array.from(cells, (cell, index) => [cell, groups[index]]))
    for (const pixel of this.#pixelsOf(leaf)) {
      const { column, row } = cellOf({ x: pixel % width, y: Math.floor(pixel / width) }, hierarchy, { width, height })
      const group = /** @type {number} */ (byCell.get(row * hierarchy.columns + column))
      this.groups[pixel] = group
      this.out[pixel] = styles[group][0]
    }
  }

  /**
   * Paint borders between groups.
   * @param {Iterable<number>} pixels on which there may be some
   * @param {ArrayLike<Style>} styles
   */
  #outline(pixels, styles) {
    const { groups, out, line } = this
    for (const pixel of pixels) {
      if (this.#differs(pixel, 1, line)) out[pixel] = styles[groups[pixel]][1]
      else if (this.#differs(pixel, line + 1, 2 * line)) out[pixel] = styles[groups[pixel]][2]
    }
  }

  /**
   * Whether a pixel beside, above or below is of another group.
   * @param {number} pixel
   * @param {number} from how far away, in pixels
   * @param {number} to
   */
  #differs(pixel, from, to) {
    const { groups, width, height } = this
    const group = groups[pixel]
    const x = pixel % width
    const y = (pixel - x) / width
    for (let step = from; step <= to; step++) {
      if (x >= step && groups[pixel - step] !== group) return true
      if (x + step < width && groups[pixel + step] !== group) return true
      if (y >= step && groups[pixel - step * width] !== group) return true
      if (y + step < height && groups[pixel + step * width] !== group) return true
    }
    return false
  }

  /**
   * Bring some leaves to the canvas.
   * @param {CanvasRenderingContext2D} context
   * @param {Iterable<number>} leaves
   */
  #put(context, leaves) {
    const { rows, ends, width } = this
    let [left, top, right, bottom] = [width, Infinity, 0, 0]
    for (const leaf of leaves) {
      for (let row = rows.starts[leaf]; row < rows.starts[leaf + 1]; row++) {
        const y = Math.floor(rows.pixels[row] / width)
        left = Math.min(left, rows.pixels[row] - y * width)
        right = Math.max(right, ends[row] - y * width)
        top = Math.min(top, y)
        bottom = Math.max(bottom, y + 1)
      }
    }
    if (right > left) context.putImageData(this.image, 0, 0, left, top, right - left, bottom - top)
  }
}

/**
 * A colour as a canvas keeps it: bytes red, green, blue, alpha, in memory order.
 * @param {number} red 0..255
 * @param {number} green 0..255
 * @param {number} blue 0..255
 * @param {number} alpha 0..1
 */
export function colour(red, green, blue, alpha) {
  return new Uint32Array(Uint8Array.of(red, green, blue, Math.round(alpha * 255)).buffer)[0]
}

/**
 * Pixels of every leaf side by side (a counting sort): those of a leaf from `starts[leaf]` to `starts[leaf + 1]`.
 * @param {Uint32Array} pixels
 * @param {Uint16Array} ids of all pixels, leaf number + 1, 0 where none is
 * @param {number} count of leaves
 */
function groupedByLeaf(pixels, ids, count) {
  const starts = new Uint32Array(count + 1)
  for (const pixel of pixels) if (ids[pixel]) starts[ids[pixel]]++
  for (let leaf = 0; leaf < count; leaf++) starts[leaf + 1] += starts[leaf]
  const next = starts.slice()
  const grouped = new Uint32Array(starts[count])
  for (const pixel of pixels) if (ids[pixel]) grouped[next[ids[pixel] - 1]++] = pixel
  return { starts, pixels: grouped }
}

/**
 * The pixels that have another leaf beside, above or below, and the leaves that each leaf has so.
 * @param {Uint16Array} ids
 * @param {number} width
 * @param {number} count of leaves, which stands for no leaf
 * @param {number} reach how far away, in pixels
 */
function neighbours(ids, width, count, reach) {
  const isNear = new Uint8Array(ids.length)
  const beside = Array.from({ length: count + 1 }, () => /** @type {Set<number>} */ (new Set()))
  const leafOf = (/** @type {number} */ pixel) => (ids[pixel] || count + 1) - 1
  /** @param {number} pixel @param {number} other */
  function note(pixel, other) {
    if (ids[other] === ids[pixel]) return
    isNear[pixel] = isNear[other] = 1
    beside[leafOf(pixel)].add(leafOf(other))
    beside[leafOf(other)].add(leafOf(pixel))
  }
  for (let pixel = 0; pixel < ids.length; pixel++) {
    const right = width - (pixel % width) // pixels up to the edge
    for (let step = 1; step <= reach; step++) {
      if (step < right) note(pixel, pixel + step)
      if (pixel + step * width < ids.length) note(pixel, pixel + step * width)
    }
  }
  return { near: Uint32Array.from(ids.keys()).filter((pixel) => isNear[pixel]), beside }
}
