/** What pointer, wheel and keyboard mean on the image where objects are chosen. */

import { NO_SEGMENT } from './label_map.mjs'
import { nextSegment } from './selection.mjs'
import { ARROWS } from './gestures.mjs'

/** @typedef {import('./label_map.mjs').Point} Point */
/** @typedef {import('./prompting/prompts.mjs').Prompt} Prompt */
/** @typedef {import('./view.mjs').View} View */

/**
 * What the picker does on a gesture.
 * @typedef {object} ObjectActions
 * @property {boolean} subtracting whether a plain click is against the object
 * @property {(prompt: Prompt) => void} add
 * @property {(prompt: Prompt | null) => void} draft a prompt is being drawn
 * @property {(at: Point | null, positive: boolean) => void} point a place is pointed at, or none
 * @property {(at: Point | null, positive: boolean) => void} preview the same, and it is shown
 * @property {(by: number) => void} resize the last click takes more, or less
 * @property {() => void} takeBack the last prompt
 * @property {() => void} clear all prompts of the object
 */

const DRAG = 4 // pixels of the screen from which on a press is no click
const WHEEL = 40 // units of a wheel that are one step; a notch of a mouse has 100 or 120
/** @type {Record<string, number>} */
const SIZES = { '+': 1, '=': 1, '-': -1, _: -1 }

/**
 * A click adds a prompt, dragging draws a box, with Shift a stroke; with Alt or the right button against.
 * @param {View} view
 * @param {ObjectActions} actions
 */
export function listenToObjectPointer(view, actions) {
  const { canvas } = view
  /** @type {{id: number, x: number, y: number, from: Point, positive: boolean, stroke: [number, number][] | null, moved: boolean} | null} */
  let press = null

  canvas.addEventListener('pointerdown', (event) => {
    if (!view.objects || press || (event.button !== 0 && event.button !== 2)) return
    const from = view.pixelAt(event)
    event.stopPropagation()
    if (!from) return
    canvas.setPointerCapture(event.pointerId)
    canvas.focus({ preventScroll: true })
    press = {
      id: event.pointerId,
      x: event.clientX,
      y: event.clientY,
      from,
      positive: isPositive(event),
      stroke: event.shiftKey ? [[from.x, from.y]] : null,
      moved: false
    }
  })

  canvas.addEventListener('pointermove', (event) => {
    if (!view.objects) return
    if (!press) return actions.preview(view.pixelAt(event), isPositive(event))
    if (event.pointerId !== press.id) return
    event.stopPropagation()
    press.moved ||= Math.hypot(event.clientX - press.x, event.clientY - press.y) > DRAG
    if (press.stroke) {
      const events = event.getCoalescedEvents()
      for (const each of events.length ? events : [event]) extend(press.stroke, view.nearestPixelAt(each))
    }
    if (press.moved) actions.draft(drawn(view.nearestPixelAt(event)))
  })

  canvas.addEventListener('pointerup', (event) => {
    if (event.pointerId !== press?.id) return
    event.stopPropagation()
    const { moved, from, positive, stroke } = press
    const label = positive ? 1 : 0
    const prompt = moved || stroke ? drawn(view.nearestPixelAt(event)) : { ...from, label }
    press = null
    if (event.pointerType === 'mouse') actions.point(view.pixelAt(event), isPositive(event))
    else actions.point(null, true)
    actions.draft(null)
    if (prompt) actions.add(prompt)
  })

  canvas.addEventListener('pointercancel', (event) => {
    if (event.pointerId === press?.id) cancel()
  })

  canvas.addEventListener('pointerleave', () => {
    if (view.objects && !press) actions.preview(null, true)
  })

  canvas.addEventListener('contextmenu', (event) => {
    if (!view.objects) return
    event.preventDefault()
    event.stopPropagation()
  })

  let turned = 0
  // On the window: Nodes 2.0 takes such a turn of the wheel for the graph's before it comes to the image.
  window.addEventListener(
    'wheel',
    (event) => {
      if (event.target !== canvas || !view.objects || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault() // else the page, or the graph, is zoomed
      event.stopImmediatePropagation()
      turned -= event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : Math.sign(event.deltaY) * 100
      const steps = Math.trunc(turned / WHEEL)
      if (!steps) return
      turned = 0
      actions.resize(Math.sign(steps))
    },
    { capture: true, passive: false, signal: view.gone.signal }
  )

  canvas.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !press) return
    event.stopImmediatePropagation()
    event.preventDefault()
    cancel()
  })

  function cancel() {
    press = null
    actions.draft(null)
    actions.preview(null, true)
  }

  /** @param {PointerEvent | MouseEvent} event */
  function isPositive(event) {
    const isAgainst = event.altKey || event.button === 2 || (event.buttons & 2) !== 0
    return actions.subtracting ? isAgainst : !isAgainst
  }

  /**
   * The box or the stroke up to a pixel; nothing where the box has no extent.
   * @param {Point} to
   * @returns {Prompt | null}
   */
  function drawn(to) {
    if (!press) return null
    const { from, positive, stroke } = press
    const label = positive ? 1 : 0
    if (stroke) return { stroke: [...stroke], label }
    const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)]
    const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)]
    return left < right && top < bottom ? { box: [left, top, right + 1, bottom + 1], label } : null
  }
}

/**
 * Arrow keys go from segment to segment, Enter and Space are a click there.
 * @param {View} view
 * @param {ObjectActions} actions
 */
export function listenToObjectKeys(view, actions) {
  view.canvas.addEventListener('keydown', (event) => {
    if (!view.objects || !press(event)) return
    event.preventDefault()
    event.stopImmediatePropagation() // ComfyUI has meanings of its own for most keys
  })
  view.canvas.addEventListener('blur', () => {
    if (view.objects) actions.preview(null, true)
  })

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean} whether the key means something here
   */
  function press(event) {
    const { map, pointed } = view
    if (!map || event.ctrlKey || event.metaKey) return false
    if (event.key in ARROWS) {
      const here = pointed ? map.at(pointed) : NO_SEGMENT
      const at = map.poles[nextSegment(map, here, ARROWS[event.key])] ?? null
      actions.preview(at, !actions.subtracting)
    } else if (event.key === 'Enter' || event.key === ' ') {
      if (pointed) actions.add({ ...map.hierarchy.sampled(pointed), label: actions.subtracting !== event.altKey ? 0 : 1 })
    } else if (event.key in SIZES) {
      actions.resize(SIZES[event.key])
    } else if (event.key === 'Backspace') {
      actions.takeBack()
    } else if (event.key === 'Escape') {
      actions.clear()
    } else {
      return false
    }
    return true
  }
}

/**
 * A stroke with one more pixel, unless it is there already.
 * @param {[number, number][]} stroke
 * @param {Point} at
 */
function extend(stroke, { x, y }) {
  const last = stroke[stroke.length - 1]
  if (last[0] !== x || last[1] !== y) stroke.push([x, y])
}
