/** How pointer, wheel and keyboard on the image reach the tool in hand. */

import { historyKey } from './changes.mjs'

/** @import { Point } from './label_map.mjs' */
/** @import { Picker } from './picker.mjs' */

/**
 * What chooses by gestures: segments, or objects.
 * @typedef {object} Tool
 * @property {number[]} buttons of the mouse that it takes; others pan the graph and open its menu
 * @property {(at: Point, event: PointerEvent) => void} press
 * @property {(events: PointerEvent[]) => void} drag since the press, in pieces as fine as there are
 * @property {(event: PointerEvent) => void} release
 * @property {() => void} cancel what was pressed is to be forgotten
 * @property {(at: Point | null, event?: PointerEvent) => void} hover a place is pointed at, or none
 * @property {(event: KeyboardEvent) => boolean} key whether it means something
 * @property {(by: number) => void} [resize] with the wheel, larger or smaller
 */

/** @type {Record<string, Point>} */
export const ARROWS = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 }
}

const WHEEL = 40 // units of a wheel that are one step; a notch of a mouse has 100 or 120

/** @param {Picker} picker */
export function listenToGestures(picker) {
  const { view } = picker
  const { canvas } = view
  /** @type {{id: number, tool: Tool} | null} */
  let press = null
  let turned = 0

  canvas.addEventListener('pointerdown', (event) => {
    const { tool } = picker
    if (press || !tool.buttons.includes(event.button)) return
    const at = view.pixelAt(event)
    event.stopPropagation()
    if (!at) return
    canvas.setPointerCapture(event.pointerId)
    press = { id: event.pointerId, tool }
    tool.press(at, event)
  })

  canvas.addEventListener('pointermove', (event) => {
    if (!press) return picker.tool.hover(view.pixelAt(event), event)
    if (event.pointerId !== press.id) return
    event.stopPropagation()
    const events = event.getCoalescedEvents()
    press.tool.drag(events.length ? events : [event])
  })

  canvas.addEventListener('pointerup', (event) => {
    if (event.pointerId !== press?.id) return
    event.stopPropagation()
    const { tool } = press
    press = null
    tool.release(event)
  })

  canvas.addEventListener('pointercancel', (event) => {
    if (event.pointerId === press?.id) cancel()
  })

  for (const leaving of ['pointerleave', 'blur']) {
    canvas.addEventListener(leaving, () => {
      if (!press) picker.tool.hover(null)
    })
  }

  canvas.addEventListener('contextmenu', (event) => {
    if (!picker.tool.buttons.includes(2)) return
    event.preventDefault()
    event.stopPropagation()
  })

  // On the window: Nodes 2.0 takes such a turn of the wheel for the graph's before it comes to the image.
  window.addEventListener(
    'wheel',
    (event) => {
      const { tool } = picker
      if (event.target !== canvas || !tool.resize || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault() // else the page, or the graph, is zoomed
      event.stopImmediatePropagation()
      turned -= event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : Math.sign(event.deltaY) * 100
      const steps = Math.trunc(turned / WHEEL)
      if (!steps) return
      turned = 0
      tool.resize(Math.sign(steps))
    },
    { capture: true, passive: false, signal: view.gone.signal }
  )

  canvas.addEventListener('keydown', (event) => {
    const step = historyKey(event)
    if (event.key === 'Escape' && press) cancel()
    else if (step ? !picker.changes.step(step, true) : !view.map || !picker.tool.key(event)) return
    event.preventDefault()
    event.stopImmediatePropagation() // ComfyUI has meanings of its own for most keys
  })

  function cancel() {
    press?.tool.cancel()
    press = null
  }
}
