/** The pixels that prompts are measured on (shown_pixels.py and shapes.py of the core). */

/** @import { Hierarchy } from '../hierarchy.mjs' */
/** @typedef {[number, number, number, number]} Box left, top and, exclusive, right and bottom */

/** The leaves of an image where they are shown: in cells, of which a large image has fewer than pixels. */
export class ShownPixels {
  /** @param {Hierarchy} hierarchy */
  constructor(hierarchy) {
    const { columns, rows } = hierarchy
    this.hierarchy = hierarchy
    this.counts = this.#counted([0, 0, columns, rows])
    /** @type {Map<number, Uint32Array>} */
    this.cells = new Map()
    /** @type {Box[] | null} */
    this.extents = null
  }

  /**
   * The cells that a box of pixels covers; null where it lies outside of the image.
   * @param {Box} box
   * @returns {Box | null}
   */
  covered(box) {
    const { hierarchy } = this
    const [x1, x2] = [box[0], box[2]].map((x) => Math.min(Math.max(x, 0), hierarchy.width))
    const [y1, y2] = [box[1], box[3]].map((y) => Math.min(Math.max(y, 0), hierarchy.height))
    if (x1 >= x2 || y1 >= y2) return null
    const first = hierarchy.cell({ x: x1, y: y1 })
    const last = hierarchy.cell({ x: x2 - 1, y: y2 - 1 })
    return [first.column, first.row, last.column + 1, last.row + 1]
  }

  /**
   * How much of each leaf lies in a box of cells, 0..1.
   * @param {Box} box
   */
  shares(box) {
    return Float64Array.from(this.#counted(box), (count, leaf) => count / Math.max(this.counts[leaf], 1))
  }

  /**
   * The leaves that a stroke fixes, none where it lies outside of the image.
   * @param {[number, number][]} stroke
   * @param {number} enough share of the leaf, or of the stroke, that it crosses
   */
  crossed(stroke, enough) {
    const { hierarchy, counts } = this
    const { ids, columns, rows } = hierarchy
    if (!stroke.some(([x, y]) => hierarchy.contains({ x, y }))) return []
    const corners = stroke.map(([x, y]) => hierarchy.cell({ x, y }))
    const cells = new Set()
    corners.slice(0, Math.max(corners.length - 1, 1)).forEach((from, index) => {
      const to = corners[Math.min(index + 1, corners.length - 1)]
      for (const [column, row] of lineCells([from.column, from.row], [to.column, to.row])) {
        if (column >= 0 && row >= 0 && column < columns && row < rows) cells.add(row * columns + column)
      }
    })
    const crossed = new Uint32Array(hierarchy.count)
    for (const cell of cells) if (ids[cell]) crossed[ids[cell] - 1]++
    const isFixed = (/** @type {number} */ count, /** @type {number} */ leaf) =>
      count > 0 && (count > enough * counts[leaf] || count > enough * cells.size)
    return [...crossed.keys()].filter((leaf) => isFixed(crossed[leaf], leaf))
  }

  /**
   * The box around some leaves, null where there are none.
   * @param {Uint8Array} some leaves, 1 for each
   * @returns {Box | null}
   */
  boxAround(some) {
    this.extents ??= this.#measured()
    const boxes = this.extents.filter((_, leaf) => some[leaf])
    if (!boxes.length) return null
    const [lefts, tops, rights, bottoms] = [0, 1, 2, 3].map((side) => boxes.map((box) => box[side]))
    return [Math.min(...lefts), Math.min(...tops), Math.max(...rights), Math.max(...bottoms)]
  }

  /**
   * The cells of a leaf.
   * @param {number} leaf
   */
  of(leaf) {
    let cells = this.cells.get(leaf)
    if (!cells) {
      const { ids } = this.hierarchy
      cells = new Uint32Array(this.counts[leaf])
      for (let cell = 0, length = 0; length < cells.length; cell++) {
        if (ids[cell] === leaf + 1) cells[length++] = cell
      }
      this.cells.set(leaf, cells)
    }
    return cells
  }

  /** The box around each leaf. */
  #measured() {
    const { ids, columns, rows, count } = this.hierarchy
    const boxes = Array.from({ length: count }, () => /** @type {Box} */ ([columns, rows, 0, 0]))
    for (let row = 0, cell = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, cell++) {
        const box = boxes[ids[cell] - 1]
        if (!box) continue
        if (column < box[0]) box[0] = column
        if (column >= box[2]) box[2] = column + 1
        if (row < box[1]) box[1] = row
        if (row >= box[3]) box[3] = row + 1
      }
    }
    return boxes
  }

  /**
   * How many cells of each leaf lie in a box of them.
   * @param {Box} box
   */
  #counted([x1, y1, x2, y2]) {
    const { ids, columns, count } = this.hierarchy
    const counts = new Uint32Array(count + 1)
    for (let row = y1; row < y2; row++) {
      for (let cell = row * columns + x1; cell < row * columns + x2; cell++) counts[ids[cell]]++
    }
    return counts.subarray(1)
  }
}

/**
 * Intersection over union.
 * @param {Box} one
 * @param {Box} other
 */
export function boxIou(one, other) {
  const width = Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0]))
  const height = Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]))
  const shared = width * height
  return shared / (area(one) + area(other) - shared)
}

/** @param {Box} box */
function area([left, top, right, bottom]) {
  return (right - left) * (bottom - top)
}

/**
 * The cells of a straight line. Halves go to the higher cell.
 * @param {[number, number]} first
 * @param {[number, number]} second
 * @returns {[number, number][]}
 */
function lineCells(first, second) {
  const along = [second[0] - first[0], second[1] - first[1]]
  const steps = Math.max(Math.abs(along[0]), Math.abs(along[1]), 1)
  return Array.from({ length: steps + 1 }, (_, step) => [
    first[0] + Math.floor((2 * step * along[0] + steps) / (2 * steps)),
    first[1] + Math.floor((2 * step * along[1] + steps) / (2 * steps))
  ])
}
