/** How far every leaf is from a clicked one, and where its thing ends (markov_maps.py of the core, which see). */

/** @typedef {import('./leaf_graph.mjs').LeafGraph} LeafGraph */

export class MarkovMaps {
  /**
   * @param {LeafGraph} graph
   * @param {number[]} areas of the leaves
   */
  constructor(graph, areas) {
    this.graph = graph
    this.areas = areas
    this.largest = graph.constants.largest_map * areas.reduce((sum, area) => sum + area, 0)
    this.queue = new Queue(1 + graph.around.reduce((sum, { leaves }) => sum + leaves.length, 0))
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
      const beyond = Math.min(far[leaf], 1) // beyond every threshold is the ground
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
      // One number for value and leaf sorts at once, those of equal value by their leaves.
      const keys = Float64Array.from(values, (value, each) => value * this.graph.count + each).sort()
      map = { values, order: Uint32Array.from(keys, (key) => key % this.graph.count) }
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
   * What a path of touching leaves must cross at least to reach each leaf.
   * @param {number} leaf
   */
  #flooded(leaf) {
    const { count, arrivals, around } = this.graph
    const values = arrivals.subarray(leaf * count, (leaf + 1) * count)
    const least = new Int32Array(count).fill(-1)
    const queue = this.queue
    queue.push(leaf) // a height and a leaf are one number: height · count + leaf
    while (queue.length) {
      const top = queue.pop()
      const here = top % count
      if (least[here] >= 0) continue
      const height = (top - here) / count
      least[here] = height
      for (const there of around[here].leaves) {
        if (least[there] < 0) queue.push(Math.max(height, values[there]) * count + there)
      }
    }
    const most = values.reduce((one, other) => Math.max(one, other), 0)
    return Uint16Array.from(least, (height) => (height < 0 ? most : height))
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

/** A heap of numbers, the least first. */
class Queue {
  /** @param {number} most that it holds at once */
  constructor(most) {
    this.items = new Float64Array(most)
    this.length = 0
  }

  /** @param {number} item */
  push(item) {
    const { items } = this
    let at = this.length++
    for (let above = (at - 1) >> 1; at && items[above] > item; above = (at - 1) >> 1) {
      items[at] = items[above]
      at = above
    }
    items[at] = item
  }

  pop() {
    const { items } = this
    const top = items[0]
    const last = items[--this.length]
    let at = 0
    for (let below = 1; below < this.length; below = 2 * at + 1) {
      if (below + 1 < this.length && items[below + 1] < items[below]) below++
      if (items[below] >= last) break
      items[at] = items[below]
      at = below
    }
    items[at] = last
    return top
  }
}
