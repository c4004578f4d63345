/** A run of the workflow as far as one node, and why the server refused it. */

import { app } from '/scripts/app.js'

import { executionIds } from './last_run.mjs'

/** @import { Answer } from './host.mjs' */
/** @import { LGraphNode, NodeError } from '/scripts/app.js' */

/**
 * Queue a run that ends with a node; where it is several, in subgraphs, with each of them.
 * @param {LGraphNode} node
 * @returns {Promise<Answer>}
 */
export async function runUpTo(node) {
  const ids = executionIds(node)
  let isSent = false
  try {
    isSent = await app.queuePrompt(0, 1, ids)
  } catch (error) {
    console.error(error)
    return { isSent, refusal: '' }
  }
  return { isSent, refusal: isSent ? '' : refusal(app.lastNodeErrors ?? {}, ids) }
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
