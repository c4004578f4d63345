/** A hierarchy seen as nodes: every segment that is there at some granularity (TreeNodes of the core's tree.py). */

/** @typedef {import('../hierarchy.mjs').Hierarchy} Hierarchy */

const LARGEST = 0.35 // share of the image up to which a click takes a node by itself

/** The 2 S − 1 nodes of a tree: the leaves from 0, then the joins in order. */
export class TreeNodes {
  /**
   * @param {Hierarchy} hierarchy with joins
   * @param {number[]} heights of the joins, in nats
   */
  constructor(hierarchy, heights) {
    const joins = hierarchy.joins ?? []
    const leaves = hierarchy.count
    this.heights = [...new Array(leaves).fill(0), ...heights]
    this.areas = [...hierarchy.areas]
    this.parents = new Int32Array(leaves + joins.length).fill(-1)
    /** @type {number[][]} */
    this.children = Array.from({ length: leaves }, () => [])
    this.total = hierarchy.areas.reduce((sum, area) => sum + area, 0)
    const node = Array.from({ length: leaves }, (_, leaf) => leaf)
    for (const [first, second] of joins) {
      const join = this.areas.length
      const pair = [node[first], node[second]]
      this.children.push(pair)
      this.areas.push(this.areas[pair[0]] + this.areas[pair[1]])
      for (const child of pair) this.parents[child] = join
      node[first] = join
    }
  }

  /**
   * The leaves of a node.
   * @param {number} node
   * @returns {number[]}
   */
  leaves(node) {
    const found = []
    const stack = [node]
    while (stack.length) {
      const each = /** @type {number} */ (stack.pop())
      if (this.children[each].length) stack.push(...this.children[each])
      else found.push(each)
    }
    return found
  }

  /**
   * The node that a click on a leaf means: of those above it the most persistent large one.
   * @param {number} leaf
   * @param {Uint8Array} blocked 1 for leaves that it must not take
   */
  part(leaf, blocked) {
    const holds = this.#holdersOf(blocked)
    const free = this.#upwards(leaf).slice(0, -1).filter((node) => !holds[node])
    const candidates = free.length ? free : [leaf]
    const small = candidates.filter((node) => this.areas[node] <= LARGEST * this.total)
    let best = small[0] ?? leaf
    let most = -Infinity
    for (const node of small) {
      const worth = (this.heights[this.parents[node]] - this.heights[node]) * this.areas[node]
      if (worth > most) [best, most] = [node, worth]
    }
    return best
  }

  /**
   * What a click takes in another size: each step is a node above it that takes more, or less.
   * @param {number} leaf which was clicked
   * @param {Uint8Array} before 1 for leaves that are taken without the click
   * @param {Uint8Array} after 1 for those that are taken with it
   * @param {Uint8Array} free 1 for leaves that it may add or leave out
   * @param {Uint8Array} beyond 1 for further leaves that it may add, once there are no others
   * @param {number} steps up (larger) or down (smaller), as far as there are
   */
  resized(leaf, before, after, free, beyond, steps) {
    const nearness = this.#nearness(leaf).map((place, each) => place + free.length * beyond[each])
    const changing = free.map((is, each) => (is | beyond[each]) & (steps > 0 ? 1 - after[each] : after[each] & (1 - before[each])))
    const reached = [...new Set(nearness.filter((_, each) => changing[each]))].sort((one, other) => one - other)
    if (!reached.length) return after
    const last = reached.length
    if (steps > 0) {
      const end = reached[Math.min(steps, last) - 1]
      return after.map((is, each) => (changing[each] && nearness[each] <= end ? 1 : is))
    }
    const start = reached[Math.max(last + steps, 0)]
    return after.map((is, each) => (changing[each] && nearness[each] >= start ? 0 : is))
  }

  /**
   * Which of the nodes above a leaf is the first to hold each leaf, 0 of itself.
   * @param {number} leaf
   */
  #nearness(leaf) {
    const found = new Uint32Array((this.children.length + 1) / 2)
    let below = leaf
    for (const [place, node] of this.#upwards(leaf).entries()) {
      for (const child of this.children[node]) {
        if (child !== below) for (const each of this.leaves(child)) found[each] = place
      }
      below = node
    }
    return found
  }

  /** @param {number} leaf */
  #upwards(leaf) {
    const found = [leaf]
    for (let node = this.parents[leaf]; node >= 0; node = this.parents[node]) found.push(node)
    return found
  }

  /**
   * Which nodes hold a leaf of some.
   * @param {Uint8Array} leaves 1 for those
   */
  #holdersOf(leaves) {
    const holds = new Uint8Array(this.areas.length)
    leaves.forEach((is, leaf) => {
      for (let node = is ? leaf : -1; node >= 0 && !holds[node]; node = this.parents[node]) holds[node] = 1
    })
    return holds
  }
}
