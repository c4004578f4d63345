/** Choosing segments: what gestures do, what is shown, and what there is to say. */

import { historyKey } from './changes.mjs'
import { make, makeButton } from './dom.mjs'
import { ARROWS } from './gestures.mjs'
import { NO_SEGMENT } from './label_map.mjs'
import { chosenSegments, hasPoint, nextSegment, pixelsBetween, setPoint } from './selection.mjs'
import { segmentsOverlay } from './overlays.mjs'
import { formatPoints, parsePoints } from './prompting/prompts.mjs'

/** @import { LabelMap, Point } from './label_map.mjs' */
/** @import { Picker } from './picker.mjs' */

/**
 * @typedef {object} SliderState
 * @property {number} number of segments that are shown
 * @property {number} most that there can be
 * @property {boolean} isGiven whether these are the segments as they came
 * @property {boolean} fixed whether it cannot be moved here
 */

/** What a key adds to the number of segments; brackets need AltGr on some keyboards. @type {Record<string, number>} */
const FINER = { '[': -1, ']': 1, ',': -1, '.': 1 }

/** The same on the slider. @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }

/** A click toggles a segment; a stroke does to every segment on its way what it did to the first. */
export class SegmentTool {
  /** @param {Picker} picker */
  constructor(picker) {
    this.picker = picker
    this.buttons = [0]
    this.slider = new Slider(picker, this)
    this.slider.element.hidden = true
    /** @type {Uint8Array} */
    this.chosen = new Uint8Array(0) // 1 or 0 for each segment
    /** @type {{named: boolean, last: Point | null} | null} */
    this.stroke = null
  }

  /** @param {Point} at */
  press(at) {
    this.picker.changes.begin()
    this.stroke = { named: !this.#hasPoint(at), last: at }
    this.#name(at, this.stroke.named)
    this.hover(at)
  }

  /** @param {PointerEvent[]} events */
  drag(events) {
    const { view } = this.picker
    const { stroke } = this
    if (!stroke) return
    for (const event of events) {
      const at = view.pixelAt(event)
      let under = NO_SEGMENT
      for (const pixel of at && stroke.last ? pixelsBetween(stroke.last, at) : at ? [at] : []) {
        const segment = view.map?.at(pixel) ?? NO_SEGMENT
        if (segment !== under) this.#name(pixel, stroke.named)
        under = segment
      }
      stroke.last = at
    }
    this.hover(stroke.last)
  }

  /** @param {PointerEvent} event */
  release({ pointerType }) {
    this.stroke = null
    this.picker.changes.end()
    if (pointerType !== 'mouse') this.hover(null) // a finger that is lifted points at nothing
  }

  cancel() {
    this.stroke = null
    this.picker.changes.cancel()
    this.hover(null)
  }

  /** @param {Point | null} at */
  hover(at) {
    const { view } = this.picker
    const before = view.hovered
    view.pointed = at
    if (view.map && view.hovered !== before) this.#paint(view.map)
    this.picker.report()
  }

  /**
   * Arrow keys go from segment to segment, Enter and Space toggle, brackets go from coarse to fine.
   * @param {KeyboardEvent} event
   */
  key({ key, ctrlKey, metaKey, altKey }) {
    const { picker } = this
    const { hierarchy, hovered } = picker.view
    const map = /** @type {LabelMap} */ (picker.view.map)
    if ((ctrlKey || metaKey) && key.toLowerCase() === 'a') {
      picker.changes.all()
    } else if (ctrlKey || metaKey || altKey) {
      return false
    } else if (key in ARROWS) {
      this.hover(map.poles[nextSegment(map, hovered, ARROWS[key])] ?? null)
    } else if (key in FINER) {
      if (!hierarchy?.hasTree) return true
      this.granulate(Math.min(hierarchy.count, Math.max(1, map.count + FINER[key])))
      picker.changes.end()
    } else if (key === 'Enter' || key === ' ') {
      const at = map.poles[hovered]
      if (!at) return true
      picker.changes.begin()
      this.#name(at, !this.#hasPoint(at))
      picker.changes.end()
    } else {
      return false
    }
    return true
  }

  /**
   * Show so many segments, as part of a change that is yet to end.
   * @param {number} number 0 for as many as are given
   */
  granulate(number) {
    const { picker } = this
    if (picker.host.isGranularityConnected()) return
    picker.changes.begin()
    picker.changes.put({ granularity: number })
  }

  /** @param {LabelMap} map the cut that is shown */
  show(map) {
    const { host, nodeView } = this.picker
    const { granularity, invert } = host.read()
    const points = [...this.#points, ...(nodeView?.more_points ?? [])]
    this.chosen = chosenSegments(map, points, invert, nodeView?.negative_points)
    this.#paint(map)
    const fixed = host.isGranularityConnected()
    this.slider.show({ number: map.count, most: map.hierarchy.count, isGiven: granularity === 0, fixed })
  }

  /**
   * What is chosen and what the pointer is on, and what the run leaves unheeded.
   * @param {LabelMap} map
   */
  said(map) {
    const { host, nodeView, texts, view } = this.picker
    const { hovered } = view
    const { points, granularity, mode } = host.read()
    const { more_points: more = [], negative_points: against = [] } = nodeView ?? {}
    const number = this.chosen.reduce((sum, is) => sum + is, 0)
    const parts = [number ? texts.chosen(number, map.count) : texts.none]
    if (hovered !== NO_SEGMENT) {
      parts.push(texts.segment(hovered, map.share(hovered).toFixed(1)))
      if (hasPoint(map, more, hovered)) parts.push(texts.connected)
      if (hasPoint(map, against, hovered)) parts.push(texts.leftOut)
    }
    if (host.isConnected()) parts.push(texts.fixed)
    else if (!parsePoints(points)) parts.push(texts.unreadable)
    const outside = [...this.#points, ...more, ...against].filter((point) => !map.hierarchy.contains(point)).length
    const notes = outside ? [texts.outside(outside)] : []
    if (granularity && !map.hierarchy.hasTree) notes.push(texts.granularity.ignored(granularity))
    if (mode === 'object') notes.push(texts.mode.needsTree)
    return { parts, notes }
  }

  /** @param {LabelMap} map */
  #paint(map) {
    const { view } = this.picker
    const hovered = view.pointed ? map.at(view.pointed) : NO_SEGMENT
    view.paint(map, segmentsOverlay(map, this.chosen, hovered))
  }

  get #points() {
    return parsePoints(this.picker.host.read().points) ?? []
  }

  /** @param {Point} at */
  #hasPoint(at) {
    const { map } = this.picker.view
    return map !== null && hasPoint(map, this.#points, map.at(at))
  }

  /**
   * Give the segment there a point, or take its points away.
   * @param {Point} at
   * @param {boolean} named
   */
  #name(at, named) {
    const { map } = this.picker.view
    if (!map || this.picker.host.isConnected()) return
    const points = this.#points
    const changed = setPoint(map, points, at, named)
    if (changed !== points && (named || changed.length !== points.length)) this.picker.changes.put({ points: formatPoints(changed) })
  }
}

/**
 * @param {number} position 0..1
 * @param {number} most
 */
export function numberAt(position, most) {
  return Math.round(most ** position)
}

/**
 * @param {number} number 1..most
 * @param {number} most
 */
export function positionOf(number, most) {
  return most > 1 ? Math.log(number) / Math.log(most) : 0
}

/** A slider from one segment to all of them, finer at the coarse end, where one more makes most difference. */
class Slider {
  /** @param {Picker} picker @param {SegmentTool} tool */
  constructor(picker, tool) {
    const texts = picker.texts.granularity
    this.texts = texts
    /** @type {SliderState} */
    this.state = { number: 1, most: 1, isGiven: true, fixed: true }
    const range = { type: 'range', min: '0', max: '1', step: 'any', title: texts.tip, 'aria-label': texts.name }
    this.input = make('', 'input', range)
    this.output = make('', 'output', { 'aria-hidden': 'true' }) // the slider says it
    /** @param {number} number 0 for as many as are given */
    const choose = (number) => {
      tool.granulate(number)
      picker.changes.end()
    }
    this.reset = makeButton(texts.reset, texts.resetTip, () => choose(0))
    const label = make('', 'label', {}, texts.name, this.input, this.output)
    this.element = make('slider', 'div', {}, label, this.reset)

    this.input.addEventListener('input', () => tool.granulate(numberAt(Number(this.input.value), this.state.most)))
    this.input.addEventListener('change', () => picker.changes.end())
    this.input.addEventListener('keydown', (event) => {
      const { number, most } = this.state
      const step = historyKey(event)
      if (step) {
        if (!picker.changes.step(step, true)) return
      } else if (event.key in STEPS) choose(Math.min(most, Math.max(1, number + STEPS[event.key])))
      else return
      event.preventDefault()
      event.stopPropagation()
    })
  }

  /** @param {SliderState} state */
  show(state) {
    this.state = state
    const { number, most, isGiven, fixed } = state
    // A thumb that is being dragged stays where it is.
    if (numberAt(Number(this.input.value), most) !== number) this.input.value = `${positionOf(number, most)}`
    this.input.setAttribute('aria-valuetext', this.texts.count(number))
    this.output.textContent = `${number}`
    this.input.disabled = fixed || most === 1
    this.reset.disabled = fixed || isGiven
  }
}
