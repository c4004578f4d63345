/** An image cut into small pieces, and the order in which these join: every cut through it is a label map. */

import { LabelMap } from './label_map.mjs'
import { decodePng } from './png.mjs'

/** @typedef {import('./label_map.mjs').Point} Point */

/** No border: a level that no number of segments exceeds. */
export const NO_BORDER = 65535

export class Hierarchy {
  /**
   * @param {number} columns of the ids
   * @param {number} rows of the ids
   * @param {Uint16Array} ids row by row, leaf number + 1, 0 for no segment
   * @param {number[]} areas of the leaves, in pixels
   * @param {Point[]} poles of the leaves: where each has most room
   * @param {[number, number][] | null} joins in order: the segment whose first leaf is the second number becomes
   *   part of the one whose first leaf is the first, which is smaller. Null where the segments have no tree: the
   *   leaves are then the segments themselves.
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
    this.joins = joins
    /** Of each leaf: which segment it became part of, and in which join. The root never did. */
    this.parents = new Int32Array(areas.length)
    this.times = new Float64Array(areas.length).fill(Infinity)
    joins?.forEach(([first, second], time) => {
      this.parents[second] = first
      this.times[second] = time
    })
    /** @type {Map<number, number>} */
    this.levels = new Map()
  }

  /**
   * Read the PNG that the node wrote.
   * @param {ArrayBuffer} file
   */
  static async fromPng(file) {
    const { width, height, values, texts } = await decodePng(file)
    const { areas, poles, joins, size } = JSON.parse(texts.get('diffseg') ?? '{"areas": [], "poles": []}')
    const places = poles.map((/** @type {[number, number]} */ [x, y]) => ({ x, y }))
    return new Hierarchy(width, height, /** @type {Uint16Array} */ (values), areas, places, joins, size)
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
  cell({ x, y }) {
    const { columns, rows, width, height } = this
    return {
      column: Math.floor(((2 * Math.floor(x) + 1) * columns) / (2 * width)),
      row: Math.floor(((2 * Math.floor(y) + 1) * rows) / (2 * height))
    }
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
   * The image in so many segments: numbered by falling area, those of equal area by their first leaves, as
   * the node does.
   * @param {number} number of segments, from 1; without a tree there are always all
   */
  cut(number) {
    const { areas, joins } = this
    if (!joins) return new LabelMap(this, Uint16Array.from(areas.keys()))
    const first = Uint16Array.from(areas.keys()) // leaf of each leaf's segment
    for (let time = this.count - number - 1; time >= 0; time--) first[joins[time][1]] = first[joins[time][0]]
    const sums = new Float64Array(this.count)
    first.forEach((name, leaf) => (sums[name] += areas[leaf]))
    const names = [...areas.keys()].filter((leaf) => first[leaf] === leaf)
    names.sort((one, other) => sums[other] - sums[one] || one - other)
    const ranks = new Uint16Array(this.count)
    names.forEach((name, rank) => (ranks[name] = rank))
    return new LabelMap(
      this,
      first.map((name) => ranks[name])
    )
  }

  /**
   * The most segments at which two leaves are one, 0 where they never are: with more of them there is a border
   * in between.
   * @param {number} one a leaf, or NO_SEGMENT
   * @param {number} other another
   */
  level(one, other) {
    if (!this.joins || one < 0 || other < 0) return 0
    const pair = one < other ? one * this.count + other : other * this.count + one
    let level = this.levels.get(pair)
    if (level === undefined) {
      level = this.count - 1 - this.#meet(one, other)
      this.levels.set(pair, level)
    }
    return level
  }

  /**
   * The join that makes two leaves one. On the way to the root joins come later and later.
   * @param {number} one
   * @param {number} other
   */
  #meet(one, other) {
    const { parents, times } = this
    let time = -1
    while (one !== other) {
      if (times[one] > times[other]) [one, other] = [other, one]
      time = times[one]
      one = parents[one]
    }
    return time
  }

  /**
   * The leaves at another size, every pixel that of the nearest: leaf number + 1.
   * @param {number} width
   * @param {number} height
   */
  resampled(width, height) {
    if (width === this.columns && height === this.rows) return this.ids
    const columns = Uint32Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * this.columns) / width))
    const out = new Uint16Array(width * height)
    for (let y = 0; y < height; y++) {
      const row = Math.floor(((y + 0.5) * this.rows) / height) * this.columns
      for (let x = 0; x < width; x++) out[y * width + x] = this.ids[row + columns[x]]
    }
    return out
  }
}
