/** Potentials of a network of conductances (leaf_graph.py of the core), by conjugate gradients. */

/** @import { LeafGraph } from './leaf_graph.mjs' */

const SMALL = 1e-26 // square of the error at which to stop, as a share of the drive's
const MOST = 5000 // rounds

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
