/** A picture cut into small pieces, and the order in which these join: every cut through it is a label map. */

import { LabelMap } from './label_map.mjs'
import { decodeGrey16 } from './png.mjs'

/** @typedef {import('./label_map.mjs').Point} Point */

/** No border: a level that no number of segments exceeds. */
export const NEVER = 65535

export class Hierarchy {
  /**
   * @param {number} width in pixels
   * @param {number} height in pixels
   * @param {Uint16Array} ids row by row, leaf number + 1, 0 for no segment
   * @param {number[]} areas of the leaves, in pixels
   * @param {Point[]} poles of the leaves: where each has most room
   * @param {[number, number][] | null} joins in order: the segment whose first leaf is the second number becomes
   *   part of the one whose first leaf is the first, which is smaller. Null where the segments have no tree: the
   *   leaves are then the segments themselves.
   */
  constructor(width, height, ids, areas, poles, joins = null) {
    this.width = width
    this.height = height
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
    const { width, height, pixels, texts } = await decodeGrey16(file)
    const { areas, poles, joins } = JSON.parse(texts.get('diffseg') ?? '{"areas": [], "poles": []}')
    const places = poles.map((/** @type {[number, number]} */ [x, y]) => ({ x, y }))
    return new Hierarchy(width, height, pixels, areas, places, joins)
  }

  /** Number of leaves, the most segments that there can be. */
  get count() {
    return this.areas.length
  }

  /**
   * The picture in so many segments: numbered by falling area, those of equal area by their first leaves, as
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
    if (width === this.width && height === this.height) return this.ids
    const columns = Uint32Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * this.width) / width))
    const out = new Uint16Array(width * height)
    for (let y = 0; y < height; y++) {
      const row = Math.floor(((y + 0.5) * this.height) / height) * this.width
      for (let x = 0; x < width; x++) out[y * width + x] = this.ids[row + columns[x]]
    }
    return out
  }
}
