/** What the node and the picker must read alike: tests/protocol, which tests/core/test_protocol.py reads too. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { Hierarchy } from '../../web/picker/hierarchy.mjs'
import { plainText } from '../../web/picker/prompting/plain_text.mjs'
import { byObject, formatPrompts, isPositive, parsePrompts } from '../../web/picker/prompting/prompts.mjs'
import { parsePoints } from '../../web/picker/selection.mjs'
import { nameOf } from '../../web/picker/word_field.mjs'

/** @param {string} name */
function table(name) {
  return JSON.parse(readFileSync(new URL(`../protocol/${name}.json`, import.meta.url), 'utf-8'))
}

test('text is what is seen of it', () => {
  for (const [given, expected] of table('plain_text')) assert.equal(plainText(given), expected)
})

for (const { text, points } of table('points')) {
  test(`points ${text.slice(0, 60)}`, () => {
    const read = parsePoints(text)?.map(({ x, y }) => [Math.floor(x), Math.floor(y)]) ?? null
    assert.deepEqual(read, points)
  })
}

for (const { text, objects } of table('prompts')) {
  test(`prompts ${text.slice(0, 60)}`, () => {
    const prompts = parsePrompts(text)
    assert.deepEqual(prompts && read(prompts), objects && Object.entries(objects))
    if (prompts) assert.deepEqual(read(parsePrompts(formatPrompts(prompts))), read(prompts))
  })
}

for (const { text, name } of table('words')) {
  test(`an object after the words ${text}`, () => assert.equal(nameOf(text), name))
}

/** @param {import('../../web/picker/prompting/prompts.mjs').Prompt[]} prompts */
function read(prompts) {
  return [...byObject(prompts)].map(([name, own]) => [
    name,
    own.map(({ object, ...prompt }) => ({ ...prompt, label: isPositive(prompt) ? 1 : 0 }))
  ])
}

for (const { name, ids, areas, joins, labels } of table('hierarchies')) {
  const [height, width] = [ids.length, ids[0].length]
  const poles = areas.map(() => ({ x: 0, y: 0 }))
  const tree = new Hierarchy(width, height, Uint16Array.from(ids.flat()), areas, poles, joins)
  for (const [number, expected] of Object.entries(labels)) {
    test(`${name} in ${number}`, () => {
      const map = tree.cut(Number(number))
      const found = ids.map((/** @type {number[]} */ row, /** @type {number} */ y) => row.map((_, x) => map.at({ x, y })))
      assert.deepEqual(found, expected)
    })
  }
}
