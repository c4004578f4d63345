/** The picture on the node: two canvases, the picture below and the segments above, sharp at every size. */

import { NO_SEGMENT } from './label_map.mjs'
import { Painter } from './painter.mjs'

/** @typedef {import('./label_map.mjs').LabelMap} LabelMap */
/** @typedef {import('./label_map.mjs').Point} Point */

const LONGEST_SIDE = 2048 // of the canvases, in their pixels
const GLANCE = 200 // milliseconds between looks at the picture's size on the screen

export class View {
  /** @param {string} label what a screen reader calls it */
  constructor(label) {
    this.frame = document.createElement('div')
    this.frame.className = 'diffseg-picker-frame'
    this.stage = document.createElement('div')
    this.stage.className = 'diffseg-picker-stage'
    this.picture = document.createElement('canvas')
    this.picture.className = 'diffseg-picker-picture'
    this.canvas = document.createElement('canvas')
    this.canvas.className = 'diffseg-picker-view'
    this.canvas.tabIndex = 0
    this.canvas.setAttribute('role', 'application')
    this.canvas.setAttribute('aria-label', label)
    this.stage.append(this.picture, this.canvas)
    this.frame.append(this.stage)
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d'))
    /** @type {LabelMap | null} */
    this.map = null
    /** @type {ImageBitmap | null} */
    this.image = null
    /** @type {Painter | null} */
    this.painter = null
    /** @type {Uint8Array} */
    this.chosen = new Uint8Array(0)
    this.hovered = NO_SEGMENT
    this.resized = new ResizeObserver(() => this.fit())
    this.resized.observe(this.frame)
    this.timer = window.setInterval(() => this.fit(), GLANCE) // nothing tells that the graph was zoomed
  }

  /** The node is gone. */
  dispose() {
    this.resized.disconnect()
    window.clearInterval(this.timer)
  }

  /**
   * Show a picture and its segments.
   * @param {LabelMap} map
   * @param {ImageBitmap} image
   */
  show(map, image) {
    if (this.map === map && this.image === image) return
    this.map = map
    this.image = image
    this.painter = null
    this.hovered = NO_SEGMENT
    this.chosen = new Uint8Array(map.count)
    this.fit()
  }

  /**
   * Make the picture as large as the frame lets it be, and the canvases as fine as the screen: a node may be
   * resized, zoomed, or moved to another screen.
   */
  fit() {
    if (!this.map || !this.image || !this.frame.clientWidth || !this.frame.clientHeight) return
    const { width, height } = this.map
    const scale = Math.min(this.frame.clientWidth / width, this.frame.clientHeight / height)
    this.stage.style.width = `${width * scale}px`
    this.stage.style.height = `${height * scale}px`
    const shown = this.stage.getBoundingClientRect() // with the zoom of the graph
    const fineness = Math.min(
      (shown.width * window.devicePixelRatio) / width,
      LONGEST_SIDE / Math.max(width, height)
    )
    const columns = Math.max(1, Math.round(width * fineness))
    const rows = Math.max(1, Math.round(height * fineness))
    const change = columns / this.canvas.width
    if (this.painter && change > 0.95 && change < 1.05) return
    for (const canvas of [this.picture, this.canvas]) {
      canvas.width = columns
      canvas.height = rows
    }
    const below = /** @type {CanvasRenderingContext2D} */ (this.picture.getContext('2d'))
    below.imageSmoothingQuality = 'high'
    below.drawImage(this.image, 0, 0, columns, rows)
    this.painter = new Painter(this.map, columns, rows, Math.max(1, Math.round(Math.max(columns, rows) / 900)))
    this.painter.paintAll(this.context, this.chosen, this.hovered)
  }

  /**
   * Show which segments are chosen.
   * @param {Uint8Array} chosen 1 or 0 for each
   */
  choose(chosen) {
    const before = this.chosen
    this.chosen = chosen
    chosen.forEach((is, segment) => {
      if (is !== before[segment]) this.#paint(segment)
    })
  }

  /**
   * Light up a segment.
   * @param {number} segment or NO_SEGMENT
   */
  hover(segment) {
    if (segment === this.hovered) return
    const before = this.hovered
    this.hovered = segment
    this.#paint(before)
    this.#paint(segment)
  }

  /**
   * The pixel of the picture under a pointer, on its edge the outermost one; null outside.
   * @param {{clientX: number, clientY: number}} pointer
   * @returns {Point | null}
   */
  pixelAt({ clientX, clientY }) {
    if (!this.map) return null
    const { left, top, width, height } = this.canvas.getBoundingClientRect()
    const x = (clientX - left) / width
    const y = (clientY - top) / height
    if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) return null
    return {
      x: Math.min(this.map.width - 1, Math.floor(x * this.map.width)),
      y: Math.min(this.map.height - 1, Math.floor(y * this.map.height))
    }
  }

  /** @param {number} segment or NO_SEGMENT */
  #paint(segment) {
    if (segment === NO_SEGMENT) return
    this.painter?.paintSegment(this.context, segment, this.chosen[segment] === 1, segment === this.hovered)
  }
}
