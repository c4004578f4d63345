import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync } from 'node:zlib'

import { readTables } from '../../web/picker/files.mjs'

/** A file with this header. @param {object} header @param {Uint8Array} data */
function file(header, data) {
  const text = Buffer.from(JSON.stringify(header))
  const start = Buffer.alloc(4 + text.length + ((4 - text.length) & 7), ' ')
  start.writeUInt32LE(start.length - 4)
  text.copy(start, 4)
  return new Uint8Array(deflateSync(Buffer.concat([start, data]))).buffer
}

test('facts and arrays come back, and what a later release adds is in nobody\'s way', async () => {
  const arrays = {
    ids: { type: 'uint16', shape: [2, 1], offset: 0 },
    later: { type: 'float16', shape: [4], offset: 8 },
    heights: { type: 'float64', shape: [1], offset: 16 }
  }
  const data = Buffer.alloc(24)
  data.writeUInt16LE(65535, 2)
  data.writeDoubleLE(0.1, 16)
  const tables = await readTables(file({ size: [1, 2], more: 'facts', arrays }, data))
  assert.deepEqual([[...tables.ids], [...tables.heights], tables.size], [[0, 65535], [0.1], [1, 2]])
  assert.deepEqual(tables.shapes.ids, [2, 1])
  assert.equal(tables.later, undefined)
})

test('a file that is cut off or none of tables is refused', async () => {
  const whole = file({ arrays: { ids: { type: 'uint16', shape: [4], offset: 0 } } }, new Uint8Array(8))
  for (const damaged of [whole.slice(0, whole.byteLength - 8), new ArrayBuffer(40)]) await assert.rejects(readTables(damaged))
})
