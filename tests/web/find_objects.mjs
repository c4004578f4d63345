/**
 * Objects as the picker finds them: `node find_objects.mjs FOLDER` reads segments.bin, objects.bin and sequences.json, a
 * list of lists of prompts, and writes masks.bin, one byte for each id and sequence.
 */

import { readFileSync, writeFileSync } from 'node:fs'

import { Hierarchy } from '../../web/picker/hierarchy.mjs'
import { ObjectFinder } from '../../web/picker/prompting/object_finder.mjs'
import { formatPrompts, parsePrompts } from '../../web/picker/prompting/prompts.mjs'
import { readTables } from '../../web/picker/files.mjs'

const folder = process.argv[2]

/** @param {string} name */
function file(name) {
  const { buffer, byteOffset, byteLength } = readFileSync(`${folder}/${name}`)
  return buffer.slice(byteOffset, byteOffset + byteLength)
}

const hierarchy = Hierarchy.of(await readTables(file('segments.bin')))
const finder = new ObjectFinder(hierarchy, await readTables(file('objects.bin')))
const masks = []
/** @type {number[]} */
const seconds = []
for (const prompts of JSON.parse(readFileSync(`${folder}/sequences.json`, 'utf-8'))) {
  const read = parsePrompts(formatPrompts(prompts)) ?? []
  const before = finder.find(read.slice(0, -1))
  const started = performance.now()
  const found = read.length ? finder.with(before, read[read.length - 1]) : before
  const parts = finder.divided(found)
  seconds.push(performance.now() - started)
  const mask = Uint8Array.from(hierarchy.ids, (id) => (id ? found.label[id - 1] : 0))
  for (const { cells, own } of parts) cells.forEach((cell, index) => (mask[cell] = own[index]))
  masks.push(mask)
}
writeFileSync(`${folder}/masks.bin`, Buffer.concat(masks))
seconds.sort((one, other) => one - other)
const [median, slowest] = [seconds[seconds.length >> 1], seconds[seconds.length - 1]]
console.log(JSON.stringify({ leaves: hierarchy.count, median, slowest }))
