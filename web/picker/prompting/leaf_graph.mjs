/** Which leaves of a hierarchy belong together (leaf_graph.py of the core, which makes it). */

/** @import { Tables } from '../tables.mjs' */

/** By which prompts are read and decided: the node's own, which come with the graph (../../PROTOCOL.md). */
/** @typedef {Record<'memory' | 'new' | 'likeness' | 'in_box' | 'closest' | 'crossed' | 'filling' | 'colour_reach' | 'largest_part' | 'largest_map' | 'never' | 'most_maps' | 'least' | 'decimals', number> & {thresholds: number[]}} Constants */

export class LeafGraph {
  /** @param {Tables} tables that the node wrote to find objects with */
  constructor({ heights, arrivals, distances, borders, lengths, steps, conductances, constants, shapes }) {
    this.count = shapes.arrivals[0]
    /** Of the tree's joins, in nats. @type {Float64Array} */
    this.heights = heights
    /** How soon attention that starts in a row's leaf arrives at a column's. @type {Uint16Array} */
    this.arrivals = arrivals
    /** Of attention and colours. @type {Uint16Array} */
    this.distances = distances
    /** @type {Constants} */
    this.constants = constants
    /** Of each leaf the leaves beside it, and length, steps and conductance of the borders with them. */
    this.around = Array.from({ length: this.count }, () => ({
      leaves: /** @type {number[]} */ ([]),
      lengths: /** @type {number[]} */ ([]),
      steps: /** @type {number[]} */ ([]),
      conductances: /** @type {number[]} */ ([])
    }))
    this.degrees = new Float64Array(this.count)
    borders.forEach((/** @type {number} */ leaf, /** @type {number} */ end) => {
      const border = end >> 1
      const beside = this.around[leaf]
      beside.leaves.push(borders[end ^ 1])
      beside.lengths.push(lengths[border])
      beside.steps.push(steps[border])
      beside.conductances.push(conductances[border])
      this.degrees[leaf] += conductances[border]
    })
    this.typicalDegree = this.degrees.reduce((sum, degree) => sum + degree, 0) / this.count || 1
  }
}
