/** How far every leaf is from a clicked one, and where its thing ends (markov_maps.py of the core, which see). */

/** @import { LeafGraph } from './leaf_graph.mjs' */

export class MarkovMaps {
  /**
   * @param {LeafGraph} graph
   * @param {number[]} areas of the leaves
   */
  constructor(graph, areas) {
    this.graph = graph
    this.areas = areas
    this.largest = graph.constants.largest_map * areas.reduce((sum, area) => sum + area, 0)
    /** @type {Map<number, {values: Uint16Array, order: Uint32Array}>} */
    this.maps = new Map()
  }

  /**
   * How much each leaf is like the positive leaves rather than the negative ones or neither: 0..1.
   * @param {number[]} positive
   * @param {number[]} negative
   */
  likelihood(positive, negative) {
    const [own, other] = [this.#largestOf(positive), this.#largestOf(negative)]
    const near = this.#nearness(own, other)
    const far = this.#nearness(other, own)
    return near.map((value, leaf) => {
      const beyond = Math.min(far[leaf], 1) // beyond every threshold is the background
      return beyond / (value + beyond)
    })
  }

  /**
   * The flooded map of a leaf, 0..65535, and the leaves in its order.
   * @param {number} leaf
   */
  map(leaf) {
    let map = this.maps.get(leaf)
    if (!map) {
      const values = this.#flooded(leaf)
      map = { values, order: ascending(values) }
      this.maps.set(leaf, map)
    }
    return map
  }

  /** @param {number[]} leaves */
  #largestOf(leaves) {
    const { areas, graph } = this
    return [...leaves].sort((one, other) => areas[other] - areas[one] || one - other).slice(0, graph.constants.most_maps)
  }

  /**
   * Each leaf's value in its nearest map, of which 1 is the threshold.
   * @param {number[]} own
   * @param {number[]} other
   */
  #nearness(own, other) {
    const { never } = this.graph.constants
    const nearest = new Float64Array(this.graph.count).fill(never)
    for (const leaf of own) {
      const { values } = this.map(leaf)
      const threshold = this.#threshold(leaf, own, other)
      values.forEach((value, each) => (nearest[each] = Math.min(nearest[each], value / threshold)))
    }
    return nearest.map((value) => Math.max(value, 1 / never))
  }

  /**
   * What a path of touching leaves must cross at least to reach each leaf: as leaves open by rising value, the reached
   * ones flood them.
   * @param {number} start
   */
  #flooded(start) {
    const { count, arrivals, around } = this.graph
    const values = arrivals.subarray(start * count, (start + 1) * count)
    const order = ascending(values)
    const flooded = new Uint16Array(count).fill(values[order[count - 1]]) // of leaves that no path reaches
    const isOpen = new Uint8Array(count)
    const isReached = new Uint8Array(count)
    flooded[start] = 0
    isReached[start] = 1
    for (const leaf of order) {
      isOpen[leaf] = 1
      const stack = leaf === start || around[leaf].leaves.some((there) => isReached[there]) ? [leaf] : []
      while (stack.length) {
        const here = /** @type {number} */ (stack.pop())
        if (!isReached[here]) flooded[here] = values[leaf]
        isReached[here] = 1
        stack.push(...around[here].leaves.filter((there) => isOpen[there] && !isReached[there]))
      }
    }
    return flooded
  }

  /**
   * Where a leaf's map has its clearest border, with as many own leaves as may be inside and no other one.
   * @param {number} start
   * @param {number[]} own
   * @param {number[]} other
   */
  #threshold(start, own, other) {
    const { values, order } = this.map(start)
    const { around, count, constants } = this.graph
    const inside = new Uint8Array(count)
    const owned = new Set(own)
    const others = new Set(other)
    let [length, steps, area, held] = [0, 0, 0, 0]
    let [best, threshold] = [0, 0]
    for (let place = 0; place < count - 1; place++) {
      const leaf = order[place]
      const beside = around[leaf]
      for (let each = 0; each < beside.leaves.length; each++) {
        const there = beside.leaves[each]
        const sign = inside[there] ? -1 : 1
        length += sign * beside.lengths[each]
        steps += sign * beside.steps[each] * Math.abs(values[there] - values[leaf])
      }
      inside[leaf] = 1
      area += this.areas[leaf]
      if (owned.has(leaf)) held += 1
      if (area >= this.largest || others.has(leaf)) break
      const following = values[order[place + 1]]
      const worth = ((steps / Math.max(length, 1)) * held) / own.length
      if (following > values[leaf] && worth > best) {
        best = worth
        threshold = (values[leaf] + following) / 2
      }
    }
    if (best > 0) return threshold
    const nearest = other.reduce((least, leaf) => Math.min(least, values[leaf]), Infinity)
    return values.reduce((most, value) => (value < nearest ? Math.max(most, value) : most), constants.least)
  }
}

/**
 * Leaves by rising value, those of equal value by their numbers.
 * @param {Uint16Array} values
 */
function ascending(values) {
  const { length } = values
  const keys = Float64Array.from(values, (value, leaf) => value * length + leaf).sort() // at once
  return Uint32Array.from(keys, (key) => key % length)
}
