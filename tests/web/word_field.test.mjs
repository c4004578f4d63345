import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Objects } from '../../web/picker/objects.mjs'

/** @param {string} text */
function objects(text) {
  const mode = new Objects()
  mode.read(text, [])
  return mode
}

test('words name an object that has no prompt and no name of its own', () => {
  const mode = objects('[]')
  assert.deepEqual(JSON.parse(mode.withWords('cup, mug', 'cup')), [{ words: 'cup, mug', label: 1, object: 'cup' }])
  assert.equal(mode.current, 'cup')
})

test('an object that was named and has no prompt keeps its name', () => {
  const mode = objects('[{"x": 1, "y": 2}]')
  mode.add()
  mode.renamed('Object 2', 'mine')
  const [, words] = JSON.parse(mode.withWords('cup', 'cup'))
  assert.equal(words.object, 'mine')
})

test('words wait in an object once, and in another as well', () => {
  const mode = objects('[{"words": "cup", "object": "cup"}]')
  const once = [{ words: 'cup', label: 1, object: 'cup' }]
  assert.deepEqual(JSON.parse(mode.withWords('cup', 'cup')), once)
  mode.add()
  mode.renamed('Object 2', 'mine')
  const twice = mode.withWords('cup', 'cup')
  assert.deepEqual(JSON.parse(twice), [...once, { words: 'cup', label: 1, object: 'mine' }])
  mode.read(twice, [])
  assert.deepEqual(JSON.parse(mode.withoutWords('cup', 'mine')), once)
})

test('an object with prompts is left alone, and another one begun', () => {
  const mode = objects('[{"x": 1, "y": 2}]')
  assert.deepEqual(JSON.parse(mode.withWords('cup', 'cup')).map(({ object }) => object), [undefined, 'cup'])
})

test('found words become clicks at their place in the order, others go, unknown ones wait', () => {
  const mode = objects('[]')
  const text = '[{"words": "cup", "object": "a"}, {"x": 1, "y": 2, "label": 0}, {"words": "moon"}, {"words": "later"}]'
  const found = { cup: { text: 'cup', found: true, score: 0.9, x: 7, y: 8 }, moon: { text: 'moon', found: false, score: 0.2, x: 0, y: 0 } }
  assert.deepEqual(JSON.parse(mode.withClicks(text, (words) => found[words])), [
    { x: 7, y: 8, label: 1, object: 'a' },
    { x: 1, y: 2, label: 0 },
    { words: 'later', label: 1 }
  ])
})
