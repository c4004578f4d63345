/** What web/ uses of ComfyUI's /scripts/app.js, and no more. */

export interface Widget {
  name: string
  type: string
  value: unknown
  /** Whether a saved workflow keeps the value. */
  serialize?: boolean
  hidden?: boolean
  options: { hidden?: boolean; [name: string]: unknown }
  _state?: { options?: { hidden?: boolean } }
  /** What a prompt gets in place of the value. */
  serializeValue?: () => unknown
  callback?: ((value: any, ...more: any[]) => void) | undefined
}

export interface DOMWidgetOptions {
  /** Whether a prompt contains the value. */
  serialize?: boolean
  /** Whether a grey box takes its place in the classic renderer where the graph is small. */
  hideOnZoom?: boolean
  margin?: number
  /** For the classic renderer; Nodes 2.0 goes by the style sheet. */
  getMinHeight?: () => number
  getMaxHeight?: () => number
  getValue?: () => string
  setValue?: (value: string) => void
}

export interface NodeInput {
  name: string
  type: string
  widget?: { name: string }
}

export interface LGraph {
  id: string
  rootGraph: LGraph
  nodes: LGraphNode[]
  getNodeById(id: number | string): LGraphNode | null | undefined
  setDirtyCanvas(foreground: boolean, background?: boolean): void
}

export interface MenuOption {
  content: string
  callback: () => void
}

export interface LGraphNode {
  id: number | string
  title: string
  /** The `node_id` of the Python class. */
  comfyClass?: string
  size: [number, number]
  inputs: NodeInput[]
  widgets?: Widget[]
  /** Saved with the node. */
  properties: Record<string, unknown>
  /** The graph that the node is in; null when it has been removed. */
  graph: LGraph | null
  /** What a subgraph node stands for. */
  subgraph?: LGraph
  isInputConnected(slot: number): boolean
  setSize(size: [number, number]): void
  computeSize(): [number, number]
  addDOMWidget(name: string, type: string, element: HTMLElement, options?: DOMWidgetOptions): Widget
  onConfigure?: ((this: LGraphNode, data: unknown) => void) | undefined
  /** Called with null where a node has nothing to tell. */
  onExecuted?: ((this: LGraphNode, output: Record<string, unknown[]> | null) => void) | undefined
  onRemoved?: ((this: LGraphNode) => void) | undefined
  /** Called before an input is connected, which `false` refuses. */
  onConnectInput?: ((this: LGraphNode, slot: number, ...more: any[]) => boolean | undefined) | undefined
  onConnectionsChange?: ((this: LGraphNode, ...values: any[]) => void) | undefined
  /** Adds to the node's menu. */
  getExtraMenuOptions?: ((this: LGraphNode, canvas: unknown, options: MenuOption[]) => MenuOption[]) | undefined
  onWidgetChanged?: (name: string, value: unknown, before: unknown, widget: Widget) => void
}

/** Of an input: its type or the list of its options, and what else is known of it. */
export type InputSpec = [string | string[], { default?: unknown; forceInput?: boolean }?]

/** A type of node, as the server describes it. */
export interface NodeDefinition {
  name: string
  input: { required?: Record<string, InputSpec>; optional?: Record<string, InputSpec> }
}

export interface SavedNode {
  type: string
  inputs: { name: string; link?: number | null }[]
  outputs?: { links?: number[] | null }[]
  widgets_values?: any
}

/** A workflow as it is saved, or a subgraph within: of the former a link is a list, of the latter an object. */
export interface SavedGraph {
  nodes: SavedNode[]
  links?: any[]
  inputs?: { linkIds?: number[] }[]
  definitions?: { subgraphs?: SavedGraph[] }
}

export interface Extension {
  name: string
  beforeRegisterNodeDef?(nodeType: unknown, definition: NodeDefinition): void
  /** Called with a workflow before its nodes are made. */
  beforeConfigureGraph?(graph: SavedGraph): void
  setup?(): void | Promise<void>
  nodeCreated?(node: LGraphNode): void
  /** The outputs kept by the front end were exchanged: another workflow is shown. */
  onNodeOutputsUpdated?(outputs: Record<string, Record<string, unknown[]>>): void
}

/** What the server's validation says of a node. */
export interface NodeError {
  errors: { type: string; message: string; details: string; extra_info?: { input_name?: string } }[]
}

declare global {
  interface Window {
    /** What older front ends had as modules of their own; some of it may be gone. */
    comfyAPI?: { utils?: { applyTextReplacements?: (app: unknown, value: string) => string } }
  }
}

export const app: {
  rootGraph: LGraph
  canvas: {
    canvas: HTMLCanvasElement
    /** Between these two calls lies one step of ComfyUI's undo. */
    emitBeforeChange(): void
    emitAfterChange(): void
    setDirty(foreground: boolean, background?: boolean): void
  }
  /** Whether, and when, the front end runs the workflow by itself. */
  ui?: { autoQueueEnabled?: boolean; autoQueueMode?: string }
  /** What nodes told in their last run: by node id, in a subgraph by "<subgraph's id>:<node id>". */
  nodeOutputs: Record<string, Record<string, unknown[]> | undefined>
  /** Add runs to the queue; whether the server took them. Of the node ids, only those and what they need. */
  queuePrompt(number: number, count?: number, executionIds?: string[]): Promise<boolean>
  /** By execution id, where the last run was refused. */
  lastNodeErrors?: Record<string, NodeError> | null
  extensionManager: { setting: { get(id: string): string | undefined } }
  registerExtension(extension: Extension): void
}
