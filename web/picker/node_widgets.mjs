/** The node's widgets: their values, and which of them are rows of the node. */

/** @import { Texts } from './texts.mjs' */
/** @import { LGraphNode } from '/scripts/app.js' */

/** The widgets that the picker is the control of. */
const OF_THE_PICKER = ['points', 'invert', 'granularity', 'mode']
const SHOWN = 'diffseg_rows' // property of a node whose user wants them as rows too

/**
 * By the type of the node: the row that decides, and the rows that count with some of its values only.
 * @type {Record<string, {by: string, rows: Record<string, string[]>}>}
 */
const COUNT = {
  DiffSegCapture: { by: 'input_mode', rows: { noise_seed: ['noised latent'] } },
  DiffSegHierarchy: {
    by: 'cut',
    rows: {
      number: ['number of segments'],
      height: ['height'],
      threshold: ['normalised cut'],
      neighbours_only: ['automatic', 'number of segments', 'height'],
      finest: ['automatic', 'number of segments', 'height']
    }
  }
}

/** @param {LGraphNode} node @param {string} name */
export function widget(node, name) {
  const target = node.widgets?.find((candidate) => candidate.name === name)
  if (!target) throw new Error(`Expected a widget "${name}" on ${node.title}.`)
  return target
}

/** @param {LGraphNode} node @param {string} name @param {string | boolean | number} value */
export function setWidget(node, name, value) {
  const target = widget(node, name)
  if (target.value === value) return
  target.value = value
  target.callback?.(value)
  node.graph?.setDirtyCanvas(true, false)
}

/**
 * Whether an input, or a widget, gets its value from another node, or from the subgraph around this one.
 * @param {LGraphNode} node
 * @param {string} name
 */
export function isConnected(node, name) {
  return node.inputs.some((input, slot) => (input.widget?.name ?? input.name) === name && node.isInputConnected(slot))
}

/**
 * Have something done after a node, or one of its widgets, has done what it does at an event.
 * @param {Record<string, any>} target
 * @param {'callback' | 'onConfigure' | 'onConnectionsChange' | 'onExecuted' | 'onRemoved'} event
 * @param {(...values: any[]) => void} act
 */
export function after(target, event, act) {
  const before = target[event]
  target[event] = function (/** @type {any[]} */ ...values) {
    const result = before?.apply(this, values)
    act(...values)
    return result
  }
}

/**
 * Keep to the rows that count: the others are hidden. Hidden widgets keep their values, and prompts and saved
 * workflows have them.
 * @param {LGraphNode} node
 * @param {() => Record<string, boolean>} counting whether a row counts, by its name; what is connected is shown anyway
 * @returns {() => void} to be called once another row may count
 */
function keepRows(node, counting) {
  function update() {
    const isChanged = Object.entries(counting()).filter(([name, is]) => showRow(node, name, is || isConnected(node, name)))
    if (!isChanged.length || !node.widgets || !node.graph) return
    const widgets = [...node.widgets]
    node.widgets = [] // Nodes 2.0 looks at them anew only where they change
    node.widgets = widgets
    node.graph.setDirtyCanvas(true, true)
  }
  after(node, 'onConfigure', update)
  after(node, 'onConnectionsChange', update)
  const { onConnectInput } = node
  node.onConnectInput = function (slot, ...more) {
    const taken = this.inputs[slot]?.widget // a subgraph that takes a widget over takes how it is now
    if (taken && taken.name in counting()) showRow(node, taken.name, true)
    return onConnectInput?.call(this, slot, ...more)
  }
  update()
  return update
}

/**
 * @param {LGraphNode} node
 * @param {string} name
 * @param {boolean} isShown
 * @returns {boolean} whether it was not so before
 */
function showRow(node, name, isShown) {
  const row = widget(node, name)
  const wasShown = !row.hidden
  row.hidden = !isShown
  row.options.hidden = !isShown // in place: Nodes 2.0 has these very options
  // or those of the node that had this node's number before, as where it was put into a subgraph
  if (row._state?.options) row._state.options.hidden = !isShown
  return isShown !== wasShown
}

/**
 * Keep the picker's rows to what applies: what a connection needs a place for, the index in a batch, and all of them
 * where the user asks for it in the node's menu.
 * @param {LGraphNode} node
 * @param {Texts} texts
 * @param {() => number} batchSize of the last run
 * @param {() => void} commit
 * @returns {() => void} to be called after a run
 */
export function keepPickerRows(node, texts, batchSize, commit) {
  const isAsked = () => node.properties?.[SHOWN] === true
  const update = keepRows(node, () => ({
    ...Object.fromEntries(OF_THE_PICKER.map((name) => [name, isAsked()])),
    image_index: isAsked() || batchSize() > 1 || widget(node, 'image_index').value !== 0
  }))
  const { getExtraMenuOptions } = node
  node.getExtraMenuOptions = function (canvas, options) {
    options.push({
      content: isAsked() ? texts.rows.hide : texts.rows.show,
      callback: () => {
        node.properties[SHOWN] = !isAsked()
        update()
        commit()
      }
    })
    return getExtraMenuOptions?.call(this, canvas, options) ?? []
  }
  return update
}

/**
 * Keep the rows of a new node to those that count. Where another node decides, all are shown.
 * @param {LGraphNode} node
 */
export function keepToWhatCounts(node) {
  const count = COUNT[node.comfyClass ?? '']
  if (!count) return
  const decides = widget(node, count.by)
  const isCounting = (/** @type {string[]} */ values) => isConnected(node, count.by) || values.includes(String(decides.value))
  const update = keepRows(node, () =>
    Object.fromEntries(Object.entries(count.rows).map(([name, values]) => [name, isCounting(values)]))
  )
  after(decides, 'callback', () => {
    update()
    const [width, height] = node.computeSize()
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)])
  })
}
