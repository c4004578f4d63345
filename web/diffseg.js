/**
 * DiffSeg's part of ComfyUI's front end: the picker on DiffSeg Select Segments, and names such as
 * %date:yyyy-MM-dd% filled in by DiffSeg Save.
 */

import { api } from '/scripts/api.js'
import { app } from '/scripts/app.js'

import { lastOutput } from './picker/last_run.mjs'
import { Picker } from './picker/picker.mjs'
import { runUpTo } from './picker/run_up_to.mjs'

/** @typedef {import('/scripts/app.js').LGraphNode} LGraphNode */
/** @typedef {import('./picker/picker.mjs').FileEntry} FileEntry */
/** @typedef {import('./picker/picker.mjs').NodeView} NodeView */

const OUTPUT = 'diffseg_view'
const SIZE = [400, 620]
let made = 0 // pickers

const style = document.createElement('link')
style.rel = 'stylesheet'
style.href = new URL('./picker/picker.css', import.meta.url).href
document.head.append(style)

app.registerExtension({
  name: 'DiffSeg.Picker',
  nodeCreated(node) {
    if (node.comfyClass === 'DiffSegSelect') addPicker(node)
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
  const picker = new Picker({
    locale: app.extensionManager.setting.get('Comfy.Locale') ?? navigator.language,
    read: () => ({
      points: String(widget(node, 'points').value),
      invert: widget(node, 'invert').value === true,
      granularity: Number(widget(node, 'granularity').value),
      mode: widget(node, 'mode').value === 'object' ? 'object' : 'segments'
    }),
    write({ points, invert, granularity, mode }) {
      setWidget(node, 'points', points)
      setWidget(node, 'invert', invert)
      setWidget(node, 'granularity', granularity)
      setWidget(node, 'mode', mode)
    },
    commit() {
      // One step of ComfyUI's own undo, and a reason to save the workflow.
      app.canvas.emitBeforeChange()
      app.canvas.emitAfterChange()
    },
    isConnected: () => ['points', 'invert'].some((name) => isConnected(node, name)),
    isGranularityConnected: () => isConnected(node, 'granularity'),
    canFindWords: () => ['attention', 'model', 'clip'].every((name) => hasLink(node, name)),
    run: () => runUpTo(node),
    imageIndex: () => Number(widget(node, 'image_index').value),
    fetchFile: (/** @type {FileEntry} */ entry) => api.fetchApi(`/view?${new URLSearchParams(entry)}`)
  })
  // A type of its own: Nodes 2.0 keeps the element of one widget for another of the same node id and type, which
  // an undo or another workflow may have put in its place.
  node.addDOMWidget('picker', `diffseg_picker_${++made}`, picker.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => 220,
    getValue: () => '',
    setValue() {}
  }).serialize = false
  const mode = widget(node, 'mode') // the picker's switch is it
  mode.hidden = true
  mode.options = { ...mode.options, hidden: true }
  node.setSize([Math.max(node.size[0], SIZE[0]), Math.max(node.size[1], SIZE[1])])

  for (const name of ['points', 'invert', 'image_index', 'granularity', 'mode']) {
    const { callback } = widget(node, name)
    widget(node, name).callback = function (...values) {
      callback?.apply(this, values)
      picker.refresh()
    }
  }
  passToGraph(picker.element)
  const { onExecuted, onConfigure, onConnectionsChange, onRemoved } = node
  const heard = (/** @type {CustomEvent} */ { detail }) => {
    if (detail?.exec_info?.queue_remaining === 0) picker.endOfRuns()
  }
  api.addEventListener('status', heard)
  node.onRemoved = function () {
    onRemoved?.call(this)
    api.removeEventListener('status', heard)
    picker.dispose()
  }
  node.onExecuted = function (output) {
    onExecuted?.call(this, output)
    if (output?.[OUTPUT]) picker.receive(/** @type {NodeView[]} */ (output[OUTPUT]), true)
  }
  node.onConnectionsChange = function (...values) {
    onConnectionsChange?.apply(this, values)
    picker.reconnect()
  }
  node.onConfigure = function (data) {
    onConfigure?.call(this, data)
    // A workflow that is opened again, or a page that is reloaded: what the last run showed is still there.
    lastOutput(node, OUTPUT).then((output) => {
      if (output && !picker.nodeView) picker.receive(/** @type {NodeView[]} */ (output))
      else picker.refresh()
    })
  }
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

/**
 * Whether an input that is no widget is connected.
 * @param {LGraphNode} node
 * @param {string} name
 */
function hasLink(node, name) {
  return node.inputs.some((input, slot) => input.name === name && node.isInputConnected(slot))
}

/**
 * Whether a widget gets its value from another node, or from the subgraph around this one.
 * @param {LGraphNode} node
 * @param {string} name
 */
function isConnected(node, name) {
  return node.inputs.some((input, slot) => input.widget?.name === name && node.isInputConnected(slot))
}

/**
 * @param {LGraphNode} node
 * @param {string} name
 */
function widget(node, name) {
  const found = node.widgets?.find((each) => each.name === name)
  if (!found) throw new Error(`Expected a widget "${name}" on ${node.title}.`)
  return found
}

/**
 * @param {LGraphNode} node
 * @param {string} name
 * @param {string | boolean | number} value
 */
function setWidget(node, name, value) {
  const target = widget(node, name)
  if (target.value === value) return
  target.value = value
  target.callback?.(value)
  node.graph?.setDirtyCanvas(true, false)
}
