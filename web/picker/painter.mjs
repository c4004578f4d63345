/**
 * Paints segments over an image: borders, the chosen ones, and the one under the pointer.
 *
 * Where the leaves lie is known beforehand, as rows of pixels that are filled at once, and so is the level of every
 * border. So lighting up a segment costs no more than its own pixels, and another cut no more than the pixels near
 * borders and the leaves that change their colour.
 */

import { NO_BORDER } from './hierarchy.mjs'
import { colour, groupedByLeaf, rowsByLeaf } from './raster.mjs'

/** @typedef {import('./hierarchy.mjs').Hierarchy} Hierarchy */
/** @typedef {import('./label_map.mjs').LabelMap} LabelMap */

/** Where a pixel lies in its segment: inside, next to the border, or next to those. */
const [INSIDE, EDGE, RIM] = [0, 1, 2]

/** Colours by where the pixel lies. */
const IDLE = [0, colour(0, 0, 0, 0.55), colour(255, 255, 255, 0.5)]
const HOVERED = [colour(255, 255, 255, 0.3), colour(0, 0, 0, 0.8), colour(255, 255, 255, 1)]
const CHOSEN = [colour(40, 140, 255, 0.5), colour(0, 40, 110, 0.9), colour(120, 200, 255, 1)]
const CHOSEN_HOVERED = [colour(80, 165, 255, 0.68), colour(0, 40, 110, 0.9), colour(255, 255, 255, 1)]
const NO_SEGMENT_COLOUR = [colour(0, 0, 0, 0.6), colour(0, 0, 0, 0.6), colour(0, 0, 0, 0.6)]

export class Painter {
  /**
   * @param {Hierarchy} hierarchy
   * @param {number} width of the canvas, in its pixels
   * @param {number} height
   * @param {number} line width of one half of a border, in pixels of the canvas
   */
  constructor(hierarchy, width, height, line) {
    this.image = new ImageData(width, height)
    this.out = new Uint32Array(this.image.data.buffer)
    const ids = hierarchy.resampled(width, height)
    this.edge = borderLevels(hierarchy, ids, width, height, line)
    this.rim = borderLevels(hierarchy, ids, width, height, 2 * line)
    this.rows = rowsByLeaf(ids, width, hierarchy.count + 1)
    const near = Uint32Array.from(ids.keys()).filter((pixel) => this.rim[pixel] !== NO_BORDER)
    this.borders = groupedByLeaf(near, ids, hierarchy.count + 1)
    /** @type {number[][]} */
    this.filled = [] // with which colours each leaf is painted now
  }

  /**
   * Paint one segment.
   * @param {CanvasRenderingContext2D} context
   * @param {LabelMap} map
   * @param {number} segment
   * @param {boolean} chosen
   * @param {boolean} hovered
   */
  paintSegment(context, map, segment, chosen, hovered) {
    const { boxes } = this.rows
    let [left, top, right, bottom] = [Infinity, Infinity, -1, -1]
    map.segments.forEach((each, leaf) => {
      if (each !== segment) return
      this.#fill(leaf + 1, coloursOf(chosen, hovered), map.count)
      const box = boxes[leaf + 1]
      left = Math.min(left, box.left)
      top = Math.min(top, box.top)
      right = Math.max(right, box.right)
      bottom = Math.max(bottom, box.bottom)
    })
    if (right >= left) context.putImageData(this.image, 0, 0, left, top, right - left + 1, bottom - top + 1)
  }

  /**
   * Paint everything.
   * @param {CanvasRenderingContext2D} context
   * @param {LabelMap} map
   * @param {Uint8Array} chosen 1 or 0 for each segment
   * @param {number} hovered a segment, or NO_SEGMENT
   */
  paintAll(context, map, chosen, hovered) {
    this.#fill(0, NO_SEGMENT_COLOUR, map.count)
    map.segments.forEach((segment, leaf) => {
      this.#fill(leaf + 1, coloursOf(chosen[segment] === 1, segment === hovered), map.count)
    })
    context.putImageData(this.image, 0, 0)
  }

  /**
   * @param {number} id leaf number + 1
   * @param {number[]} colours by place
   * @param {number} count number of segments
   */
  #fill(id, colours, count) {
    const { out, edge, rim, rows, borders } = this
    if (this.filled[id] !== colours) {
      this.filled[id] = colours
      for (let row = rows.starts[id]; row < rows.starts[id + 1]; row++) {
        out.fill(colours[INSIDE], rows.pixels[row], rows.ends[row])
      }
    }
    for (let index = borders.starts[id]; index < borders.starts[id + 1]; index++) {
      const pixel = borders.pixels[index]
      out[pixel] = colours[rim[pixel] >= count ? INSIDE : edge[pixel] < count ? EDGE : RIM]
    }
  }
}

/**
 * @param {boolean} chosen
 * @param {boolean} hovered
 */
function coloursOf(chosen, hovered) {
  return chosen ? (hovered ? CHOSEN_HOVERED : CHOSEN) : hovered ? HOVERED : IDLE
}

/**
 * The level of the borders near each pixel, the lowest of them; NO_BORDER where there is none. The borders of a cut
 * into n segments are those of a level below n (an ultrametric contour map: Arbelaez, Maire, Fowlkes and Malik,
 * "Contour Detection and Hierarchical Image Segmentation", 2011), so another cut needs no look at neighbours.
 * @param {Hierarchy} hierarchy
 * @param {Uint16Array} ids
 * @param {number} width
 * @param {number} height
 * @param {number} reach how far a border may be, in pixels
 */
function borderLevels(hierarchy, ids, width, height, reach) {
  const out = new Uint16Array(ids.length).fill(NO_BORDER)
  /**
   * @param {number} pixel
   * @param {number} other
   */
  function compare(pixel, other) {
    const level = hierarchy.level(ids[pixel] - 1, ids[other] - 1)
    if (level < out[pixel]) out[pixel] = level
    if (level < out[other]) out[other] = level
  }
  for (let step = 1; step <= reach; step++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0, pixel = y * width; x < width; x++, pixel++) {
        if (x + step < width && ids[pixel] !== ids[pixel + step]) compare(pixel, pixel + step)
        const below = pixel + step * width
        if (y + step < height && ids[pixel] !== ids[below]) compare(pixel, below)
      }
    }
  }
  return out
}
