import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Hierarchy } from '../../web/picker/hierarchy.mjs'
import { NO_SEGMENT } from '../../web/picker/label_map.mjs'
import { formatPoints, parsePoints } from '../../web/picker/prompting/prompts.mjs'
import { chosenSegments, hasPoint, nextSegment, pixelsBetween, setPoint } from '../../web/picker/selection.mjs'

/** Segments 0 and 1 side by side above segment 2, and a corner without a segment. */
const LEAVES = new Hierarchy(
  4,
  3,
  Uint16Array.from([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 3, 0]),
  [4, 4, 3],
  [
    { x: 0, y: 0 },
    { x: 2, y: 0 },
    { x: 1, y: 2 }
  ]
)
const MAP = LEAVES.cut(3)

test('a point names the segment under it, at the very corners too', () => {
  assert.equal(MAP.at({ x: 0, y: 0 }), 0)
  assert.equal(MAP.at({ x: 3, y: 0 }), 1)
  assert.equal(MAP.at({ x: 0, y: 2 }), 2)
  assert.equal(MAP.at({ x: 3, y: 2 }), NO_SEGMENT)
})

test('outside the image there is no segment', () => {
  for (const point of [
    { x: -1, y: 0 },
    { x: 4, y: 0 },
    { x: 0, y: 3 },
    { x: 0, y: -0.5 }
  ]) {
    assert.equal(MAP.at(point), NO_SEGMENT)
  }
})

test('a segment gets one point, and loses all that it has', () => {
  const once = setPoint(MAP, [], { x: 1.7, y: 1.2 }, true)
  assert.deepEqual(once, [{ x: 1, y: 1 }])
  assert.deepEqual(setPoint(MAP, once, { x: 0, y: 0 }, true), once)
  const both = [...once, { x: 0, y: 0 }, { x: 2, y: 0 }]
  assert.deepEqual(setPoint(MAP, both, { x: 0, y: 1 }, false), [{ x: 2, y: 0 }])
})

test('where no segment is, nothing is named', () => {
  assert.deepEqual(setPoint(MAP, [], { x: 3, y: 2 }, true), [])
})

test('invert chooses every segment without a point', () => {
  const points = [{ x: 0, y: 0 }]
  assert.deepEqual([...chosenSegments(MAP, points, false)], [1, 0, 0])
  assert.deepEqual([...chosenSegments(MAP, points, true)], [0, 1, 1])
  assert.deepEqual([...chosenSegments(MAP, [], true)], [1, 1, 1])
})

test('points against take their segments out of what points name', () => {
  const points = [
    { x: 0, y: 0 },
    { x: 3, y: 0 }
  ]
  const against = [
    { x: 1, y: 1 },
    { x: 9, y: 9 }
  ]
  assert.deepEqual([...chosenSegments(MAP, points, false, against)], [0, 1, 0])
  assert.deepEqual([...chosenSegments(MAP, points, true, against)], [1, 0, 1])
})

test('points outside the image choose nothing', () => {
  assert.deepEqual([...chosenSegments(MAP, [{ x: 40, y: 1 }], false)], [0, 0, 0])
  assert.equal(hasPoint(MAP, [{ x: 40, y: 1 }], 1), false)
})

test('points come back from the text as they were', () => {
  const points = [
    { x: 3, y: 0 },
    { x: 0, y: 2 }
  ]
  assert.deepEqual(parsePoints(formatPoints(points)), points)
  assert.deepEqual(parsePoints(''), [])
  assert.deepEqual(parsePoints(' [] '), [])
})

test('a fast stroke leaves no pixel out', () => {
  const way = pixelsBetween({ x: 0, y: 0 }, { x: 30, y: -7 })
  assert.deepEqual(way[0], { x: 0, y: 0 })
  assert.deepEqual(way.at(-1), { x: 30, y: -7 })
  way.slice(1).forEach((point, index) => {
    assert.ok(Math.abs(point.x - way[index].x) <= 1 && Math.abs(point.y - way[index].y) <= 1)
  })
})

test('arrow keys go to the neighbour in their direction, and stay where there is none', () => {
  const [right, left, down] = [
    { x: 1, y: 0 },
    { x: -1, y: 0 },
    { x: 0, y: 1 }
  ]
  assert.equal(nextSegment(MAP, NO_SEGMENT, right), 0)
  assert.equal(nextSegment(MAP, 0, right), 1)
  assert.equal(nextSegment(MAP, 0, down), 2)
  assert.equal(nextSegment(MAP, 0, left), 0)
})

test('a map at another size keeps its segments in their places', () => {
  const twice = LEAVES.resampled(8, 6)
  for (let y = 0; y < 6; y++) {
    for (let x = 0; x < 8; x++) assert.equal(twice[y * 8 + x] - 1, MAP.at({ x: x / 2, y: y / 2 }))
  }
})
