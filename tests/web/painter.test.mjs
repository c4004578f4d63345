import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Hierarchy } from '../../web/picker/hierarchy.mjs'
import { Painter } from '../../web/picker/painter.mjs'

const [WIDTH, HEIGHT, LEAVES] = [24, 18, 7]
/** Six styles of three colours. */
const STYLES = Array.from({ length: 6 }, (_, group) => [1, 2, 3].map((place) => 10 * group + place))

globalThis.ImageData ??= /** @type {any} */ (
  class {
    /** @param {number} width @param {number} height */
    constructor(width, height) {
      this.data = new Uint8ClampedArray(4 * width * height)
    }
  }
)

/** A canvas that keeps what it is given. */
function canvas() {
  const pixels = new Uint32Array(WIDTH * HEIGHT)
  const context = {
    /** @param {ImageData} image */
    putImageData({ data }, _x, _y, left = 0, top = 0, width = WIDTH, height = HEIGHT) {
      const all = new Uint32Array(data.buffer)
      for (let y = top; y < top + height; y++) {
        for (let x = left; x < left + width; x++) pixels[y * WIDTH + x] = all[y * WIDTH + x]
      }
    }
  }
  return { pixels, context: /** @type {any} */ (context) }
}

/** Blocks of leaves, with a corner where none is. */
function leaves() {
  const ids = Uint16Array.from({ length: WIDTH * HEIGHT }, (_, pixel) => {
    const [x, y] = [pixel % WIDTH, Math.floor(pixel / WIDTH)]
    return x < 5 && y < 5 ? 0 : 1 + ((Math.floor(x / 7) + 3 * Math.floor(y / 6)) % LEAVES)
  })
  const areas = new Array(LEAVES).fill(1)
  return new Hierarchy(WIDTH, HEIGHT, ids, areas, areas.map(() => ({ x: 0, y: 0 })))
}

test('borders have two halves on both sides of where groups meet, and none within a group', () => {
  const ids = Uint16Array.from({ length: 12 }, (_, x) => 1 + (x >= 3 ? 1 : 0) + (x >= 6 ? 1 : 0))
  const row = new Hierarchy(12, 1, ids, [3, 3, 6], [0, 0, 0].map(() => ({ x: 0, y: 0 })))
  const painter = new Painter(row, 12, 1, 1)
  painter.paint(canvas().context, { groups: [0, 0, 1], styles: STYLES }, true)
  assert.deepEqual([...painter.out], [1, 1, 1, 1, 3, 2, 12, 13, 11, 11, 11, 11])
})

test('what is painted after changes is what is painted at once', () => {
  let seed = 5
  const random = (/** @type {number} */ below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const hierarchy = leaves()
  const painter = new Painter(hierarchy, WIDTH, HEIGHT, 1)
  const { pixels, context } = canvas()
  for (let round = 0; round < 60; round++) {
    const groups = Array.from({ length: LEAVES }, () => random(3))
    const styles = STYLES.slice(0, 3).map((style, group) => (random(3) ? style : STYLES[group + 3]))
    const leaf = random(2 * LEAVES)
    const cells = [...hierarchy.ids.keys()].filter((cell) => hierarchy.ids[cell] === leaf + 1)
    const parts = cells.length ? [{ leaf, cells, groups: cells.map(() => random(3)) }] : []
    painter.paint(context, { groups, styles, parts }, false)
    const fresh = canvas()
    new Painter(hierarchy, WIDTH, HEIGHT, 1).paint(fresh.context, { groups, styles, parts }, false)
    assert.deepEqual(pixels, fresh.pixels, `round ${round}`)
  }
})
