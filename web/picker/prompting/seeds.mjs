/** What prompts fix of an object, leaf by leaf (seeds.py of the core). */

const [FOR, AGAINST, BOTH] = [1, 2, 3]

export class Seeds {
  /** @param {number} count of leaves */
  constructor(count) {
    this.fixed = new Uint8Array(count) // 0 where nothing is
    this.clicked = new Uint8Array(count)
    this.beyond = new Uint8Array(count) // leaves that are against the object for lying outside a box alone
  }

  copy() {
    const copy = new Seeds(0)
    copy.fixed = this.fixed.slice()
    copy.clicked = this.clicked.slice()
    copy.beyond = this.beyond.slice()
    return copy
  }

  /**
   * The last word counts; clicks for and against one leaf divide it.
   * @param {number[]} leaves
   * @param {boolean} positive
   * @param {boolean} isClick
   */
  add(leaves, positive, isClick = false) {
    for (const leaf of leaves) {
      const kept = this.clicked[leaf] && isClick ? this.fixed[leaf] : 0
      this.fixed[leaf] = kept | (positive ? FOR : AGAINST)
      this.clicked[leaf] = isClick ? 1 : 0
      this.beyond[leaf] = 0
    }
  }

  /**
   * Fix what lies outside a box around the object against it, but for what is fixed already.
   * @param {number[]} outside
   */
  bound(outside) {
    const leaves = outside.filter((leaf) => !this.fixed[leaf])
    this.add(leaves, false)
    for (const leaf of leaves) this.beyond[leaf] = 1
  }

  /**
   * Fix leaves no longer that lie outside a box.
   * @param {Uint8Array} taken 1 for leaves
   */
  release(taken) {
    taken.forEach((is, leaf) => {
      if (is && this.beyond[leaf]) this.fixed[leaf] = this.beyond[leaf] = 0
    })
  }

  /** @param {number} leaf */
  isDivided(leaf) {
    return this.fixed[leaf] === BOTH
  }

  /**
   * 1 for leaves that are fixed for the object, or against it.
   * @param {boolean} positive
   */
  of(positive) {
    return this.fixed.map((is) => Number((is & (positive ? FOR : AGAINST)) > 0))
  }

  /** 1 for leaves that nothing fixes. */
  get free() {
    return this.fixed.map((is) => (is ? 0 : 1))
  }

  /** Leaves for the object, and those against it. */
  get leaves() {
    return [FOR, AGAINST].map((side) => [...this.fixed.keys()].filter((leaf) => this.fixed[leaf] & side))
  }

  /** 1 for, 0 against, a half with both words; NaN of a free leaf. */
  get values() {
    return Float64Array.from(this.fixed, (is) => [NaN, 1, 0, 0.5][is])
  }

  /**
   * The label of every leaf, 1 for the object, with what is fixed.
   * @param {Uint8Array} label
   */
  appliedTo(label) {
    return label.map((is, leaf) => [is, 1, 0, 1][this.fixed[leaf]])
  }
}
