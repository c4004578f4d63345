/** Rows of nodes that count by the value of another row: the others are hidden, and keep their values. */

import { isConnected, showOf, showRow, widget } from './picker/node_widgets.mjs'

/** @typedef {import('/scripts/app.js').LGraphNode} LGraphNode */

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

/**
 * Keep the rows of a new node to those that count. Where another node decides, all are shown.
 * @param {LGraphNode} node
 */
export function keepToWhatCounts(node) {
  const count = COUNT[node.comfyClass ?? '']
  if (!count) return
  const decides = widget(node, count.by)
  const update = () => {
    const isOpen = isConnected(node, count.by)
    const shown = Object.entries(count.rows).map(([name, values]) => [
      name,
      isOpen || values.includes(String(decides.value))
    ])
    showOf(node, Object.fromEntries(shown))
  }
  const { onConfigure, onConnectInput, onConnectionsChange } = node
  const { callback } = decides
  decides.callback = function (...values) {
    callback?.apply(this, values)
    update()
    const [width, height] = node.computeSize()
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)])
  }
  node.onConfigure = function (data) {
    onConfigure?.call(this, data)
    update()
  }
  node.onConnectInput = function (slot, ...more) {
    const taken = this.inputs[slot]?.widget // a subgraph that takes a widget over takes how it is now
    if (taken && taken.name in count.rows) showRow(node, taken.name, true)
    return onConnectInput?.call(this, slot, ...more)
  }
  node.onConnectionsChange = function (...values) {
    onConnectionsChange?.apply(this, values)
    update()
  }
  update()
}
