/**
 * Which leaves of a hierarchy belong together, and the potentials of their borders as a network (leaf_graph.py of the
 * core, which makes it); these by conjugate gradients.
 */

/** @import { Tables } from '../files.mjs' */

/** By which prompts are read and decided: the node's own, which come with the graph (../../PROTOCOL.md). */
/** @typedef {Record<'memory' | 'new' | 'likeness' | 'in_box' | 'closest' | 'crossed' | 'filling' | 'colour_reach' | 'largest_part' | 'largest_map' | 'never' | 'most_maps' | 'least' | 'decimals', number> & {thresholds: number[]}} Constants */

const SMALL = 1e-26 // square of the error at which to stop, as a share of the drive's
const MOST = 5000 // rounds

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

/**
 * Solve (diag(degree + ties) − W) x = W x_fixed + drive.
 * @param {LeafGraph} graph
 * @param {Float64Array} ties conductance of each node to sources
 * @param {Float64Array} drive current from those sources
 * @param {Float64Array} fixed potentials that are given, NaN where they are not
 * @returns {Float64Array} all potentials
 */
export function potentials(graph, ties, drive, fixed) {
  const { around, count, degrees } = graph
  const free = [...fixed.keys()].filter((node) => Number.isNaN(fixed[node]))
  const solved = fixed.map((value) => value || 0)
  const diagonal = degrees.map((degree, node) => degree + ties[node])
  const residual = drive.map((current, node) => current + flow(around[node], solved))
  const direction = new Float64Array(count) // 0 of what is fixed
  const image = new Float64Array(count)
  let error = 0
  for (const node of free) {
    direction[node] = residual[node] / diagonal[node]
    error += residual[node] * direction[node]
  }
  const enough = error * SMALL
  for (let round = 0; round < MOST && error > enough; round++) {
    let power = 0
    for (const node of free) {
      image[node] = diagonal[node] * direction[node] - flow(around[node], direction)
      power += direction[node] * image[node]
    }
    const step = error / power
    let left = 0
    for (const node of free) {
      solved[node] += step * direction[node]
      residual[node] -= step * image[node]
      left += (residual[node] * residual[node]) / diagonal[node]
    }
    const share = left / error
    error = left
    for (const node of free) direction[node] = residual[node] / diagonal[node] + share * direction[node]
  }
  const unit = 10 ** graph.constants.decimals // more of them are the solver's, and the node has another
  for (const node of free) solved[node] = Math.round(solved[node] * unit) / unit
  return solved
}

/**
 * What flows to a node from those beside it.
 * @param {LeafGraph['around'][number]} beside
 * @param {Float64Array} values of all nodes
 */
function flow({ leaves, conductances }, values) {
  let sum = 0
  for (let border = 0; border < leaves.length; border++) sum += conductances[border] * values[leaves[border]]
  return sum
}
