/** The image on the node: two canvases, the image below and the segments above, sharp at every size. */

import { make } from './dom.mjs'
import { NO_SEGMENT } from './label_map.mjs'
import { drawMarks } from './marks.mjs'
import { objectsOverlay, segmentsOverlay } from './overlays.mjs'
import { Painter } from './painter.mjs'

/** @import { Hierarchy } from './hierarchy.mjs' */
/** @import { LabelMap, Point } from './label_map.mjs' */
/** @import { PaintedObject, Preview } from './overlays.mjs' */
/** @import { Prompt } from './prompting/prompts.mjs' */

/**
 * What is shown where objects are chosen.
 * @typedef {object} ShownObjects
 * @property {PaintedObject[]} painted
 * @property {Prompt[]} marks prompts that are drawn
 * @property {Preview | null} preview
 */

const MAX_SIDE = 2048 // of the canvases, in their pixels
const POLL_MS = 200 // milliseconds between looks at the image's size on the screen

export class View {
  /** @param {string} label what a screen reader calls it */
  constructor(label) {
    this.frame = make('frame')
    this.stage = make('stage')
    this.imageCanvas = make('image', 'canvas')
    this.canvas = make('view', 'canvas')
    this.canvas.tabIndex = 0
    // ComfyUI hears keys before the image does, and leaves undo to what says that it is a text field.
    Object.assign(this.canvas, { type: 'textarea' })
    this.canvas.setAttribute('role', 'application')
    this.canvas.setAttribute('aria-label', label)
    this.stage.append(this.imageCanvas, this.canvas)
    this.frame.append(this.stage)
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d'))
    /** @type {Hierarchy | null} */
    this.hierarchy = null
    /** @type {LabelMap | null} */
    this.map = null
    /** @type {ImageBitmap | null} */
    this.image = null
    /** @type {Painter | null} */
    this.painter = null
    /** @type {ShownObjects | null} */
    this.objects = null // where segments are chosen
    this.fineness = 1 // pixels of the canvases in one of the screen
    /** @type {Uint8Array} */
    this.chosen = new Uint8Array(0)
    this.hovered = NO_SEGMENT
    this.isSized = false // the canvases are as the image is
    this.isMarked = false // prompts are drawn over what is painted
    /** @type {Point | null} */
    this.pointed = null // the place that makes a segment the hovered one
    this.gone = new AbortController()
    this.resized = new ResizeObserver(() => this.fit())
    this.resized.observe(this.frame)
    this.timer = window.setInterval(() => this.fit(), POLL_MS) // nothing tells that the graph was zoomed
  }

  /** The node is gone. */
  dispose() {
    this.gone.abort()
    this.resized.disconnect()
    window.clearInterval(this.timer)
  }

  /**
   * Show another image.
   * @param {Hierarchy} hierarchy
   * @param {ImageBitmap} image
   */
  show(hierarchy, image) {
    this.hierarchy = hierarchy
    this.image = image
    this.painter = null
    this.pointed = null
    this.map = null
    this.objects = null
    this.isSized = false
  }

  /**
   * Make the image as large as the frame lets it be, and the canvases as fine as the screen: a node may be
   * resized, zoomed, or moved to another screen.
   */
  fit() {
    const { hierarchy, image, map } = this
    if (!hierarchy || !image || !map || !this.frame.clientWidth || !this.frame.clientHeight) return
    const { width, height } = hierarchy
    const scale = Math.min(this.frame.clientWidth / width, this.frame.clientHeight / height)
    this.stage.style.width = `${width * scale}px`
    this.stage.style.height = `${height * scale}px`
    const shown = this.stage.getBoundingClientRect() // with the zoom of the graph
    const fineness = Math.min(
      (shown.width * window.devicePixelRatio) / width,
      MAX_SIDE / Math.max(width, height)
    )
    const columns = Math.max(1, Math.round(width * fineness))
    const rows = Math.max(1, Math.round(height * fineness))
    const change = columns / this.canvas.width
    if (this.isSized && change > 0.95 && change < 1.05) return
    this.isSized = true
    this.fineness = columns / shown.width
    for (const canvas of [this.imageCanvas, this.canvas]) {
      canvas.width = columns
      canvas.height = rows
    }
    const below = /** @type {CanvasRenderingContext2D} */ (this.imageCanvas.getContext('2d'))
    below.imageSmoothingQuality = 'high'
    below.drawImage(image, 0, 0, columns, rows)
    this.painter = null
    this.#paint()
  }

  /** Paint what changed, by a painter for the canvas as it is now. */
  #paint() {
    const { hierarchy, map, objects, canvas, context } = this
    if (!hierarchy || !map) return
    if (!this.isSized) return this.fit()
    const line = Math.max(1, Math.round(Math.max(canvas.width, canvas.height) / 900))
    this.painter ??= new Painter(hierarchy, canvas.width, canvas.height, line)
    const overlay = objects
      ? objectsOverlay(objects.painted, objects.preview, hierarchy.count)
      : segmentsOverlay(map, this.chosen, this.hovered)
    this.painter.paint(context, overlay, this.isMarked)
    this.isMarked = Boolean(objects?.marks.length)
    if (objects) drawMarks(context, hierarchy, objects.marks, this.fineness)
  }

  /**
   * Show objects in place of segments.
   * @param {LabelMap} map for the keyboard, which goes from segment to segment
   * @param {ShownObjects} objects
   */
  showObjects(map, objects) {
    this.map = map
    this.objects = objects
    this.#paint()
  }

  /**
   * Show which segments there are, and which of them are chosen.
   * @param {LabelMap} map of the hierarchy that is shown
   * @param {Uint8Array} chosen 1 or 0 for each
   */
  choose(map, chosen) {
    this.chosen = chosen
    if (map !== this.map || this.objects) this.hovered = this.pointed ? map.at(this.pointed) : NO_SEGMENT
    this.objects = null
    this.map = map
    this.#paint()
  }

  /**
   * Light up the segment at a place.
   * @param {Point | null} at
   */
  hover(at) {
    this.pointed = at
    const segment = at && this.map ? this.map.at(at) : NO_SEGMENT
    if (segment === this.hovered) return
    this.hovered = segment
    if (this.isSized) this.#paint()
  }

  /**
   * The pixel of the image under a pointer, on its edge the outermost one; null outside.
   * @param {{clientX: number, clientY: number}} pointer
   * @returns {Point | null}
   */
  pixelAt(pointer) {
    const [x, y] = this.#placeOf(pointer)
    return this.hierarchy && x >= 0 && x <= 1 && y >= 0 && y <= 1 ? this.hierarchy.pixelAt(x, y) : null
  }

  /**
   * The pixel of the image that is nearest to a pointer.
   * @param {{clientX: number, clientY: number}} pointer
   * @returns {Point}
   */
  nearestPixelAt(pointer) {
    const [x, y] = this.#placeOf(pointer).map((share) => Math.min(Math.max(share, 0), 1))
    return /** @type {Hierarchy} */ (this.hierarchy).pixelAt(x, y)
  }

  /**
   * Where a pointer is, as shares of the image from its left upper corner.
   * @param {{clientX: number, clientY: number}} pointer
   */
  #placeOf({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect()
    return [(clientX - left) / width, (clientY - top) / height]
  }
}
