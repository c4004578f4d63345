/**
 * DiffSeg's part of ComfyUI's front end: the picker on DiffSeg Select Segments, and names such as
 * %date:yyyy-MM-dd% filled in by DiffSeg Save.
 */

import { api } from '/scripts/api.js'
import { app } from '/scripts/app.js'

import { FRESH, LEAST_FIELD, nodeSize } from './picker/node_shape.mjs'
import { after, isConnected, keepPickerRows, keepToWhatCounts, setWidget, widget } from './picker/node_widgets.mjs'
import { Picker } from './picker/picker.mjs'
import { lastOutput, placeOf, runUpTo } from './picker/runs.mjs'
import { rewriteSaved } from './saved_nodes.mjs'

/** @import { FileEntry, NodeView } from './picker/host.mjs' */
/** @import { Left } from './picker/picker.mjs' */
/** @import { LGraphNode } from '/scripts/app.js' */

const OUTPUT = 'diffseg_view'
const SHAPED = 'diffseg_shaped' // property of a node that took the shape of its image
const AROUND = { width: 24, height: 276 } // the image's field, where the node is out of sight
const CONTROLS = 66 // height of the rows below the field
const MARGIN = 10 // around a picker in the classic canvas
const MOST_LEFT = 4 // pickers whose images are kept for the node that comes in the place of theirs
let made = 0 // pickers

/** By the place of their node, the latest last: ComfyUI's undo makes all nodes anew. @type {Map<string, Left>} */
const left = new Map()

const style = document.createElement('link')
style.rel = 'stylesheet'
style.href = new URL('./picker/picker.css', import.meta.url).href
document.head.append(style)

/** This pack's types of nodes, by name. @type {Map<string, import('/scripts/app.js').NodeDefinition>} */
const definitions = new Map()

app.registerExtension({
  name: 'DiffSeg.Picker',
  beforeRegisterNodeDef(_, definition) {
    if (definition.name.startsWith('DiffSeg')) definitions.set(definition.name, definition)
  },
  beforeConfigureGraph: (graph) => rewriteSaved(graph, definitions),
  nodeCreated(node) {
    if (node.comfyClass === 'DiffSegSelect') addPicker(node)
    keepToWhatCounts(node)
    if (node.comfyClass === 'DiffSegSave') fillIn(widget(node, 'filename_prefix'))
  }
})

/**
 * Have a name sent to the server as Save Image sends its own: %date:yyyy-MM-dd% and %Node.widget% filled in by the
 * front end. It does so for a fixed list of node types only, but gives other packs the function for it.
 * @param {import('/scripts/app.js').Widget} target
 */
function fillIn(target) {
  target.serializeValue = () => {
    const replace = window.comfyAPI?.utils?.applyTextReplacements
    return replace ? replace(app, String(target.value)) : target.value
  }
}

/** @param {LGraphNode} node */
function addPicker(node) {
  const commit = () => {
    // One step of ComfyUI's own undo, and a reason to save the workflow.
    app.canvas.emitBeforeChange()
    app.canvas.emitAfterChange()
  }
  /** @type {Picker} */
  const picker = new Picker({
    locale: app.extensionManager.setting.get('Comfy.Locale') ?? navigator.language,
    read: () => ({
      points: String(widget(node, 'points').value),
      invert: widget(node, 'invert').value === true,
      granularity: Number(widget(node, 'granularity').value),
      mode: widget(node, 'mode').value === 'object' ? 'object' : 'segments'
    }),
    write(choice) {
      for (const [name, value] of Object.entries(choice)) setWidget(node, name, value)
    },
    commit,
    // With "Run (On Change)", ComfyUI undoes in text fields too.
    leavesUndo: () => !app.ui?.autoQueueEnabled || app.ui.autoQueueMode === 'instant',
    isConnected: () => ['points', 'invert'].some((name) => isConnected(node, name)),
    isGranularityConnected: () => isConnected(node, 'granularity'),
    run: () => runUpTo(node),
    imageIndex: () => Number(widget(node, 'image_index').value),
    fetchFile: (/** @type {FileEntry} */ entry) => api.fetchApi(`/view?${new URLSearchParams(entry)}`),
    lastViews: async () => /** @type {NodeView[] | null} */ (await lastOutput(node, OUTPUT)),
    fit(image) {
      if (takeShape(node, picker.view.frame, image)) commit()
    }
  })
  // A type of its own: Nodes 2.0 keeps the element of one widget for another of the same node id and type, which
  // an undo or another workflow may have put in its place.
  node.addDOMWidget('picker', `diffseg_picker_${++made}`, picker.element, {
    serialize: false,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: () => LEAST_FIELD + CONTROLS + 2 * MARGIN,
    getValue: () => '',
    setValue() {}
  }).serialize = false
  const update = keepPickerRows(node, picker.texts, () => picker.nodeView?.batch_size ?? 1, commit)
  node.setSize(FRESH)

  for (const name of ['points', 'invert', 'image_index', 'granularity', 'mode']) {
    after(widget(node, name), 'callback', () => picker.refresh())
  }
  passToGraph(picker.element)
  let place = '' // known as long as the node is in a graph
  const endSearch = (/** @type {CustomEvent} */ { detail }) => {
    if (detail?.exec_info?.queue_remaining === 0) picker.objects.words.end()
  }
  const look = () => picker.look()
  api.addEventListener('status', endSearch)
  api.addEventListener('reconnected', look)
  after(node, 'onRemoved', () => {
    api.removeEventListener('status', endSearch)
    api.removeEventListener('reconnected', look)
    if (place && picker.nodeView) keep(place, picker.leave())
    picker.view.dispose()
  })
  after(node, 'onExecuted', (output) => {
    if (!output?.[OUTPUT]) return
    place = placeOf(node)
    picker.receive(/** @type {NodeView[]} */ (output[OUTPUT]), true)
    update()
  })
  after(node, 'onConnectionsChange', () => picker.reconnect())
  after(node, 'onConfigure', () => {
    place = placeOf(node)
    const before = left.get(place)
    if (before) picker.takeOver(before)
    left.delete(place)
    // A workflow that is opened again, or a page that is reloaded: what the last run showed is still there.
    picker.recall().then(update)
  })
}

/**
 * Keep what a picker leaves.
 * @param {string} place
 * @param {Left} what
 */
function keep(place, what) {
  left.delete(place)
  left.set(place, what)
  // ComfyUI's undo makes the nodes anew at once. A workflow that is opened again begins without a past.
  queueMicrotask(() => what.changes.clear())
  if (left.size > MOST_LEFT) left.delete(/** @type {string} */ (left.keys().next().value))
}

/**
 * Give a node the shape of its first image: once, and not where a person gave it another size.
 * @param {LGraphNode} node
 * @param {HTMLElement} field of the image
 * @param {{width: number, height: number}} image in pixels
 * @returns {boolean} whether it has another size now
 */
function takeShape(node, field, image) {
  const isFresh = FRESH.every((side, axis) => Math.abs(node.size[axis] - side) < 1)
  if (!isFresh || node.properties[SHAPED]) return false
  node.properties[SHAPED] = true
  const around = { width: node.size[0] - field.offsetWidth, height: node.size[1] - field.offsetHeight }
  node.setSize(nodeSize(image, field.offsetHeight ? around : AROUND))
  node.graph?.setDirtyCanvas(true, true)
  return true
}

/**
 * Let wheel and middle button zoom and move the graph, as they do beside the picker. Nodes 2.0 does so itself.
 * @param {HTMLElement} element
 */
function passToGraph(element) {
  element.addEventListener('wheel', (event) => {
    if (element.closest('[data-node-id]')) return
    event.preventDefault()
    app.canvas.canvas.dispatchEvent(new WheelEvent(event.type, event))
  })
  element.addEventListener('pointerdown', (event) => {
    if (event.button !== 1 || element.closest('[data-node-id]')) return
    event.preventDefault()
    app.canvas.canvas.dispatchEvent(new PointerEvent(event.type, event))
  })
}
