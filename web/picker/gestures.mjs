/** What pointer and keyboard mean on the image. */

import { historyKey } from './history.mjs'
import { NO_SEGMENT, LabelMap } from './label_map.mjs'
import { nextSegment, pixelsBetween } from './selection.mjs'

/** @typedef {import('./label_map.mjs').Point} Point */
/** @typedef {import('./view.mjs').View} View */

/**
 * What the picker does on a gesture.
 * @typedef {object} Actions
 * @property {() => void} begin a change begins, to be undone as one
 * @property {(at: Point) => boolean} hasPoint whether the segment there has a point
 * @property {(at: Point, named: boolean) => void} name give the segment there a point, or take its points away
 * @property {() => void} end the change is complete
 * @property {() => void} cancel the change is to be forgotten
 * @property {(at: Point | null) => void} hover a place is pointed at, or none
 * @property {(step: 'undo' | 'redo', isKey: boolean) => boolean} step one change back or forth; whether it takes the key
 * @property {() => void} all
 * @property {(by: number) => void} changeGranularity that many segments more, or fewer
 */

/** @type {Record<string, Point>} */
export const ARROWS = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 }
}

/** What a key adds to the number of segments; brackets need AltGr on some keyboards. @type {Record<string, number>} */
const FINER = { '[': -1, ']': 1, ',': -1, '.': 1 }

/**
 * A click toggles a segment; a stroke does to every segment on its way what it did to the first.
 * @param {View} view
 * @param {Actions} actions
 */
export function listenToPointer(view, actions) {
  const { canvas } = view
  /** @type {{id: number, named: boolean, last: Point | null} | null} */
  let stroke = null

  canvas.addEventListener('pointerdown', (event) => {
    if (view.objects || event.button !== 0 || stroke) return // other buttons pan the graph and open its menu
    const at = view.pixelAt(event)
    event.stopPropagation()
    if (!at) return
    canvas.setPointerCapture(event.pointerId)
    actions.begin()
    stroke = { id: event.pointerId, named: !actions.hasPoint(at), last: at }
    actions.name(at, stroke.named)
    actions.hover(at)
  })

  canvas.addEventListener('pointermove', (event) => {
    if (view.objects) return
    if (!stroke) return actions.hover(view.pixelAt(event))
    if (event.pointerId !== stroke.id) return
    event.stopPropagation()
    const events = event.getCoalescedEvents()
    for (const each of events.length ? events : [event]) {
      const at = view.pixelAt(each)
      let under = NO_SEGMENT
      for (const pixel of at && stroke.last ? pixelsBetween(stroke.last, at) : at ? [at] : []) {
        const segment = segmentAt(pixel)
        if (segment !== under) actions.name(pixel, stroke.named)
        under = segment
      }
      stroke.last = at
    }
    actions.hover(stroke.last)
  })

  canvas.addEventListener('pointerup', (event) => {
    if (event.pointerId !== stroke?.id) return
    stroke = null
    actions.end()
    if (event.pointerType !== 'mouse') actions.hover(null) // a finger that is lifted points at nothing
  })

  canvas.addEventListener('pointercancel', (event) => {
    if (event.pointerId !== stroke?.id) return
    stroke = null
    actions.cancel()
    actions.hover(null)
  })

  canvas.addEventListener('pointerleave', () => {
    if (!view.objects && !stroke) actions.hover(null)
  })

  /** @param {Point} at */
  function segmentAt(at) {
    return /** @type {LabelMap} */ (view.map).at(at)
  }
}

/**
 * Arrow keys go from segment to segment, Enter and Space toggle, brackets go from coarse to fine. Ctrl+Z takes back,
 * whatever is chosen.
 * @param {View} view
 * @param {Actions} actions
 */
export function listenToKeys(view, actions) {
  view.canvas.addEventListener('keydown', (event) => {
    const step = historyKey(event)
    if (step ? !actions.step(step, true) : view.objects || !view.map || !press(event, view.map)) return
    event.preventDefault()
    event.stopPropagation() // ComfyUI has meanings of its own for most keys
  })
  view.canvas.addEventListener('blur', () => {
    if (!view.objects) actions.hover(null)
  })

  /**
   * @param {KeyboardEvent} event
   * @param {LabelMap} map
   * @returns {boolean} whether the key means something here
   */
  function press(event, map) {
    const command = event.ctrlKey || event.metaKey
    if (command && event.key.toLowerCase() === 'a') {
      actions.all()
    } else if (command || event.altKey) {
      return false
    } else if (event.key in ARROWS) {
      actions.hover(map.poles[nextSegment(map, view.hovered, ARROWS[event.key])] ?? null)
    } else if (event.key in FINER) {
      actions.changeGranularity(FINER[event.key])
    } else if (event.key === 'Enter' || event.key === ' ') {
      const at = map.poles[view.hovered]
      if (!at) return true
      actions.begin()
      actions.name(at, !actions.hasPoint(at))
      actions.end()
    } else {
      return false
    }
    return true
  }
}
