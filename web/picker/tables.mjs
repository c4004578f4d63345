/** Files of tables that the node writes: facts and arrays of numbers (../PROTOCOL.md). */

const ARRAYS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array
}

/**
 * What a file holds: its facts by name, and beside them its arrays, row by row, with their shapes.
 * @typedef {Record<string, any> & {shapes: Record<string, number[]>}} Tables
 */

/**
 * @param {ArrayBuffer} file
 * @returns {Promise<Tables>}
 * @throws {Error} for any other file
 */
export async function readTables(file) {
  const stream = new Blob([file]).stream().pipeThrough(new DecompressionStream('deflate'))
  const bytes = await new Response(stream).arrayBuffer()
  const start = 4 + new DataView(bytes).getUint32(0, true)
  const { arrays, ...tables } = JSON.parse(new TextDecoder().decode(bytes.slice(4, start)))
  tables.shapes = {}
  for (const [name, { type, shape, offset }] of Object.entries(arrays)) {
    const length = shape.reduce((/** @type {number} */ one, /** @type {number} */ other) => one * other, 1)
    const Numbers = ARRAYS[/** @type {keyof typeof ARRAYS} */ (type)]
    if (!Numbers) continue // a later release may have further ones
    tables[name] = new Numbers(bytes, start + offset, length)
    tables.shapes[name] = shape
  }
  return /** @type {Tables} */ (tables)
}
