/**
 * From prompts to the leaves and pixels of one object: object_finder.py of the core, step by step, so that the
 * picker shows what the node will give.
 */

import { MarkovMaps } from './markov_maps.mjs'
import { potentials } from './network.mjs'
import { isPositive as isFor } from './prompts.mjs'
import { Seeds } from './seeds.mjs'
import { boxIou, lineCells } from './shapes.mjs'
import { TreeNodes } from './tree_nodes.mjs'

/** @typedef {import('../hierarchy.mjs').Hierarchy} Hierarchy */
/** @typedef {import('./leaf_graph.mjs').LeafGraph} LeafGraph */
/** @typedef {import('./prompts.mjs').Prompt} Prompt */
/** @typedef {import('./shapes.mjs').Box} Box */

/**
 * An image's colours, of large images the mean of several pixels.
 * @typedef {{width: number, height: number, values: Uint8Array | Uint16Array}} Colours
 */

/**
 * What the prompts so far mean.
 * @typedef {object} Found
 * @property {Uint8Array} label 1 for each leaf of the object
 * @property {Seeds} seeds
 * @property {{leaf: number, x: number, y: number, positive: boolean}[]} clicks
 */

// As in object_finder.py.
const MEMORY = 0.06
const NEW = 0.49
const LIKENESS = 0.3
const IN_BOX = 0.7
const CLOSEST = 3
const CROSSED = 0.1
const THRESHOLDS = Array.from({ length: 25 }, (_, step) => (step + 8) / 40)
const FILLING = 1.5
const COLOUR_REACH = 0.02 * 255 ** 2

export class ObjectFinder {
  /**
   * @param {Hierarchy} hierarchy with joins
   * @param {LeafGraph} graph
   * @param {Colours} colours
   */
  constructor(hierarchy, graph, colours) {
    this.hierarchy = hierarchy
    this.graph = graph
    this.colours = colours
    this.nodes = new TreeNodes(hierarchy, graph.heights)
    this.maps = new MarkovMaps(graph, hierarchy.areas)
    this.meanArea = hierarchy.areas.reduce((sum, area) => sum + area, 0) / hierarchy.count
    this.counts = this.#counted(0, 0, hierarchy.columns, hierarchy.rows)
    /** @type {Map<number, Uint32Array>} */
    this.cells = new Map()
    /** @type {Box[] | null} */
    this.boxes = null
  }

  /**
   * @param {Prompt[]} prompts of one object, in their order
   * @returns {Found}
   */
  find(prompts) {
    return prompts.reduce((found, prompt) => this.with(found, prompt), this.nothing())
  }

  /** @returns {Found} */
  nothing() {
    const { count } = this.hierarchy
    return { label: new Uint8Array(count), seeds: new Seeds(count), clicks: [] }
  }

  /**
   * What one more prompt makes of it; `found` stays as it is.
   * @param {Found} found
   * @param {Prompt} prompt
   * @returns {Found}
   */
  with(found, prompt) {
    const seeds = found.seeds.copy()
    const positive = isFor(prompt)
    if (prompt.box) return { ...found, seeds, label: this.#box(prompt.box, positive, found.label, seeds) }
    if (prompt.leaves || prompt.stroke) {
      const leaves = prompt.leaves ?? this.#crossed(prompt.stroke ?? [])
      if (!leaves.length) return found
      seeds.add(leaves, positive)
      return { ...found, seeds, label: this.#walk(found.label, seeds, positive) }
    }
    return this.#click(prompt, found, seeds)
  }

  /**
   * The cells of leaves that clicks for and against divide, and which of them are the object's.
   * @param {Found} found
   * @returns {{leaf: number, cells: Uint32Array, own: Uint8Array}[]}
   */
  divided({ clicks, seeds }) {
    const leaves = new Set(clicks.map(({ leaf }) => leaf).filter((leaf) => seeds.isDivided(leaf)))
    return [...leaves].map((leaf) => {
      const cells = this.#cellsOf(leaf)
      const near = clicks.filter((click) => click.leaf === leaf)
      return { leaf, cells, own: this.#nearest(cells, this.hierarchy.areas[leaf], near) }
    })
  }

  /**
   * Whether the click that is nearest to each cell in place and colour, of equal ones the last, is positive.
   * @param {Uint32Array} cells of a leaf
   * @param {number} area of that leaf
   * @param {Found['clicks']} clicks
   */
  #nearest(cells, area, clicks) {
    const { columns } = this.hierarchy
    const { values } = this.colours
    const seeds = clicks.map(({ x, y, positive }) => ({ x, y, positive, colour: this.#colourAt(x, y) }))
    const own = new Uint8Array(cells.length)
    for (let index = 0; index < cells.length; index++) {
      const column = cells[index] % columns
      const { x, y } = this.hierarchy.middle(column, (cells[index] - column) / columns)
      const at = this.#colourAt(x, y)
      let least = Infinity
      for (const seed of seeds) {
        const red = values[at] - values[seed.colour]
        const green = values[at + 1] - values[seed.colour + 1]
        const blue = values[at + 2] - values[seed.colour + 2]
        const colour = red * red + green * green + blue * blue
        const place = (y - seed.y) * (y - seed.y) + (x - seed.x) * (x - seed.x)
        const distance = place / area + colour / COLOUR_REACH
        if (distance <= least) {
          least = distance
          own[index] = seed.positive ? 1 : 0
        }
      }
    }
    return own
  }

  /**
   * Where the colours of a pixel of the image begin.
   * @param {number} x
   * @param {number} y
   */
  #colourAt(x, y) {
    const { width, height } = this.colours
    const column = Math.floor(((2 * x + 1) * width) / (2 * this.hierarchy.width))
    const row = Math.floor(((2 * y + 1) * height) / (2 * this.hierarchy.height))
    return 3 * (row * width + column)
  }

  /**
   * @param {Prompt} click
   * @param {Found} found
   * @param {Seeds} seeds
   * @returns {Found}
   */
  #click(click, { label, seeds: before, clicks }, seeds) {
    const point = { x: Number(click.x), y: Number(click.y) }
    const positive = isFor(click)
    const steps = click.size ?? 0
    const leaf = this.hierarchy.contains(point) ? this.hierarchy.leafAt(point) : -1
    if (leaf < 0) return { label, seeds: before, clicks }
    const blocked = positive ? before.negative : before.positive
    seeds.add([leaf], positive, true)
    clicks = [...clicks, { ...point, leaf, positive }]
    const hasLabel = label.includes(1)
    if (!hasLabel && !positive) return { label, seeds, clicks } // there is nothing yet that it could be taken from
    const changed = hasLabel ? this.#walk(label, seeds, positive) : this.#part(leaf, blocked, seeds)
    if (!steps) return { label: changed, seeds, clicks }
    // What the click takes: for the object, what it adds; against it, what it adds to the ground.
    const [without, having] = positive ? [label, changed] : [opposite(label), opposite(changed)]
    const taken = this.nodes.resized(leaf, without, having, seeds.free, seeds.beyond, steps)
    if (positive) seeds.release(taken)
    return { label: seeds.appliedTo(positive ? taken : opposite(taken)), seeds, clicks }
  }

  /**
   * What a first click takes.
   * @param {number} leaf
   * @param {Uint8Array} blocked
   * @param {Seeds} seeds
   */
  #part(leaf, blocked, seeds) {
    const label = new Uint8Array(this.graph.count)
    for (const each of this.nodes.leaves(this.nodes.part(leaf, blocked))) label[each] = 1
    return seeds.appliedTo(label)
  }

  /**
   * @param {Uint8Array} label
   * @param {Seeds} seeds
   * @param {boolean} isPositive whether the last prompt is for the object
   */
  #walk(label, seeds, isPositive) {
    const { graph, hierarchy } = this
    const [positive, negative] = seeds.leaves
    const likely = this.maps.likelihood(positive, negative)
    if (isPositive && !label.includes(1)) return seeds.appliedTo(above(likely, 0.5))
    const ties = Float64Array.from(
      hierarchy.areas,
      (area) => (MEMORY * graph.typicalDegree * area) / this.meanArea
    )
    const drive = ties.map((tie, leaf) => tie * ((1 - NEW) * label[leaf] + NEW * likely[leaf]))
    const decided = above(potentials(graph, ties, drive, seeds.values), 0.5)
    return seeds.appliedTo(label.map((is, leaf) => (isPositive ? is | decided[leaf] : is & decided[leaf])))
  }

  /**
   * @param {[number, number, number, number]} box in pixels of the image
   * @param {boolean} positive
   * @param {Uint8Array} label
   * @param {Seeds} seeds
   */
  #box(box, positive, label, seeds) {
    const { hierarchy } = this
    const [x1, x2] = [box[0], box[2]].map((x) => Math.min(Math.max(x, 0), hierarchy.width))
    const [y1, y2] = [box[1], box[3]].map((y) => Math.min(Math.max(y, 0), hierarchy.height))
    if (x1 >= x2 || y1 >= y2) return label
    const first = hierarchy.cell({ x: x1, y: y1 })
    const last = hierarchy.cell({ x: x2 - 1, y: y2 - 1 })
    const drawn = /** @type {Box} */ ([first.column, first.row, last.column + 1, last.row + 1])
    const share = this.#shares(drawn)
    if (!share.some((each) => each > 0)) return label // there is nothing in it
    if (!positive) {
      seeds.add([...share.keys()].filter((leaf) => share[leaf] >= IN_BOX), false)
      return seeds.appliedTo(label)
    }
    const most = share.reduce((one, other) => Math.max(one, other), 0)
    const isOutside = share.map((each) => (each < Math.min(IN_BOX, most) ? 1 : 0))
    const outside = [...isOutside.keys()].filter((leaf) => isOutside[leaf])
    if (!outside.length) return seeds.appliedTo(label.map(() => 1))
    const across = Math.floor((drawn[2] - drawn[0]) / 4)
    const down = Math.floor((drawn[3] - drawn[1]) / 4)
    const core = this.#shares([drawn[0] + across, drawn[1] + down, drawn[2] - across, drawn[3] - down])
    let cores = [...core.keys()].filter((leaf) => core[leaf] > 0.5)
    if (!cores.length) {
      const inside = core.map((each, leaf) => (isOutside[leaf] ? -1 : each))
      cores = [inside.indexOf(inside.reduce((one, other) => Math.max(one, other), -1))]
    }
    const likeCore = this.#likeness(cores)
    const likeOutside = this.#likeness(outside)
    seeds.bound(outside)
    const strength = LIKENESS * this.graph.typicalDegree
    const likely = likeOutside.map((like, leaf) => like / Math.max(likeCore[leaf] + like, 1e-9))
    const drive = likely.map((each) => strength * each ** 2)
    const ties = likely.map((each, leaf) => drive[leaf] + strength * (1 - each) ** 2)
    const within = Uint8Array.from(isOutside, (is) => 1 - is)
    const filling = this.#filling(drawn, potentials(this.graph, ties, drive, seeds.values), within)
    return seeds.appliedTo(filling.map((is, leaf) => within[leaf] & (is | label[leaf])))
  }

  /**
   * @param {Box} drawn
   * @param {Float64Array} found
   * @param {Uint8Array} within leaves in the box, all of them where there is nothing better
   */
  #filling(drawn, found, within) {
    let best = -Infinity
    let chosen = within
    for (const threshold of THRESHOLDS) {
      const some = above(found, threshold).map((is, leaf) => is & within[leaf])
      const own = this.#boxAround(some)
      if (!own) continue
      const worth = FILLING * boxIou(drawn, own) - Math.abs(threshold - 0.5)
      if (worth > best) [best, chosen] = [worth, some]
    }
    return chosen
  }

  /** @param {Uint8Array} some leaves, 1 for each */
  #boxAround(some) {
    this.boxes ??= this.#extents()
    /** @type {Box | null} */
    let around = null
    for (const [leaf, box] of this.boxes.entries()) {
      if (!some[leaf]) continue
      around = around ? united(around, box) : box
    }
    return around
  }

  #extents() {
    const { ids, columns, rows, count } = this.hierarchy
    const boxes = Array.from({ length: count }, () => /** @type {Box} */ ([columns, rows, 0, 0]))
    for (let row = 0, cell = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, cell++) {
        const box = boxes[ids[cell] - 1]
        if (!box) continue
        if (column < box[0]) box[0] = column
        if (column >= box[2]) box[2] = column + 1
        if (row < box[1]) box[1] = row
        if (row >= box[3]) box[3] = row + 1
      }
    }
    return boxes
  }

  /**
   * The leaves that a stroke fixes, none where it lies outside of the image.
   * @param {[number, number][]} stroke
   */
  #crossed(stroke) {
    const { hierarchy, counts } = this
    if (!stroke.some(([x, y]) => hierarchy.contains({ x, y }))) return []
    const corners = stroke.map(([x, y]) => hierarchy.cell({ x, y }))
    const cells = new Set()
    for (let index = 0; index < Math.max(corners.length - 1, 1); index++) {
      const [from, to] = [corners[index], corners[Math.min(index + 1, corners.length - 1)]]
      for (const [column, row] of lineCells([from.column, from.row], [to.column, to.row])) {
        if (column >= 0 && row >= 0 && column < hierarchy.columns && row < hierarchy.rows) {
          cells.add(row * hierarchy.columns + column)
        }
      }
    }
    const crossed = new Uint32Array(hierarchy.count)
    for (const cell of cells) if (hierarchy.ids[cell]) crossed[hierarchy.ids[cell] - 1]++
    return [...crossed.keys()].filter(
      (leaf) =>
        crossed[leaf] > 0 && (crossed[leaf] > CROSSED * counts[leaf] || crossed[leaf] > CROSSED * cells.size)
    )
  }

  /**
   * How much of each leaf lies in a box, 0..1.
   * @param {Box} box
   */
  #shares([x1, y1, x2, y2]) {
    const inside = this.#counted(x1, y1, x2, y2)
    return Float64Array.from(inside, (count, leaf) => count / Math.max(this.counts[leaf], 1))
  }

  /**
   * @param {number} x1
   * @param {number} y1
   * @param {number} x2
   * @param {number} y2
   */
  #counted(x1, y1, x2, y2) {
    const { ids, columns, count } = this.hierarchy
    const found = new Uint32Array(count + 1)
    for (let row = y1; row < y2; row++) {
      for (let cell = row * columns + x1; cell < row * columns + x2; cell++) found[ids[cell]]++
    }
    return found.subarray(1)
  }

  /**
   * The mean distance of every leaf to the closest few of some leaves.
   * @param {number[]} to
   */
  #likeness(to) {
    const { count, distances } = this.graph
    const few = Math.min(CLOSEST, to.length)
    const found = new Float64Array(count)
    for (let leaf = 0; leaf < count; leaf++) {
      const closest = new Float64Array(few).fill(Infinity)
      for (const other of to) {
        let distance = distances[leaf * count + other]
        for (let place = 0; place < few; place++) {
          if (distance < closest[place]) [closest[place], distance] = [distance, closest[place]]
        }
      }
      found[leaf] = closest.reduce((sum, each) => sum + each, 0) / few
    }
    return found
  }

  /** @param {number} leaf */
  #cellsOf(leaf) {
    let cells = this.cells.get(leaf)
    if (!cells) {
      const { ids } = this.hierarchy
      cells = new Uint32Array(this.counts[leaf])
      for (let cell = 0, found = 0; found < cells.length; cell++) {
        if (ids[cell] === leaf + 1) cells[found++] = cell
      }
      this.cells.set(leaf, cells)
    }
    return cells
  }
}

/**
 * @param {Float64Array} values
 * @param {number} threshold
 */
function above(values, threshold) {
  return Uint8Array.from(values, (value) => (value > threshold ? 1 : 0))
}

/** @param {Uint8Array} label */
function opposite(label) {
  return label.map((is) => 1 - is)
}

/**
 * @param {Box} one
 * @param {Box} other
 * @returns {Box}
 */
function united(one, other) {
  return [
    Math.min(one[0], other[0]),
    Math.min(one[1], other[1]),
    Math.max(one[2], other[2]),
    Math.max(one[3], other[3])
  ]
}
