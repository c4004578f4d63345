/** Reads a workflow and the server's definitions, as JSON, and prints the workflow as today's nodes have it. */
import { readFileSync } from 'node:fs'

import { rewriteSaved } from '../../web/saved_nodes.mjs'

const { workflow, definitions } = JSON.parse(readFileSync(0, 'utf8'))
const ours = Object.entries(definitions).filter(([name]) => name.startsWith('DiffSeg'))
rewriteSaved(workflow, new Map(ours))
console.log(JSON.stringify(workflow))
