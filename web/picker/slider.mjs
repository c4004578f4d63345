/** A slider from one segment to all of them, finer at the coarse end, where one more makes most difference. */

import { make, makeButton } from './dom.mjs'
import { historyKey } from './changes.mjs'

/** @import { Picker } from './picker.mjs' */
/** @import { SegmentTool } from './segment_tool.mjs' */

/**
 * @typedef {object} SliderState
 * @property {number} number of segments that are shown
 * @property {number} most that there can be
 * @property {boolean} isGiven whether these are the segments as they came
 * @property {boolean} fixed whether it cannot be moved here
 */

/** What a key adds to the number of segments. @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }

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

export class Slider {
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
