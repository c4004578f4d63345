/** The node's widgets: their values, and which of them are rows of the node. */

/** @import { Texts } from './texts.mjs' */
/** @import { LGraphNode } from '/scripts/app.js' */

/** The widgets that the picker is the control of. */
const OF_THE_PICKER = ['points', 'invert', 'granularity', 'mode']
const SHOWN = 'diffseg_rows' // property of a node whose user wants them as rows too

/**
 * @param {LGraphNode} node
 * @param {string} name
 */
export function widget(node, name) {
  const found = node.widgets?.find((each) => each.name === name)
  if (!found) throw new Error(`Expected a widget "${name}" on ${node.title}.`)
  return found
}

/**
 * @param {LGraphNode} node
 * @param {string} name
 * @param {string | boolean | number} value
 */
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
 * Show as rows of the node what applies: what a connection needs a place for, the index in a batch, and what the user
 * asked for by the menu. Hidden widgets keep their values, and prompts and saved workflows have them.
 * @param {LGraphNode} node
 * @param {number} batchSize of the last run
 */
export function showRows(node, batchSize) {
  const isAsked = node.properties?.[SHOWN] === true
  const isShown = Object.fromEntries(OF_THE_PICKER.map((name) => [name, isAsked]))
  isShown.image_index = isAsked || batchSize > 1 || widget(node, 'image_index').value !== 0
  showOf(node, isShown)
}

/**
 * Show or hide rows of a node by their names. What is connected is shown whatever is asked.
 * @param {LGraphNode} node
 * @param {Record<string, boolean>} isShown
 */
export function showOf(node, isShown) {
  let isChanged = false
  for (const [name, is] of Object.entries(isShown)) {
    if (showRow(node, name, is || isConnected(node, name))) isChanged = true
  }
  if (!isChanged || !node.widgets || !node.graph) return
  const every = [...node.widgets]
  node.widgets = [] // Nodes 2.0 looks at them anew only where they change
  node.widgets = every
  node.graph.setDirtyCanvas(true, true)
}

/**
 * @param {LGraphNode} node
 * @param {string} name
 * @param {boolean} isShown
 * @returns {boolean} whether it was not so before
 */
export function showRow(node, name, isShown) {
  const row = widget(node, name)
  const wasShown = !row.hidden
  row.hidden = !isShown
  row.options.hidden = !isShown // in place: Nodes 2.0 has these very options
  // or those of the node that had this node's number before, as where it was put into a subgraph
  if (row._state?.options) row._state.options.hidden = !isShown
  return isShown !== wasShown
}

/**
 * Let the node's menu show the widgets as rows.
 * @param {LGraphNode} node
 * @param {Texts} texts
 * @param {() => void} update
 */
export function addRowsToMenu(node, texts, update) {
  const { getExtraMenuOptions } = node
  node.getExtraMenuOptions = function (canvas, options) {
    const isAsked = this.properties[SHOWN] === true
    options.push({
      content: isAsked ? texts.rows.hide : texts.rows.show,
      callback: () => {
        this.properties[SHOWN] = !isAsked
        update()
      }
    })
    return getExtraMenuOptions?.call(this, canvas, options) ?? []
  }
}
