/** A slider from one segment to all of them, finer at the coarse end, where one more makes most difference. */

import { historyKey } from './history.mjs'

/** @typedef {import('./texts.mjs').Texts} Texts */

/**
 * @typedef {object} SliderActions
 * @property {(number: number) => void} choose show so many segments, 0 for as many as are given
 * @property {() => void} commit the change is complete
 * @property {(step: 'undo' | 'redo', isKey: boolean) => boolean} step one change back or forth; whether it takes the key
 */

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
  /**
   * @param {Texts} texts
   * @param {SliderActions} actions
   */
  constructor(texts, actions) {
    this.texts = texts
    /** @type {SliderState} */
    this.state = { number: 1, most: 1, isGiven: true, fixed: true }
    this.element = document.createElement('div')
    this.element.className = 'diffseg-picker-slider'
    const label = document.createElement('label')
    this.input = document.createElement('input')
    this.input.type = 'range'
    this.input.min = '0'
    this.input.max = '1'
    this.input.step = 'any'
    this.input.title = texts.granularity.tip
    this.input.setAttribute('aria-label', texts.granularity.name)
    this.output = document.createElement('output')
    this.output.setAttribute('aria-hidden', 'true') // the slider says it
    label.append(texts.granularity.name, this.input, this.output)
    this.reset = document.createElement('button')
    this.reset.type = 'button'
    this.reset.textContent = texts.granularity.reset
    this.reset.title = texts.granularity.resetTip
    this.element.append(label, this.reset)

    this.input.addEventListener('input', () => {
      actions.choose(numberAt(Number(this.input.value), this.state.most))
    })
    this.input.addEventListener('change', () => actions.commit())
    this.input.addEventListener('keydown', (event) => {
      const { number, most } = this.state
      const step = historyKey(event)
      if (step) {
        if (!actions.step(step, true)) return
      } else if (event.key in STEPS) choose(Math.min(most, Math.max(1, number + STEPS[event.key])))
      else return
      event.preventDefault()
      event.stopPropagation()
    })
    this.reset.addEventListener('click', () => choose(0))

    /** @param {number} number */
    function choose(number) {
      actions.choose(number)
      actions.commit()
    }
  }

  /** @param {SliderState} state */
  show(state) {
    this.state = state
    const { number, most, isGiven, fixed } = state
    // A thumb that is being dragged stays where it is.
    if (numberAt(Number(this.input.value), most) !== number) this.input.value = `${positionOf(number, most)}`
    this.input.setAttribute('aria-valuetext', this.texts.granularity.count(number))
    this.output.textContent = `${number}`
    this.input.disabled = fixed || most === 1
    this.reset.disabled = fixed || isGiven
  }
}
