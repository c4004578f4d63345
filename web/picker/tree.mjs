/** The order in which leaves join, as nodes: every segment that is there at some granularity (TreeNodes of the core). */

/** The 2 S − 1 nodes of a tree: the leaves from 0, then the joins in order. Without joins there are leaves alone. */
export class Tree {
  /**
   * @param {ArrayLike<number>} areas of the leaves, in pixels
   * @param {[number, number][]} joins in order: the segment whose first leaf is the second number becomes part of the
   *   one whose first leaf is the first, which is smaller
   */
  constructor(areas, joins) {
    this.count = areas.length // of leaves
    this.areas = Array.from(areas)
    /** The first leaf of each node. */
    this.firsts = [...this.areas.keys()]
    /** @type {number[][]} */
    this.children = this.areas.map(() => [])
    this.parents = new Int32Array(areas.length + joins.length).fill(-1)
    const node = this.firsts.slice() // of each leaf whose segment goes by its number
    for (const [first, second] of joins) {
      const join = this.areas.length
      const pair = [node[first], node[second]]
      this.children.push(pair)
      this.areas.push(this.areas[pair[0]] + this.areas[pair[1]])
      this.firsts.push(first)
      for (const child of pair) this.parents[child] = join
      node[first] = join
    }
  }

  /**
   * The segment of each leaf where there are so many, numbered by falling area, those of equal area by their first
   * leaves, as the node does.
   * @param {number} number of segments, from 1
   */
  cut(number) {
    const { areas, count, firsts, parents } = this
    const end = 2 * count - number // the nodes that are there by then
    const segments = [...areas.keys()].slice(0, end).filter((node) => parents[node] < 0 || parents[node] >= end)
    segments.sort((one, other) => areas[other] - areas[one] || firsts[one] - firsts[other])
    const numbers = new Uint16Array(end)
    segments.forEach((node, place) => (numbers[node] = place))
    for (let node = end - 1; node >= 0; node--) {
      if (parents[node] >= 0 && parents[node] < end) numbers[node] = numbers[parents[node]]
    }
    return numbers.slice(0, count)
  }

  /**
   * The leaves of a node.
   * @param {number} node
   * @returns {number[]}
   */
  leaves(node) {
    const leaves = []
    const stack = [node]
    while (stack.length) {
      const top = /** @type {number} */ (stack.pop())
      if (this.children[top].length) stack.push(...this.children[top])
      else leaves.push(top)
    }
    return leaves
  }

  /**
   * The node that a click on a leaf means: of those above it the most persistent large one.
   * @param {number} leaf
   * @param {Uint8Array} blocked 1 for leaves that it must not take
   * @param {ArrayLike<number>} heights of the joins, in nats
   * @param {number} largest share of the image that it may take
   */
  part(leaf, blocked, heights, largest) {
    const { areas, count, parents } = this
    const holdsBlocked = this.#holdersOf(blocked)
    const free = this.#upwards(leaf).slice(0, -1).filter((node) => !holdsBlocked[node])
    const most = largest * areas[areas.length - 1]
    const heightOf = (/** @type {number} */ node) => (node < count ? 0 : heights[node - count])
    let [best, greatest] = [leaf, -Infinity]
    for (const node of free.filter((node) => areas[node] <= most)) {
      const worth = (heightOf(parents[node]) - heightOf(node)) * areas[node]
      if (worth > greatest) [best, greatest] = [node, worth]
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
    const nearness = this.#nearness(leaf).map((place, other) => place + this.count * beyond[other])
    const isLarger = steps > 0
    const changing = free.map(
      (is, other) => (is | beyond[other]) & (isLarger ? 1 - after[other] : after[other] & (1 - before[other]))
    )
    const reached = [...new Set(nearness.filter((_, other) => changing[other]))].sort((one, other) => one - other)
    if (!reached.length) return after
    const last = reached[isLarger ? Math.min(steps, reached.length) - 1 : Math.max(reached.length + steps, 0)]
    return after.map((is, other) => {
      const isChanged = changing[other] && (isLarger ? nearness[other] <= last : nearness[other] >= last)
      return isChanged ? Number(isLarger) : is
    })
  }

  /**
   * Which of the nodes above a leaf is the first to hold each leaf, 0 of itself.
   * @param {number} leaf
   */
  #nearness(leaf) {
    const nearness = new Uint32Array(this.count)
    let below = leaf
    for (const [place, node] of this.#upwards(leaf).entries()) {
      for (const child of this.children[node]) {
        if (child !== below) for (const other of this.leaves(child)) nearness[other] = place
      }
      below = node
    }
    return nearness
  }

  /** @param {number} leaf */
  #upwards(leaf) {
    const nodes = [leaf]
    for (let node = this.parents[leaf]; node >= 0; node = this.parents[node]) nodes.push(node)
    return nodes
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
