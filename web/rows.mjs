/** Rows of nodes that count by the value of another row: the others are hidden, and keep their values. */

import { after, isConnected, keepRows, widget } from './picker/node_widgets.mjs'

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
