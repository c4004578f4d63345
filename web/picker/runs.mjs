/** Runs of the workflow: what a node gave in the last one, one as far as a node, and why the server refused it. */

import { api } from '/scripts/api.js'
import { app } from '/scripts/app.js'

/** @import { Answer } from './host.mjs' */
/** @import { LGraph, LGraphNode, NodeError } from '/scripts/app.js' */

const RUNS = 20 // that are looked through, the latest first
const CACHE_MS = 2000 // milliseconds: nodes that are created together ask together

/** @type {{at: number, runs: Promise<any[]>} | null} */
let asked = null

/**
 * The entries that the node last left under a key of its output, or null.
 *
 * The front end still has them after an undo, which makes all nodes anew; after a reload of the page the
 * server's history has them.
 * @param {LGraphNode} node
 * @param {string} key
 * @returns {Promise<unknown[] | null>}
 * @throws {Error} where the server does not answer
 */
export async function lastOutput(node, key) {
  const root = node.graph?.rootGraph
  if (!root) return null
  const ids = executionIds(node)
  const kept = app.nodeOutputs[locatorOf(node)]?.[key]
  if (kept) return kept
  for (const run of await latestRuns()) {
    if (run.prompt?.[3]?.extra_pnginfo?.workflow?.id !== root.id) continue
    for (const [id, output] of Object.entries(run.outputs ?? {})) {
      if (output?.[key] && ids.includes(id)) return output[key]
    }
  }
  return null
}

/**
 * Where a node is: the same for the node that an undo makes in the place of another. Empty outside of a graph.
 * @param {LGraphNode} node
 */
export function placeOf(node) {
  const root = node.graph?.rootGraph
  return root ? `${root.id} ${locatorOf(node)}` : ''
}

/**
 * The front end's name for a node of any graph.
 * @param {LGraphNode} node
 */
function locatorOf({ id, graph }) {
  return !graph || graph === graph.rootGraph ? `${id}` : `${graph.id}:${id}`
}

/**
 * By which ids a run means a node: more than one where it is in a subgraph that is used more than once.
 * @param {LGraphNode} node
 * @param {LGraph} [graph] that it is looked for in
 * @returns {string[]}
 */
function executionIds(node, graph = node.graph?.rootGraph) {
  if (!graph) return []
  if (graph === node.graph) return [`${node.id}`]
  return graph.nodes.flatMap(({ id, subgraph }) => (subgraph ? executionIds(node, subgraph) : []).map((inner) => `${id}:${inner}`))
}

/** @returns {Promise<any[]>} */
function latestRuns() {
  if (!asked || Date.now() - asked.at > CACHE_MS) {
    const runs = fetchRuns()
    asked = { at: Date.now(), runs }
    runs.catch(() => (asked = null)) // the next one asks again
  }
  return asked.runs
}

async function fetchRuns() {
  const answer = await api.fetchApi(`/history?max_items=${RUNS}`)
  if (!answer.ok) throw new Error(`Expected the latest runs, got status ${answer.status}.`)
  return Object.values(await answer.json()).reverse()
}

/**
 * Queue a run that ends with a node; where it is several, in subgraphs, with each of them.
 * @param {LGraphNode} node
 * @returns {Promise<Answer>}
 */
export async function runUpTo(node) {
  const ids = executionIds(node)
  try {
    const isSent = await app.queuePrompt(0, 1, ids)
    return { isSent, refusal: isSent ? '' : refusal(app.lastNodeErrors ?? {}, ids) }
  } catch (error) {
    console.error(error)
    return { isSent: false, refusal: '' }
  }
}

/**
 * What the server's validation says of these nodes, or of another one that the run needs; empty if nothing.
 * @param {Record<string, NodeError>} errors by execution id
 * @param {string[]} ids
 */
function refusal(errors, ids) {
  const refused = ids.find((id) => errors[id]?.errors.length) ?? Object.keys(errors)[0]
  const error = errors[refused]?.errors[0]
  if (!error) return ''
  const { type, message, details, extra_info: { input_name: input } = {} } = error
  if (type === 'custom_validation_failed') return details.replace(`${input} - `, '') // the node's own sentence
  return `${message}: ${details}`
}
