/** An image cut into small pieces, and the order in which these join: every cut through it is a label map. */

import { LabelMap } from './label_map.mjs'
import { Tree } from './tree.mjs'

/** @import { Point } from './label_map.mjs' */
/** @import { Tables } from './files.mjs' */

export class Hierarchy {
  /**
   * @param {number} columns of the ids
   * @param {number} rows of the ids
   * @param {Uint16Array} ids row by row, leaf number + 1, 0 for no segment
   * @param {number[]} areas of the leaves, in pixels
   * @param {Point[]} poles of the leaves: where each has most room
   * @param {[number, number][] | null} joins see `Tree`. Null where the segments have no tree: the leaves are then the
   *   segments themselves.
   * @param {[number, number]} size width and height of the image in pixels, of which there may be more than ids
   */
  constructor(columns, rows, ids, areas, poles, joins = null, size = [columns, rows]) {
    this.columns = columns
    this.rows = rows
    this.width = size[0]
    this.height = size[1]
    this.ids = ids
    this.areas = areas
    this.poles = poles
    this.hasTree = joins !== null
    this.tree = new Tree(areas, joins ?? [])
  }

  /** @param {Tables} tables that the node wrote of an image */
  static of({ ids, areas, poles, joins, size, shapes }) {
    const [rows, columns] = shapes.ids
    const places = pairs(poles).map(([x, y]) => ({ x, y }))
    return new Hierarchy(columns, rows, ids, Array.from(areas), places, joins ? pairs(joins) : null, size)
  }

  /**
   * The leaf under a pixel of the image, or NO_SEGMENT.
   * @param {Point} point in the image
   */
  leafAt(point) {
    const { column, row } = this.cell(point)
    return this.ids[row * this.columns + column] - 1
  }

  /**
   * The pixel whose id stands for a pixel of the image: itself, unless there are fewer ids.
   * @param {Point} point in the image
   */
  sampled(point) {
    const { column, row } = this.cell(point)
    return this.middle(column, row)
  }

  /**
   * Whether a point lies in the image.
   * @param {Point} point
   */
  contains({ x, y }) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height
  }

  /**
   * Where the id of a pixel of the image stands.
   * @param {Point} point
   */
  cell(point) {
    return cellOf(point, this, this)
  }

  /**
   * The pixel of the image whose id stands there.
   * @param {number} column
   * @param {number} row
   * @returns {Point}
   */
  middle(column, row) {
    const { columns, rows, width, height } = this
    return {
      x: Math.floor(((2 * column + 1) * width) / (2 * columns)),
      y: Math.floor(((2 * row + 1) * height) / (2 * rows))
    }
  }

  /**
   * The pixel at a place of the image; where there are fewer ids, the one whose id there is.
   * @param {number} across 0..1 from the left edge to the right one
   * @param {number} down 0..1 from the top to the bottom
   * @returns {Point}
   */
  pixelAt(across, down) {
    const { columns, rows } = this
    const column = Math.min(columns - 1, Math.floor(across * columns))
    return this.middle(column, Math.min(rows - 1, Math.floor(down * rows)))
  }

  /** Number of leaves, the most segments that there can be. */
  get count() {
    return this.areas.length
  }

  /**
   * The image in so many segments.
   * @param {number} number of segments, from 1; without a tree there are always all, as they are numbered
   */
  cut(number) {
    return new LabelMap(this, this.hasTree ? this.tree.cut(number) : Uint16Array.from(this.areas.keys()))
  }

  /**
   * The leaves at another size, every pixel that of the nearest: leaf number + 1.
   * @param {number} width
   * @param {number} height
   */
  resampled(width, height) {
    if (width === this.columns && height === this.rows) return this.ids
    const columns = Uint32Array.from({ length: width }, (_, x) => cellOf({ x, y: 0 }, this, { width, height }).column)
    const out = new Uint16Array(width * height)
    for (let y = 0; y < height; y++) {
      const row = cellOf({ x: 0, y }, this, { width, height }).row * this.columns
      for (let x = 0; x < width; x++) out[y * width + x] = this.ids[row + columns[x]]
    }
    return out
  }
}

/**
 * The cell of a grid over an image in which the middle of a pixel lies.
 * @param {Point} point in the image
 * @param {{columns: number, rows: number}} grid
 * @param {{width: number, height: number}} image in pixels
 */
export function cellOf({ x, y }, { columns, rows }, { width, height }) {
  return {
    column: Math.floor(((2 * Math.floor(x) + 1) * columns) / (2 * width)),
    row: Math.floor(((2 * Math.floor(y) + 1) * rows) / (2 * height))
  }
}

/**
 * @param {ArrayLike<number>} numbers
 * @returns {[number, number][]} two by two
 */
function pairs(numbers) {
  return Array.from({ length: numbers.length / 2 }, (_, index) => [numbers[2 * index], numbers[2 * index + 1]])
}
