/** What prompts fix of an object, leaf by leaf (seeds.py of the core). */

export class Seeds {
  /** @param {number} count of leaves */
  constructor(count) {
    this.positive = new Uint8Array(count)
    this.negative = new Uint8Array(count)
    this.clicked = new Uint8Array(count)
    this.beyond = new Uint8Array(count) // leaves that are against the object for lying outside a box alone
  }

  copy() {
    const copy = new Seeds(0)
    copy.positive = this.positive.slice()
    copy.negative = this.negative.slice()
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
    const [own, other] = positive ? [this.positive, this.negative] : [this.negative, this.positive]
    for (const leaf of leaves) {
      own[leaf] = 1
      if (!(this.clicked[leaf] && isClick)) other[leaf] = 0
      this.clicked[leaf] = isClick ? 1 : 0
      this.beyond[leaf] = 0
    }
  }

  /**
   * Fix what lies outside a box around the object against it, but for what is fixed already.
   * @param {number[]} outside
   */
  bound(outside) {
    const leaves = outside.filter((leaf) => !this.positive[leaf] && !this.negative[leaf])
    this.add(leaves, false)
    for (const leaf of leaves) this.beyond[leaf] = 1
  }

  /**
   * Fix leaves no longer that lie outside a box.
   * @param {Uint8Array} taken 1 for leaves
   */
  release(taken) {
    taken.forEach((is, leaf) => {
      if (is && this.beyond[leaf]) this.negative[leaf] = this.beyond[leaf] = 0
    })
  }

  /** @param {number} leaf */
  isDivided(leaf) {
    return this.positive[leaf] === 1 && this.negative[leaf] === 1
  }

  /** 1 for leaves that nothing fixes. */
  get free() {
    return this.positive.map((is, leaf) => (is || this.negative[leaf] ? 0 : 1))
  }

  /** Leaves for the object, and those against it. */
  get leaves() {
    return [this.positive, this.negative].map((some) => [...some.keys()].filter((leaf) => some[leaf]))
  }

  /** 1 for, 0 against, a half with both words; NaN of a free leaf. */
  get values() {
    return Float64Array.from(this.positive, (is, leaf) =>
      is ? (this.negative[leaf] ? 0.5 : 1) : this.negative[leaf] ? 0 : NaN
    )
  }

  /**
   * The label of every leaf, 1 for the object, with what is fixed.
   * @param {Uint8Array} label
   */
  appliedTo(label) {
    return label.map((is, leaf) => (this.positive[leaf] ? 1 : this.negative[leaf] ? 0 : is))
  }
}
