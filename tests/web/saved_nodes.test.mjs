import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'

import { rewriteSaved } from '../../web/saved_nodes.mjs'

const SAVED = new URL('../saved_workflows/', import.meta.url)
const names = readdirSync(SAVED)
const load = (name) => JSON.parse(readFileSync(new URL(name, SAVED), 'utf8'))
const nodesOf = (graph) => [graph, ...(graph.definitions?.subgraphs ?? [])].flatMap(({ nodes }) => nodes)
const widget = (type, value) => [type, { default: value }]

const DEFINITIONS = new Map(
  Object.entries({
    DiffSegHierarchy: {
      required: {
        attention: ['DIFFSEG_ATTENTION'], cut: widget(['automatic', 'height'], 'automatic'), number: widget('INT', 10),
        height: widget('FLOAT', 0.1), threshold: widget('FLOAT', 0.5), neighbours_only: widget('BOOLEAN', true),
        finest: widget('FLOAT', 0.06)
      },
      optional: { image: ['IMAGE'] }
    },
    DiffSegSegment: {
      required: {
        attention: ['DIFFSEG_ATTENTION'], merge_threshold: widget('FLOAT', 1), anchors: widget('INT', 16),
        smallest_area: widget('FLOAT', 0)
      }
    },
    DiffSegPreview: { required: { segments: ['DIFFSEG_SEGMENTS'] } },
    DiffSegMasks: { required: { segments: ['DIFFSEG_SEGMENTS'] } },
    DiffSegCapture: {
      required: {
        model: ['MODEL'], noise_level: widget('INT', -1), input_mode: widget('COMBO', 'clean latent'),
        noise_seed: widget('INT', 0), working_size: widget('INT', 0), layers: widget('STRING', 'recommended')
      },
      optional: { conditioning: ['CONDITIONING'], vae: ['VAE'], image: ['IMAGE'], latent: ['LATENT'], clip: ['CLIP'] }
    }
  }).map(([name, input]) => [name, { name, input }])
)
/** Values of the old widgets, none of them a default, and of today's by name. */
const CHANGED = {
  DiffSegHierarchy: [
    ['height', 7, 0.3, false, 1.5, 2, 0.2],
    { cut: 'height', number: 7, height: 0.3, threshold: 0.5, neighbours_only: false, finest: 0.2 }
  ],
  DiffSegSegment: [[0.8, 5, 8, 'kmeans', 2], { merge_threshold: 0.8, anchors: 8, smallest_area: 2 }],
  DiffSegPreview: [[0.5, false, false], {}],
  DiffSegMasks: [[1], {}],
  DiffSegCapture: [
    [25, 'noised latent', 9, 384, 'finest'],
    { noise_level: 25, input_mode: 'noised latent', noise_seed: 9, working_size: 384, layers: 'finest' }
  ]
}

test('every saved value keeps its name, wherever the node lies', () => {
  const seen = new Set()
  for (const name of names) {
    const graph = load(name)
    for (const node of nodesOf(graph)) if (CHANGED[node.type]) node.widgets_values = CHANGED[node.type][0]
    rewriteSaved(graph, DEFINITIONS)
    for (const node of nodesOf(graph)) {
      const definition = DEFINITIONS.get(node.type)
      if (!definition) continue
      const widgets = Object.entries(definition.input.required).filter(([, spec]) => spec[1])
      const values = widgets.map(([key], place) => [key, node.widgets_values[place]])
      assert.deepEqual(Object.fromEntries(values), CHANGED[node.type][1], `${name}: ${node.type}`)
      seen.add(node.type)
    }
    const once = structuredClone(graph)
    rewriteSaved(graph, DEFINITIONS)
    assert.deepEqual(graph, once, `${name} is as it should be already`)
  }
  assert.equal(seen.size, DEFINITIONS.size)
})

test('links to inputs that are gone are gone on both ends, and all others lead to their inputs', () => {
  for (const name of names) {
    const graph = load(name)
    rewriteSaved(graph, DEFINITIONS)
    for (const part of [graph, ...(graph.definitions?.subgraphs ?? [])]) {
      const links = new Map((part.links ?? []).map((link) => (Array.isArray(link) ? [link[0], link] : [link.id, link])))
      for (const node of part.nodes) {
        if (DEFINITIONS.has(node.type)) {
          const { required, optional } = DEFINITIONS.get(node.type).input
          for (const input of node.inputs) assert.ok(input.name in { ...required, ...optional }, `${name}: ${input.name}`)
        }
        for (const [place, { link }] of (node.inputs ?? []).entries()) {
          if (link == null) continue
          const found = links.get(link)
          assert.ok(found, `${name}: link ${link}`)
          if (DEFINITIONS.has(node.type)) assert.equal(Array.isArray(found) ? found[4] : found.target_slot, place)
        }
        for (const output of node.outputs ?? []) {
          for (const link of output.links ?? []) assert.ok(links.has(link), `${name}: link ${link}`)
        }
      }
    }
  }
})

test('what is no node of ours, and what has today\'s widgets, is left alone', () => {
  const nodes = [
    { type: 'DiffSegHierarchy', inputs: [], widgets_values: ['automatic', 10, 0.1, 0.5, true, 0.06] },
    { type: 'KSampler', inputs: [{ name: 'gone', link: 1 }], widgets_values: [1, 2, 3, 4, 5, 6, 7, 8] }
  ]
  const graph = { nodes: structuredClone(nodes), links: [[1, 9, 0, 8, 0, 'X']] }
  rewriteSaved(graph, DEFINITIONS)
  assert.deepEqual(graph, { nodes, links: [[1, 9, 0, 8, 0, 'X']] })
})
