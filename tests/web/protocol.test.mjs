/** What the node and the picker must read alike: tests/protocol, which tests/core/test_protocol.py reads too. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { Hierarchy } from '../../web/picker/hierarchy.mjs'
import { byObject, formatPrompts, isPositive, parsePoints, parsePrompts, plainText } from '../../web/picker/prompting/prompts.mjs'
import { nameOf } from '../../web/picker/word_field.mjs'

/** @param {string} name */
function table(name) {
  return JSON.parse(readFileSync(new URL(`../protocol/${name}.json`, import.meta.url), 'utf-8'))
}

test('text is what is seen of it', () => {
  for (const [given, expected] of table('plain_text')) assert.equal(plainText(given), expected)
})

test('points are read or refused as by the node', () => {
  for (const { text, points } of table('points')) {
    const read = parsePoints(text)?.map(({ x, y }) => [Math.floor(x), Math.floor(y)]) ?? null
    assert.deepEqual(read, points, text)
  }
})

test('prompts are read or refused as by the node, and come back as they were', () => {
  for (const { text, objects } of table('prompts')) {
    const prompts = parsePrompts(text)
    assert.deepEqual(prompts && read(prompts), objects && Object.entries(objects), text)
    if (prompts) assert.deepEqual(read(parsePrompts(formatPrompts(prompts))), read(prompts), text)
  }
})

test('objects are called by their words as by the node', () => {
  for (const { text, name } of table('words')) assert.equal(nameOf(text), name, text)
})

test('cuts have the numbers that the node gives them', () => {
  for (const { name, ids, areas, joins, labels } of table('hierarchies')) {
    const [height, width] = [ids.length, ids[0].length]
    const poles = areas.map(() => ({ x: 0, y: 0 }))
    const tree = new Hierarchy(width, height, Uint16Array.from(ids.flat()), areas, poles, joins)
    for (const [number, expected] of Object.entries(labels)) {
      const map = tree.cut(Number(number))
      const found = ids.map((/** @type {number[]} */ row, /** @type {number} */ y) => row.map((_, x) => map.at({ x, y })))
      assert.deepEqual(found, expected, `${name} in ${number}`)
    }
  }
})

/** @param {import('../../web/picker/prompting/prompts.mjs').Prompt[]} prompts */
function read(prompts) {
  return [...byObject(prompts)].map(([name, own]) => [
    name,
    own.map(({ object, ...prompt }) => ({ ...prompt, label: isPositive(prompt) ? 1 : 0 }))
  ])
}
