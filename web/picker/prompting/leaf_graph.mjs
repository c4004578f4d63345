/** Which leaves of a hierarchy belong together (leaf_graph.py of the core, which makes it). */

import { decodePng } from '../png.mjs'

/** A border: the leaves on both sides, pixels, differences of colour, and how easily a walker crosses. */
/** @typedef {[number, number, number, number, number]} Border */

export class LeafGraph {
  /**
   * @param {number} count of leaves
   * @param {Border[]} borders
   * @param {number[]} heights of the tree's joins
   * @param {Uint16Array} arrivals how soon attention that starts in a row's leaf arrives at a column's
   * @param {Uint16Array} distances of attention and colours
   */
  constructor(count, borders, heights, arrivals, distances) {
    this.count = count
    this.heights = heights
    this.arrivals = arrivals
    this.distances = distances
    /** Of each leaf the leaves beside it, and length, steps and conductance of the borders with them. */
    this.around = Array.from({ length: count }, () => ({
      leaves: /** @type {number[]} */ ([]),
      lengths: /** @type {number[]} */ ([]),
      steps: /** @type {number[]} */ ([]),
      conductances: /** @type {number[]} */ ([])
    }))
    this.degrees = new Float64Array(count)
    for (const [first, second, length, steps, conductance] of borders) {
      for (const [leaf, other] of [
        [first, second],
        [second, first]
      ]) {
        const beside = this.around[leaf]
        beside.leaves.push(other)
        beside.lengths.push(length)
        beside.steps.push(steps)
        beside.conductances.push(conductance)
        this.degrees[leaf] += conductance
      }
    }
    this.typicalDegree = this.degrees.reduce((sum, degree) => sum + degree, 0) / count || 1
  }

  /**
   * Read the PNG that the node wrote.
   * @param {ArrayBuffer} file
   */
  static async fromPng(file) {
    const { width, values, texts } = await decodePng(file)
    const { borders, heights } = JSON.parse(texts.get('diffseg') ?? '{}')
    const tables = /** @type {Uint16Array} */ (values)
    return new LeafGraph(width, borders, heights, tables.subarray(0, width * width), tables.subarray(width * width))
  }
}
