/** How far every leaf is from a clicked one, and where its thing ends (markov_maps.py of the core, which see). */

/** @typedef {import('./leaf_graph.mjs').LeafGraph} LeafGraph */

const LARGEST = 0.4 // share of the image that a threshold may enclose
const NEVER = 1e9 // times a threshold
const LEAST = 1e-9 // threshold of a map that is 0 wherever it may be

export class MarkovMaps {
  /**
   * @param {LeafGraph} graph
   * @param {number[]} areas of the leaves
   */
  constructor(graph, areas) {
    this.graph = graph
    this.areas = areas
    this.largest = LARGEST * areas.reduce((sum, area) => sum + area, 0)
    /** @type {Map<number, {values: Uint16Array, order: Uint32Array}>} */
    this.maps = new Map()
  }

  /**
   * How much each leaf is like the positive leaves rather than the negative ones or neither: 0..1.
   * @param {number[]} positive
   * @param {number[]} negative
   */
  likelihood(positive, negative) {
    const near = this.#nearness(positive, negative)
    const far = this.#nearness(negative, positive)
    return near.map((value, leaf) => {
      const other = Math.min(far[leaf], 1) // beyond every threshold is the ground
      return other / (value + other)
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

  /**
   * Each leaf's value in its nearest map, of which 1 is the threshold.
   * @param {number[]} own
   * @param {number[]} other
   */
  #nearness(own, other) {
    const nearest = new Float64Array(this.graph.count).fill(NEVER)
    for (const leaf of own) {
      const { values } = this.map(leaf)
      const threshold = this.#threshold(leaf, own, other)
      values.forEach((value, each) => (nearest[each] = Math.min(nearest[each], value / threshold)))
    }
    return nearest.map((value) => Math.max(value, 1 / NEVER))
  }

  /**
   * What a path of touching leaves must cross at least to reach each leaf. Leaves are taken up by their height,
   * from buckets that are sorted only when they are come to.
   * @param {number} leaf
   */
  #flooded(leaf) {
    const { count, arrivals, around } = this.graph
    const values = arrivals.subarray(leaf * count, (leaf + 1) * count)
    const least = new Int32Array(count).fill(-1)
    const queue = new Queue()
    queue.push(0, leaf)
    for (let top = queue.pop(); top; top = queue.pop()) {
      const [height, here] = top
      if (least[here] >= 0) continue
      least[here] = height
      for (const there of around[here].leaves) {
        if (least[there] < 0) queue.push(Math.max(height, values[there]), there)
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
    const { around, count } = this.graph
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
    return values.reduce((most, value) => (value < nearest ? Math.max(most, value) : most), LEAST)
  }
}

/** A heap of leaves, the least height first, of equal ones the least leaf. */
class Queue {
  constructor() {
    /** @type {[number, number][]} */
    this.items = []
  }

  /**
   * @param {number} height
   * @param {number} leaf
   */
  push(height, leaf) {
    const { items } = this
    let at = items.length
    items.push([height, leaf])
    while (at && isBefore(items[at], items[(at - 1) >> 1])) {
      const above = (at - 1) >> 1
      ;[items[at], items[above]] = [items[above], items[at]]
      at = above
    }
  }

  pop() {
    const { items } = this
    const top = items[0]
    const last = items.pop()
    if (!last || !items.length) return top
    items[0] = last
    for (let at = 0; ; ) {
      let least = at
      for (const below of [2 * at + 1, 2 * at + 2]) {
        if (below < items.length && isBefore(items[below], items[least])) least = below
      }
      if (least === at) return top
      ;[items[at], items[least]] = [items[least], items[at]]
      at = least
    }
  }
}

/**
 * @param {[number, number]} one
 * @param {[number, number]} other
 */
function isBefore(one, other) {
  return one[0] < other[0] || (one[0] === other[0] && one[1] < other[1])
}
