/** The image on the node: two canvases, the image below and the segments above, sharp at every size. */

import { make } from './dom.mjs'
import { NO_SEGMENT } from './label_map.mjs'
import { Painter } from './painter.mjs'
import { isPositive } from './prompting/prompts.mjs'

/** @import { Hierarchy } from './hierarchy.mjs' */
/** @import { LabelMap, Point } from './label_map.mjs' */
/** @import { Overlay } from './painter.mjs' */
/** @import { Prompt } from './prompting/prompts.mjs' */

const MAX_SIDE = 2048 // of the canvases, in their pixels
const POLL_MS = 200 // milliseconds between looks at the image's size on the screen
const [FOR, AGAINST] = ['#2fd06a', '#ff4b3e']
const [RADIUS, LINE] = [5, 1.75] // of a click and of a box, in pixels of the screen

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
    /** @type {Overlay | null} */
    this.overlay = null
    /** @type {Prompt[]} */
    this.marks = [] // prompts that are drawn
    this.fineness = 1 // pixels of the canvases in one of the screen
    this.isSized = false // the canvases are as the image is
    this.isMarked = false // prompts are drawn over what is painted
    /** @type {Point | null} */
    this.pointed = null
    this.gone = new AbortController()
    this.resized = new ResizeObserver(() => this.fit())
    this.resized.observe(this.frame)
    this.timer = window.setInterval(() => this.fit(), POLL_MS) // there is no event for a zoom of the graph
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
    Object.assign(this, { hierarchy, image, painter: null, pointed: null, map: null, overlay: null, isSized: false })
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
    const { hierarchy, overlay, marks, canvas, context } = this
    if (!hierarchy || !overlay) return
    if (!this.isSized) return this.fit()
    const line = Math.max(1, Math.round(Math.max(canvas.width, canvas.height) / 900))
    this.painter ??= new Painter(hierarchy, canvas.width, canvas.height, line)
    this.painter.paint(context, overlay, this.isMarked)
    this.isMarked = marks.length > 0
    drawMarks(context, hierarchy, marks, this.fineness)
  }

  /**
   * Paint over the image.
   * @param {LabelMap} map the cut of the hierarchy that is shown
   * @param {Overlay} overlay
   * @param {Prompt[]} marks prompts that are drawn above it
   */
  paint(map, overlay, marks = []) {
    Object.assign(this, { map, overlay, marks })
    this.#paint()
  }

  /** The segment that is pointed at, or NO_SEGMENT. */
  get hovered() {
    return this.pointed && this.map ? this.map.at(this.pointed) : NO_SEGMENT
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

/**
 * Draw prompts over the objects: a disc for each click, and the boxes and strokes.
 * @param {CanvasRenderingContext2D} context
 * @param {Hierarchy} hierarchy
 * @param {Prompt[]} prompts
 * @param {number} fineness pixels of the canvas in one of the screen
 */
function drawMarks(context, hierarchy, prompts, fineness) {
  const { width, height } = context.canvas
  /** @param {number} x @param {number} y */
  const at = (x, y) => /** @type {const} */ ([(x * width) / hierarchy.width, (y * height) / hierarchy.height])
  /** @param {string} colour @param {number} breadth */
  const outline = (colour, breadth) => {
    for (const [style, line] of /** @type {const} */ ([['rgba(0, 0, 0, 0.7)', 2 * breadth], [colour, breadth]])) {
      context.strokeStyle = style
      context.lineWidth = line
      context.stroke()
    }
  }
  context.save()
  context.lineJoin = 'round'
  context.lineCap = 'round'
  for (const prompt of prompts) {
    const colour = isPositive(prompt) ? FOR : AGAINST
    context.beginPath()
    if (prompt.box) {
      const [left, top] = at(prompt.box[0], prompt.box[1])
      const [right, bottom] = at(prompt.box[2], prompt.box[3])
      context.rect(left, top, right - left, bottom - top)
      outline(colour, LINE * fineness)
    } else if (prompt.stroke) {
      prompt.stroke.forEach(([x, y]) => context.lineTo(...at(x + 0.5, y + 0.5)))
      if (prompt.stroke.length === 1) context.lineTo(...at(prompt.stroke[0][0] + 0.6, prompt.stroke[0][1] + 0.5))
      outline(colour, 2 * LINE * fineness)
    } else if (prompt.x !== undefined && prompt.y !== undefined) {
      const [x, y] = at(prompt.x + 0.5, prompt.y + 0.5)
      const radius = RADIUS * fineness
      context.arc(x, y, radius, 0, 2 * Math.PI)
      context.fillStyle = colour
      context.fill()
      // A plus or a minus, not by colour alone.
      context.moveTo(x - radius / 2, y)
      context.lineTo(x + radius / 2, y)
      if (isPositive(prompt)) {
        context.moveTo(x, y - radius / 2)
        context.lineTo(x, y + radius / 2)
      }
      context.strokeStyle = 'white'
      context.lineWidth = 1.5 * fineness
      context.stroke()
    }
  }
  context.restore()
}
