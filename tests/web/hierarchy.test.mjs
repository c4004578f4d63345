import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Hierarchy } from '../../web/picker/hierarchy.mjs'
import { NO_SEGMENT } from '../../web/picker/label_map.mjs'
import { chosenSegments, setPoint } from '../../web/picker/selection.mjs'
import { numberAt, positionOf } from '../../web/picker/segment_tool.mjs'

const SIDE = 12

/** Numbers that look random, the same in every run. @param {number} seed */
function generator(seed) {
  return (/** @type {number} */ below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
}

/** Leaves of random areas, joined in a random order. @param {number} count @param {number} seed */
function randomTree(count, seed) {
  const random = generator(seed)
  const ids = Uint16Array.from({ length: SIDE * SIDE }, (_, pixel) => 1 + (pixel < count ? pixel : random(count)))
  const areas = Array.from({ length: count }, (_, leaf) => ids.filter((id) => id === leaf + 1).length)
  const poles = areas.map((_, leaf) => ({ x: leaf % SIDE, y: Math.floor(leaf / SIDE) }))
  const alive = [...areas.keys()]
  /** @type {[number, number][]} */
  const joins = []
  while (alive.length > 1) {
    const second = 1 + random(alive.length - 1)
    joins.push([alive[random(second)], alive[second]])
    alive.splice(second, 1)
  }
  return { joins, tree: new Hierarchy(SIDE, SIDE, ids, areas, poles, joins) }
}

/** The leaves of each segment, by following the joins one by one. @param {{tree: Hierarchy, joins: [number, number][]}} made @param {number} number */
function setsOfLeaves({ tree, joins }, number) {
  const sets = new Map(tree.areas.map((_, leaf) => [leaf, [leaf]]))
  for (const [first, second] of joins.slice(0, tree.count - number)) {
    sets.get(first)?.push(...(sets.get(second) ?? []))
    sets.delete(second)
  }
  return [...sets].map(([name, leaves]) => ({ name, leaves, area: leaves.reduce((sum, leaf) => sum + tree.areas[leaf], 0) }))
}

for (const seed of [1, 2, 3]) {
  const { joins, tree } = randomTree(20 + seed, seed)

  test(`cuts are numbered by falling area, ties by first leaf (tree ${seed})`, () => {
    for (let number = 1; number <= tree.count; number++) {
      const sets = setsOfLeaves({ tree, joins }, number)
      sets.sort((one, other) => other.area - one.area || one.name - other.name)
      const map = tree.cut(number)
      assert.equal(map.count, number)
      assert.deepEqual(map.areas, sets.map(({ area }) => area))
      sets.forEach(({ leaves }, segment) => {
        for (const leaf of leaves) assert.equal(map.segments[leaf], segment)
        const largest = Math.max(...leaves.map((leaf) => tree.areas[leaf]))
        const pole = leaves.sort((one, other) => one - other).find((leaf) => tree.areas[leaf] === largest)
        assert.deepEqual(map.poles[segment], tree.poles[pole ?? -1])
        assert.equal(map.at(map.poles[segment]), segment)
      })
    }
  })

  test(`what a point names grows as segments join (tree ${seed})`, () => {
    const points = [{ x: 3, y: 2 }]
    /** @type {boolean[] | null} */
    let finer = null
    for (let number = tree.count; number >= 1; number--) {
      const map = tree.cut(number)
      const chosen = chosenSegments(map, points, false)
      const pixels = Array.from(tree.ids, (id) => chosen[map.segments[id - 1]] === 1)
      assert.ok(!finer || finer.every((was, pixel) => !was || pixels[pixel]))
      finer = pixels
    }
    assert.ok(finer?.every((is) => is))
  })
}

test('without a tree the segments stay as they are', () => {
  const { ids, areas, poles } = randomTree(6, 5).tree
  const plain = new Hierarchy(SIDE, SIDE, ids, areas, poles)
  assert.deepEqual([...plain.cut(2).segments], [0, 1, 2, 3, 4, 5])
})

test('one leaf is one segment', () => {
  const whole = new Hierarchy(1, 1, Uint16Array.of(1), [1], [{ x: 0, y: 0 }], [])
  assert.equal(whole.cut(1).count, 1)
  assert.equal(positionOf(1, 1), 0)
})

test('every number of segments has its place on the slider, the coarse ones the most room', () => {
  const most = 1500
  for (let number = 1; number <= most; number++) assert.equal(numberAt(positionOf(number, most), most), number)
  assert.equal(numberAt(0, most), 1)
  assert.equal(numberAt(1, most), most)
  assert.ok(numberAt(0.5, most) < 40)
})

test('of an image that is sent smaller, every point that is written is one whose id was sent', () => {
  const [width, height, columns, rows] = [103, 7, 10, 3]
  const truth = Uint16Array.from({ length: width * height }, (_, pixel) => 1 + ((pixel * 7919) % 11))
  const ids = new Uint16Array(columns * rows)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x = Math.floor(((2 * column + 1) * width) / (2 * columns))
      const y = Math.floor(((2 * row + 1) * height) / (2 * rows))
      ids[row * columns + column] = truth[y * width + x]
    }
  }
  const poles = Array.from({ length: 11 }, () => ({ x: 0, y: 0 }))
  const small = new Hierarchy(columns, rows, ids, Array(11).fill(1), poles, null, [width, height])
  const map = small.cut(11)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [point] = setPoint(map, [], { x, y }, true)
      assert.equal(map.at(point), map.at({ x, y }), 'the segment that is shown there')
      assert.equal(truth[point.y * width + point.x] - 1, map.at(point), 'and the one that the node finds')
      assert.deepEqual(small.sampled(point), point)
    }
  }
  assert.deepEqual(small.pixelAt(0, 0), { x: 5, y: 1 })
  assert.deepEqual(small.pixelAt(1, 1), { x: 97, y: 5 })
  assert.equal(map.hierarchy.contains({ x: 102, y: 6 }), true)
  assert.equal(map.hierarchy.contains({ x: 103, y: 6 }), false)
})
