/**
 * Nodes as earlier versions saved them, brought into the form of today's. A workflow keeps the values of widgets by
 * their place alone, so that one widget less would move all others to the wrong name.
 */

/** @typedef {import('/scripts/app.js').SavedGraph} SavedGraph */
/** @typedef {import('/scripts/app.js').SavedNode} SavedNode */
/** @typedef {import('/scripts/app.js').NodeDefinition} NodeDefinition */
/** @typedef {import('/scripts/app.js').InputSpec} InputSpec */

/** The widgets that types had of which not only the last ones are gone, in their order. @type {Record<string, string[]>} */
const BEFORE = {
  DiffSegSegment: ['merge_threshold', 'merge_passes', 'anchors', 'refinement', 'smallest_area'],
  DiffSegHierarchy: ['cut', 'number', 'height', 'neighbours_only', 'contrast', 'colour', 'finest']
}
const VALUES = ['INT', 'FLOAT', 'BOOLEAN', 'STRING', 'COMBO'] // types of inputs that are widgets

/**
 * Bring the nodes of a workflow and of its subgraphs into the form of today's, in place.
 * @param {SavedGraph} graph
 * @param {Map<string, NodeDefinition>} definitions of this pack's types, as the server has them now
 */
export function rewriteSaved(graph, definitions) {
  for (const part of [graph, ...(graph.definitions?.subgraphs ?? [])]) {
    for (const node of part.nodes ?? []) {
      const definition = definitions.get(node.type)
      if (!definition) continue
      const specs = Object.entries({ ...definition.input.required, ...definition.input.optional })
      const isWidget = (/** @type {InputSpec} */ [type, options]) =>
        !options?.forceInput && (Array.isArray(type) || VALUES.includes(type))
      rewriteValues(node, specs.filter(([, spec]) => isWidget(spec)))
      disconnect(part, node, specs.map(([name]) => name))
    }
  }
}

/**
 * Values of an earlier version are known by their number.
 * @param {SavedNode} node
 * @param {[string, InputSpec][]} now its widgets, in their order
 */
function rewriteValues(node, now) {
  const saved = node.widgets_values
  const before = BEFORE[node.type]
  if (!before || !Array.isArray(saved) || saved.length !== before.length || saved.length === now.length) return
  const old = Object.fromEntries(saved.map((value, place) => [before[place], value]))
  node.widgets_values = now.map(([name, [, options]]) => old[name] ?? options?.default)
}

/**
 * Take away the inputs that the type has no more, with their links.
 * @param {SavedGraph} graph that the node is in
 * @param {SavedNode} node
 * @param {string[]} names of the inputs that it has now
 */
function disconnect(graph, node, names) {
  const gone = (node.inputs ?? []).filter(({ name }) => !names.includes(name))
  if (!gone.length) return
  node.inputs = node.inputs.filter((input) => !gone.includes(input))
  const links = new Set(gone.map(({ link }) => link).filter((link) => link != null))
  const idOf = (/** @type {any} */ link) => (Array.isArray(link) ? link[0] : link.id)
  graph.links = (graph.links ?? []).filter((link) => !links.has(idOf(link)))
  for (const origin of graph.nodes) {
    for (const output of origin.outputs ?? []) output.links = output.links?.filter((link) => !links.has(link)) ?? null
  }
  for (const input of graph.inputs ?? []) input.linkIds = (input.linkIds ?? []).filter((link) => !links.has(link))
  // A link keeps the place of its input, and those after the ones that are gone have moved up.
  for (const link of graph.links) {
    const place = node.inputs.findIndex((input) => input.link === idOf(link))
    if (place < 0) continue
    if (Array.isArray(link)) link[4] = place
    else link.target_slot = place
  }
}
