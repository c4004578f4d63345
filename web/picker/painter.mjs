/**
 * Paints segments over a picture: borders, the chosen ones, and the one under the pointer.
 *
 * Every pixel's segment is known beforehand, and the pixels of a segment lie side by side in a list, so that
 * lighting up a segment costs no more than its own pixels.
 */

/** @typedef {import('./label_map.mjs').LabelMap} LabelMap */

/**
 * A colour as a canvas keeps it: bytes red, green, blue, alpha, in memory order.
 * @param {number} red 0..255
 * @param {number} green 0..255
 * @param {number} blue 0..255
 * @param {number} alpha 0..1
 */
function colour(red, green, blue, alpha) {
  return new Uint32Array(Uint8Array.of(red, green, blue, Math.round(alpha * 255)).buffer)[0]
}

/** Colours of a segment's inside, of its outermost pixels, and of those next to them. */
const IDLE = [0, colour(0, 0, 0, 0.55), colour(255, 255, 255, 0.5)]
const HOVERED = [colour(255, 255, 255, 0.3), colour(0, 0, 0, 0.8), colour(255, 255, 255, 1)]
const CHOSEN = [colour(40, 140, 255, 0.5), colour(0, 40, 110, 0.9), colour(120, 200, 255, 1)]
const CHOSEN_HOVERED = [colour(80, 165, 255, 0.68), colour(0, 40, 110, 0.9), colour(255, 255, 255, 1)]
const NOWHERE = [colour(0, 0, 0, 0.6), colour(0, 0, 0, 0.6), colour(0, 0, 0, 0.6)]

export class Painter {
  /**
   * @param {LabelMap} map
   * @param {number} width of the canvas, in its pixels
   * @param {number} height
   * @param {number} line width of one half of a border, in pixels of the canvas
   */
  constructor(map, width, height, line) {
    this.map = map
    this.image = new ImageData(width, height)
    this.out = new Uint32Array(this.image.data.buffer)
    const ids = map.resampled(width, height)
    this.zones = zones(ids, width, height, line)
    this.sorted = sortedBySegment(ids, width, map.count + 1)
  }

  /**
   * Paint one segment.
   * @param {CanvasRenderingContext2D} context
   * @param {number} segment
   * @param {boolean} chosen
   * @param {boolean} hovered
   */
  paintSegment(context, segment, chosen, hovered) {
    const colours = chosen ? (hovered ? CHOSEN_HOVERED : CHOSEN) : hovered ? HOVERED : IDLE
    this.#fill(segment + 1, colours)
    const { left, top, right, bottom } = this.sorted.boxes[segment + 1]
    if (right >= left) context.putImageData(this.image, 0, 0, left, top, right - left + 1, bottom - top + 1)
  }

  /**
   * Paint everything.
   * @param {CanvasRenderingContext2D} context
   * @param {Uint8Array} chosen 1 or 0 for each segment
   * @param {number} hovered a segment, or NO_SEGMENT
   */
  paintAll(context, chosen, hovered) {
    this.#fill(0, NOWHERE)
    for (let segment = 0; segment < this.map.count; segment++) {
      const lit = segment === hovered
      this.#fill(segment + 1, chosen[segment] ? (lit ? CHOSEN_HOVERED : CHOSEN) : lit ? HOVERED : IDLE)
    }
    context.putImageData(this.image, 0, 0)
  }

  /**
   * @param {number} id segment number + 1
   * @param {number[]} colours by zone
   */
  #fill(id, colours) {
    const { starts, pixels } = this.sorted
    for (let index = starts[id]; index < starts[id + 1]; index++) {
      const pixel = pixels[index]
      this.out[pixel] = colours[this.zones[pixel]]
    }
  }
}

/**
 * How near each pixel is to its segment's border: 1 next to it, 2 further in, 0 inside.
 * @param {Uint16Array} ids
 * @param {number} width
 * @param {number} height
 * @param {number} line pixels in each of the zones 1 and 2
 */
function zones(ids, width, height, line) {
  const out = new Uint8Array(ids.length)
  for (const [zone, reach] of [
    [2, 2 * line],
    [1, line]
  ]) {
    for (let step = 1; step <= reach; step++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0, pixel = y * width; x < width; x++, pixel++) {
          if (x + step < width && ids[pixel] !== ids[pixel + step]) out[pixel] = out[pixel + step] = zone
          if (y + step < height && ids[pixel] !== ids[pixel + step * width]) {
            out[pixel] = out[pixel + step * width] = zone
          }
        }
      }
    }
  }
  return out
}

/**
 * The pixels of every segment side by side (a counting sort), and the boxes around them.
 * @param {Uint16Array} ids
 * @param {number} width
 * @param {number} count number of ids
 */
function sortedBySegment(ids, width, count) {
  const starts = new Uint32Array(count + 1)
  for (const id of ids) starts[id + 1]++
  for (let id = 0; id < count; id++) starts[id + 1] += starts[id]
  const next = starts.slice()
  const pixels = new Uint32Array(ids.length)
  const boxes = Array.from({ length: count }, () => ({ left: width, top: Infinity, right: -1, bottom: -1 }))
  for (let pixel = 0, x = 0, y = 0; pixel < ids.length; pixel++) {
    const id = ids[pixel]
    pixels[next[id]++] = pixel
    const box = boxes[id]
    if (x < box.left) box.left = x
    if (x > box.right) box.right = x
    if (y < box.top) box.top = y
    box.bottom = y
    if (++x === width) {
      x = 0
      y++
    }
  }
  return { starts, pixels, boxes }
}
