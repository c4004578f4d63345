/** Which segment every pixel of a picture belongs to, and facts on the segments. */

import { decodeGrey16 } from './png.mjs'

/** What `LabelMap.at` gives where no segment is. */
export const NO_SEGMENT = -1

/**
 * A place in the picture, in pixels from its left upper corner.
 * @typedef {{x: number, y: number}} Point
 */

export class LabelMap {
  /**
   * @param {number} width in pixels
   * @param {number} height in pixels
   * @param {Uint16Array} ids row by row, segment number + 1, 0 for no segment
   * @param {number[]} areas of the segments, in pixels
   * @param {Point[]} poles of the segments: where each has most room
   */
  constructor(width, height, ids, areas, poles) {
    this.width = width
    this.height = height
    this.ids = ids
    this.areas = areas
    this.poles = poles
  }

  /**
   * Read the PNG that the node wrote.
   * @param {ArrayBuffer} file
   */
  static async fromPng(file) {
    const { width, height, pixels, texts } = await decodeGrey16(file)
    const facts = JSON.parse(texts.get('diffseg') ?? '{"areas": [], "poles": []}')
    const poles = facts.poles.map((/** @type {[number, number]} */ [x, y]) => ({ x, y }))
    return new LabelMap(width, height, pixels, facts.areas, poles)
  }

  /** Number of segments. */
  get count() {
    return this.areas.length
  }

  /**
   * Whether a point lies in the picture.
   * @param {Point} point
   */
  holds({ x, y }) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height
  }

  /**
   * The segment under a point, or NO_SEGMENT.
   * @param {Point} point
   */
  at(point) {
    if (!this.holds(point)) return NO_SEGMENT
    return this.ids[Math.floor(point.y) * this.width + Math.floor(point.x)] - 1
  }

  /**
   * A segment's share of the picture, in per cent.
   * @param {number} segment
   */
  share(segment) {
    return (100 * this.areas[segment]) / (this.width * this.height)
  }

  /**
   * The map at another size, every pixel that of the nearest: segment number + 1.
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
