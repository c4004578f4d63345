/** Potentials of a network of conductances (leaf_graph.py of the core), by conjugate gradients. */

/** @typedef {import('./leaf_graph.mjs').LeafGraph} LeafGraph */

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
  const free = [...fixed.keys()].filter((node) => Number.isNaN(fixed[node]))
  const place = new Int32Array(graph.count).fill(-1)
  free.forEach((node, index) => (place[node] = index))
  const starts = new Uint32Array(free.length + 1)
  /** @type {number[]} */
  const others = []
  /** @type {number[]} */
  const weights = []
  const diagonal = new Float64Array(free.length)
  const residual = new Float64Array(free.length)
  free.forEach((node, index) => {
    diagonal[index] = graph.degrees[node] + ties[node]
    residual[index] = drive[node]
    const { leaves, conductances } = graph.around[node]
    leaves.forEach((other, border) => {
      if (place[other] < 0) {
        residual[index] += conductances[border] * fixed[other]
      } else {
        others.push(place[other])
        weights.push(conductances[border])
      }
    })
    starts[index + 1] = others.length
  })
  const found = conjugateGradients(
    diagonal,
    { starts, others: Uint32Array.from(others), weights: Float64Array.from(weights) },
    residual
  )
  const unit = 10 ** graph.constants.decimals // more of them are the solver's, and the node has another
  return fixed.map((value, node) => (place[node] < 0 ? value : Math.round(found[place[node]] * unit) / unit))
}

/**
 * @param {Float64Array} diagonal
 * @param {{starts: Uint32Array, others: Uint32Array, weights: Float64Array}} borders
 * @param {Float64Array} residual the right side, which is used up
 */
function conjugateGradients(diagonal, { starts, others, weights }, residual) {
  const count = diagonal.length
  const found = new Float64Array(count)
  const direction = new Float64Array(count)
  const image = new Float64Array(count)
  let error = 0
  for (let node = 0; node < count; node++) {
    direction[node] = residual[node] / diagonal[node]
    error += residual[node] * direction[node]
  }
  const enough = error * SMALL
  for (let round = 0; round < MOST && error > enough; round++) {
    let power = 0
    for (let node = 0; node < count; node++) {
      let sum = diagonal[node] * direction[node]
      for (let at = starts[node]; at < starts[node + 1]; at++) sum -= weights[at] * direction[others[at]]
      image[node] = sum
      power += direction[node] * sum
    }
    const step = error / power
    let left = 0
    for (let node = 0; node < count; node++) {
      found[node] += step * direction[node]
      residual[node] -= step * image[node]
      left += (residual[node] * residual[node]) / diagonal[node]
    }
    const share = left / error
    error = left
    for (let node = 0; node < count; node++) {
      direction[node] = residual[node] / diagonal[node] + share * direction[node]
    }
  }
  return found
}
