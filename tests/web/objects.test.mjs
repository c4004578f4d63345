import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { Hierarchy } from '../../web/picker/hierarchy.mjs'
import { Objects } from '../../web/picker/objects.mjs'
import { inverted, objectsOverlay } from '../../web/picker/overlays.mjs'
import { ObjectFinder } from '../../web/picker/prompting/object_finder.mjs'

const CONSTANTS = JSON.parse(readFileSync(new URL('../protocol/constants.json', import.meta.url), 'utf-8'))
const CLICKS = '[{"x": 0, "y": 0, "label": 1}, {"x": 3, "y": 0, "label": 0}, {"x": 5, "y": 0, "label": 1, "object": "cup"}]'

/** Six pixels in a row, each a leaf; those of a pair are alike. */
function objects(text = CLICKS) {
  const count = 6
  const ids = Uint16Array.from({ length: count }, (_, leaf) => leaf + 1)
  const poles = Array.from({ length: count }, (_, x) => ({ x, y: 0 }))
  const joins = [[0, 1], [2, 3], [4, 5], [0, 2], [0, 4]]
  const tree = new Hierarchy(count, 1, ids, new Array(count).fill(1), poles, joins)
  const table = Uint16Array.from({ length: count * count }, (_, at) => {
    const [one, other] = [Math.floor(at / count), at % count]
    return one === other ? 0 : one >> 1 === other >> 1 ? 1000 : 60000
  })
  const tables = {
    borders: Int32Array.of(0, 1, 1, 2, 2, 3, 3, 4, 4, 5),
    lengths: new Float64Array(5).fill(1),
    steps: Float64Array.of(100, 4000, 100, 4000, 100),
    conductances: Float64Array.of(1, 0.1, 1, 0.1, 1),
    heights: Float64Array.of(0.1, 0.1, 0.1, 2, 3),
    arrivals: table,
    distances: table,
    colours: new Uint8Array(3),
    constants: CONSTANTS,
    shapes: { arrivals: [count, count], colours: [1, 1, 3] }
  }
  const mode = new Objects()
  mode.use(new ObjectFinder(tree, tables))
  mode.read(text, [])
  return mode
}

test('objects are found by their own prompts', () => {
  const mode = objects()
  assert.deepEqual(mode.names, ['Object 1', 'cup'])
  assert.deepEqual(mode.painted.map(({ label }) => [...label]), [
    [1, 1, 0, 0, 0, 0],
    [0, 0, 0, 0, 1, 1]
  ])
})

test('prompts go to the object at hand', () => {
  const mode = objects()
  mode.current = 'cup'
  assert.equal(mode.withPrompt({ x: 2, y: 0, label: 1 }), `${CLICKS.slice(0, -1)}, {"x": 2, "y": 0, "label": 1, "object": "cup"}]`)
  mode.current = 'Object 1'
  assert.equal(mode.withPrompt({ x: 2, y: 0, label: 0 }), `${CLICKS.slice(0, -1)}, {"x": 2, "y": 0, "label": 0}]`)
})

test('the last prompt of the object at hand is taken back', () => {
  const mode = objects()
  mode.current = 'Object 1'
  assert.deepEqual(JSON.parse(mode.withoutLast()).map(({ x }) => x), [0, 5])
  mode.current = 'cup'
  assert.deepEqual(JSON.parse(mode.withoutLast()).map(({ x }) => x), [0, 3])
  mode.current = 'nobody'
  assert.equal(JSON.parse(mode.withoutLast()).length, 3)
})

test('its last click becomes larger and smaller, to an end', () => {
  const mode = objects()
  mode.current = 'Object 1'
  assert.deepEqual(JSON.parse(mode.resized(2)).map(({ size }) => size), [undefined, 2, undefined])
  mode.read('[{"x": 0, "y": 0, "size": 99}, {"box": [0, 0, 2, 1]}]', [])
  assert.equal(JSON.parse(mode.resized(1))[0].size, 99)
  mode.read('[{"box": [0, 0, 2, 1]}]', [])
  assert.equal(mode.resized(1), null)
})

test('a step of the size is more than what the click took by itself, after a box too', () => {
  const mode = objects()
  const held = (/** @type {object[]} */ ...prompts) => {
    mode.read(JSON.stringify(prompts), [])
    return mode.held[0].label.reduce((sum, is) => sum + is, 0)
  }
  for (const box of [[0, 0, 2, 1], [0, 0, 5, 1]]) {
    const sizes = [-1, 0, 1, 2].map((size) => held({ box }, { x: 0, y: 0, size }))
    assert.ok(sizes[0] <= sizes[1] && sizes[1] < sizes[2] && sizes[2] <= sizes[3], `${sizes}`)
  }
})

test('prompts of every kind that lie outside are counted, and what is painted nowhere is no object', () => {
  const mode = objects()
  const beyond = [{ x: 6, y: 0 }, { x: 0, y: -1, label: 0 }, { box: [6, 0, 9, 9] }, { box: [-3, -3, 9, 0] }, { stroke: [[9, 9]] }]
  const within = [{ x: 5, y: 0 }, { box: [-9, 0, 1, 1] }, { stroke: [[-3, 0], [2, 0]] }, { words: 'cup' }]
  mode.read(JSON.stringify([...beyond, ...within]), [{ leaves: [], object: 'painted' }, { leaves: [2] }])
  assert.equal(mode.outside(mode.finder.hierarchy), beyond.length + 1)
  assert.deepEqual(mode.names, ['Object 1'])
})

test('another object is there once it has a prompt', () => {
  const mode = objects()
  mode.add()
  assert.deepEqual([mode.names, mode.current], [['Object 1', 'cup', 'Object 3'], 'Object 3'])
  mode.add()
  assert.equal(mode.names.length, 3, 'one empty object is enough')
  mode.read(mode.withPrompt({ x: 2, y: 0, label: 1 }), [])
  mode.add()
  assert.equal(mode.current, 'Object 4')
})

test('names stay different', () => {
  const mode = objects()
  assert.deepEqual(JSON.parse(mode.renamed('Object 1', 'cup')).map(({ object }) => object), ['cup 2', 'cup 2', 'cup'])
  assert.deepEqual(JSON.parse(mode.renamed('cup', 'Object 1')).map(({ object }) => object), [undefined, undefined, 'Object 1 2'])
})

test('an object goes with its prompts, and what other nodes say stays', () => {
  const mode = objects()
  assert.deepEqual(JSON.parse(mode.without('Object 1')).map(({ object }) => object), ['cup'])
  mode.read(CLICKS, [{ x: 2, y: 0, label: 1, object: 'given' }])
  assert.deepEqual(mode.listed, [
    { name: 'given', isEditable: false },
    { name: 'Object 1', isEditable: true },
    { name: 'cup', isEditable: true }
  ])
})

test('a preview is what a click would make, and none where nothing would change', () => {
  const mode = objects('[{"x": 0, "y": 0}]')
  assert.equal(mode.preview({ x: 1, y: 0 }, 1), null)
  assert.equal(mode.preview({ x: 4, y: 0 }, 0), null)
  const { index, label } = mode.preview({ x: 4, y: 0 }, 1)
  assert.equal(index, 0)
  assert.deepEqual([label[0], label[4]], [1, 1])
  assert.equal(mode.preview({ x: 1, y: 0 }, 0).label[1], 0)
})

test('text that is no list of prompts is no prompt', () => {
  const mode = objects()
  assert.equal(mode.read('[{"x": 1}]', []), false)
  assert.deepEqual(mode.names, ['Object 1'])
})

test('inverted is what is none of them, divided leaves too', () => {
  const cells = Uint32Array.of(7, 8)
  const one = { label: Uint8Array.of(1, 0, 1), divided: [{ leaf: 0, cells, own: Uint8Array.of(1, 0) }] }
  const other = { label: Uint8Array.of(0, 1, 0), divided: [] }
  const { label, divided } = inverted([one, other], { count: 3 })
  assert.deepEqual([...label], [0, 0, 0])
  assert.deepEqual(divided.map(({ leaf, own }) => [leaf, [...own]]), [[0, [0, 1]]])
  const whole = { label: Uint8Array.of(1, 0, 0), divided: [] }
  assert.deepEqual(inverted([one, whole], { count: 3 }).divided.map(({ own }) => [...own]), [[0, 0]])
})

test('later objects lie over earlier ones, and what a click would change is marked', () => {
  const one = { label: Uint8Array.of(1, 1, 0), divided: [] }
  const other = { label: Uint8Array.of(0, 1, 0), divided: [{ leaf: 1, cells: Uint32Array.of(7, 8), own: Uint8Array.of(1, 0) }] }
  const { groups, parts } = objectsOverlay([one, other], { index: 0, label: Uint8Array.of(0, 1, 1) }, 3)
  assert.deepEqual([...groups], [1 | 128, 2, 64])
  assert.deepEqual(parts?.map(({ leaf, groups }) => [leaf, [...groups]]), [[1, [2, 0]]])
})
