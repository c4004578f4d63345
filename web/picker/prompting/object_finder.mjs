/**
 * From prompts to the leaves and pixels of one object: object_finder.py of the core, step by step, so that the
 * picker shows what the node will give.
 */

import { cellOf } from '../hierarchy.mjs'
import { LeafGraph, potentials } from './leaf_graph.mjs'
import { MarkovMaps } from './markov_maps.mjs'
import { isPositive as isFor } from './prompts.mjs'
import { Seeds } from './seeds.mjs'
import { ShownPixels, boxIou } from './shown_pixels.mjs'

/** @import { Hierarchy } from '../hierarchy.mjs' */
/** @import { Point } from '../label_map.mjs' */
/** @import { Tables } from '../files.mjs' */
/** @import { Prompt } from './prompts.mjs' */
/** @import { Box } from './shown_pixels.mjs' */

/**
 * What the prompts so far mean.
 * @typedef {object} Found
 * @property {Uint8Array} label 1 for each leaf of the object
 * @property {Seeds} seeds
 * @property {{leaf: number, x: number, y: number, positive: boolean}[]} clicks
 */

export class ObjectFinder {
  /**
   * @param {Hierarchy} hierarchy with a tree
   * @param {Tables} tables that the node wrote of it to find objects with
   */
  constructor(hierarchy, tables) {
    const { areas, count } = hierarchy
    this.hierarchy = hierarchy
    this.graph = new LeafGraph(tables)
    this.constants = this.graph.constants
    this.colours = tables.colours // row by row, red, green and blue; of large images the mean of several pixels
    this.colourGrid = { rows: tables.shapes.colours[0], columns: tables.shapes.colours[1] }
    this.maps = new MarkovMaps(this.graph, areas)
    this.meanArea = areas.reduce((sum, area) => sum + area, 0) / count
    this.shown = new ShownPixels(hierarchy)
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
      const leaves = prompt.leaves ?? this.shown.crossed(prompt.stroke ?? [], this.constants.crossed)
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
      const cells = this.shown.of(leaf)
      const own = this.#nearest(cells, this.hierarchy.areas[leaf], clicks.filter((click) => click.leaf === leaf))
      return { leaf, cells, own }
    })
  }

  /**
   * Whether the click that is nearest to each cell in place and colour, of equal ones the last, is positive.
   * @param {Uint32Array} cells of a leaf
   * @param {number} area of that leaf
   * @param {Found['clicks']} clicks
   */
  #nearest(cells, area, clicks) {
    const { hierarchy, colours, constants } = this
    const seeds = clicks.map(({ x, y, positive }) => ({ x, y, positive, colour: this.#colourAt({ x, y }) }))
    const own = new Uint8Array(cells.length)
    for (let index = 0; index < cells.length; index++) {
      const column = cells[index] % hierarchy.columns
      const pixel = hierarchy.middle(column, (cells[index] - column) / hierarchy.columns)
      const { x, y } = pixel
      const at = this.#colourAt(pixel)
      let least = Infinity
      for (const seed of seeds) {
        const red = colours[at] - colours[seed.colour]
        const green = colours[at + 1] - colours[seed.colour + 1]
        const blue = colours[at + 2] - colours[seed.colour + 2]
        const colour = red * red + green * green + blue * blue
        const place = (y - seed.y) * (y - seed.y) + (x - seed.x) * (x - seed.x)
        const distance = place / area + colour / constants.colour_reach
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
   * @param {Point} pixel
   */
  #colourAt(pixel) {
    const { column, row } = cellOf(pixel, this.colourGrid, this.hierarchy)
    return 3 * (row * this.colourGrid.columns + column)
  }

  /** @param {Prompt} click @param {Found} found @param {Seeds} seeds @returns {Found} */
  #click(click, { label, seeds: before, clicks }, seeds) {
    const { hierarchy } = this
    const point = { x: Number(click.x), y: Number(click.y) }
    const positive = isFor(click)
    const steps = click.size ?? 0
    const leaf = hierarchy.contains(point) ? hierarchy.leafAt(point) : -1
    if (leaf < 0) return { label, seeds: before, clicks }
    const blocked = before.of(!positive)
    seeds.add([leaf], positive, true)
    clicks = [...clicks, { ...point, leaf, positive }]
    const hasLabel = label.includes(1)
    if (!hasLabel && !positive) return { label, seeds, clicks } // there is nothing yet that it could be taken from
    const changed = hasLabel ? this.#walk(label, seeds, positive) : this.#part(leaf, blocked, seeds)
    if (!steps) return { label: changed, seeds, clicks }
    // What the click takes: for the object, what it adds; against it, what it adds to the background.
    const [without, having] = positive ? [label, changed] : [opposite(label), opposite(changed)]
    const taken = hierarchy.tree.resized(leaf, without, having, seeds.free, seeds.beyond, steps)
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
    const { tree } = this.hierarchy
    const label = new Uint8Array(this.graph.count)
    const part = tree.part(leaf, blocked, this.graph.heights, this.constants.largest_part)
    for (const taken of tree.leaves(part)) label[taken] = 1
    return seeds.appliedTo(label)
  }

  /**
   * @param {Uint8Array} label
   * @param {Seeds} seeds
   * @param {boolean} isPositive whether the last prompt is for the object
   */
  #walk(label, seeds, isPositive) {
    const { graph, hierarchy } = this
    const { memory, new: fresh } = this.constants
    const [positive, negative] = seeds.leaves
    const likely = this.maps.likelihood(positive, negative)
    if (isPositive && !label.includes(1)) return seeds.appliedTo(above(likely, 0.5))
    const ties = Float64Array.from(hierarchy.areas, (area) => (memory * graph.typicalDegree * area) / this.meanArea)
    const drive = ties.map((tie, leaf) => tie * ((1 - fresh) * label[leaf] + fresh * likely[leaf]))
    const decided = above(potentials(graph, ties, drive, seeds.values), 0.5)
    return seeds.appliedTo(label.map((is, leaf) => (isPositive ? is | decided[leaf] : is & decided[leaf])))
  }

  /**
   * @param {Box} box in pixels of the image
   * @param {boolean} positive
   * @param {Uint8Array} label
   * @param {Seeds} seeds
   */
  #box(box, positive, label, seeds) {
    const { graph, shown } = this
    const { in_box: enough, likeness } = this.constants
    const drawn = shown.covered(box)
    const share = drawn && shown.shares(drawn)
    if (!drawn || !share?.some((value) => value > 0)) return label // there is nothing in it
    if (!positive) {
      seeds.add([...share.keys()].filter((leaf) => share[leaf] >= enough), false)
      return seeds.appliedTo(label)
    }
    const least = Math.min(enough, Math.max(...share)) // of a box smaller than any leaf, what it covers most
    const within = Uint8Array.from(share, (value) => (value < least ? 0 : 1))
    const outside = [...within.keys()].filter((leaf) => !within[leaf])
    if (!outside.length) return seeds.appliedTo(label.map(() => 1))
    const across = Math.floor((drawn[2] - drawn[0]) / 4)
    const down = Math.floor((drawn[3] - drawn[1]) / 4)
    const core = shown.shares([drawn[0] + across, drawn[1] + down, drawn[2] - across, drawn[3] - down])
    let cores = [...core.keys()].filter((leaf) => core[leaf] > 0.5)
    if (!cores.length) {
      const inside = core.map((value, leaf) => (within[leaf] ? value : -1))
      cores = [inside.indexOf(Math.max(...inside))]
    }
    const likeCore = this.#likeness(cores)
    const likely = this.#likeness(outside).map((like, leaf) => like / Math.max(likeCore[leaf] + like, 1e-9))
    seeds.bound(outside)
    const strength = likeness * graph.typicalDegree
    const drive = likely.map((share) => strength * share ** 2)
    const ties = likely.map((share, leaf) => drive[leaf] + strength * (1 - share) ** 2)
    const filling = this.#filling(drawn, potentials(graph, ties, drive, seeds.values), within)
    return seeds.appliedTo(filling.map((is, leaf) => within[leaf] & (is | label[leaf])))
  }

  /**
   * @param {Box} drawn
   * @param {Float64Array} chances
   * @param {Uint8Array} within leaves in the box, all of them where there is nothing better
   */
  #filling(drawn, chances, within) {
    let best = -Infinity
    let chosen = within
    for (const threshold of this.constants.thresholds) {
      const some = above(chances, threshold).map((is, leaf) => is & within[leaf])
      const own = this.shown.boxAround(some)
      if (!own) continue
      const worth = this.constants.filling * boxIou(drawn, own) - Math.abs(threshold - 0.5)
      if (worth > best) [best, chosen] = [worth, some]
    }
    return chosen
  }

  /**
   * The mean distance of every leaf to the closest few of some leaves.
   * @param {number[]} to
   */
  #likeness(to) {
    const { count, distances } = this.graph
    const few = Math.min(this.constants.closest, to.length)
    const means = new Float64Array(count)
    for (let leaf = 0; leaf < count; leaf++) {
      const closest = new Float64Array(few).fill(Infinity)
      for (const other of to) {
        let distance = distances[leaf * count + other]
        for (let place = 0; place < few; place++) {
          if (distance < closest[place]) [closest[place], distance] = [distance, closest[place]]
        }
      }
      means[leaf] = closest.reduce((sum, distance) => sum + distance, 0) / few
    }
    return means
  }
}

/** @param {Float64Array} values @param {number} threshold */
function above(values, threshold) {
  return Uint8Array.from(values, (value) => (value > threshold ? 1 : 0))
}

/** @param {Uint8Array} label */
function opposite(label) {
  return label.map((is) => 1 - is)
}
