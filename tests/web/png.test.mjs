import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'

import { decodePng } from '../../web/picker/png.mjs'

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10])
const WIDTH = 5
const ROWS = [
  [0, 1, 65535, 256, 255],
  [7, 7, 7, 300, 299],
  [65535, 0, 0, 12345, 54321]
]

/** @param {string} kind @param {Uint8Array} content */
function chunk(kind, content) {
  const body = Buffer.concat([Buffer.from(kind, 'latin1'), content])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(content.length)
  body.copy(out, 4)
  out.writeUInt32BE(crc32(body), body.length + 4)
  return out
}

/** Bytes of a line, two a pixel. @param {number[] | undefined} row */
function bytes(row) {
  const out = Buffer.alloc(2 * WIDTH)
  row?.forEach((value, index) => out.writeUInt16BE(value, 2 * index))
  return out
}

/** The predictions of the PNG specification, section 9.2. */
const PREDICT = [
  () => 0,
  (a) => a,
  (a, b) => b,
  (a, b) => Math.floor((a + b) / 2),
  (a, b, c) => {
    const distance = (value) => Math.abs(a + b - c - value)
    if (distance(a) <= distance(b) && distance(a) <= distance(c)) return a
    return distance(b) <= distance(c) ? b : c
  }
]

/** A PNG whose lines all have this filter. @param {number} filter @param {number} depth */
function png(filter, depth = 16) {
  const lines = ROWS.map((row, index) => {
    const [line, above] = [bytes(row), bytes(ROWS[index - 1])]
    const filtered = line.map((byte, at) => byte - PREDICT[filter](line[at - 2] ?? 0, above[at], above[at - 2] ?? 0))
    return Buffer.concat([Buffer.from([filter]), filtered])
  })
  const header = Buffer.alloc(13)
  header.writeUInt32BE(WIDTH)
  header.writeUInt32BE(ROWS.length, 4)
  header[8] = depth
  const data = deflateSync(Buffer.concat(lines))
  const file = Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('tEXt', Buffer.from('diffseg\0{"areas": []}', 'latin1')),
    chunk('IDAT', data.subarray(0, 9)),
    chunk('IDAT', data.subarray(9)),
    chunk('IEND', Buffer.alloc(0))
  ])
  return new Uint8Array(file).buffer
}

for (const filter of PREDICT.keys()) {
  test(`lines with PNG's filter ${filter} come back exactly`, async () => {
    const image = await decodePng(png(filter))
    assert.deepEqual([image.width, image.height], [WIDTH, ROWS.length])
    assert.deepEqual([...image.values], ROWS.flat())
    assert.equal(image.texts.get('diffseg'), '{"areas": []}')
  })
}

test('another kind of image is refused', async () => {
  await assert.rejects(decodePng(png(0, 8)), /16-bit grey or 8-bit/)
  await assert.rejects(decodePng(new ArrayBuffer(40)), /PNG/)
})
