/** Files that the node wrote: fetched and decoded, or why they are not there; tables among them (../PROTOCOL.md). */

import { Hierarchy } from './hierarchy.mjs'

/** @import { FileEntry, Host, Shown } from './host.mjs' */

/** Arrays of numbers by their types, as NumPy calls them. */
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

/** @typedef {'lost' | 'unreachable' | 'damaged'} Reason a key of the texts */

/** A file that cannot be shown. */
export class FileError extends Error {
  /** @param {Reason} reason @param {unknown} cause */
  constructor(reason, cause) {
    super(`Expected a file of the picker's, got none: ${reason}.`, { cause })
    this.reason = reason
  }
}

/**
 * An image and its segments.
 * @param {Host} host
 * @param {Shown} files
 * @returns {Promise<{hierarchy: Hierarchy, image: ImageBitmap}>}
 * @throws {FileError}
 */
export async function loadImage(host, { segments, picture }) {
  const [tables, image] = await Promise.all([
    loaded(host, segments, readTables),
    loaded(host, picture, (pixels) => createImageBitmap(new Blob([pixels])))
  ])
  return { hierarchy: Hierarchy.of(tables), image }
}

/**
 * What is read from a file.
 * @template Read
 * @param {Pick<Host, 'fetchFile'>} host
 * @param {FileEntry} entry
 * @param {(file: ArrayBuffer) => Promise<Read>} read
 * @returns {Promise<Read>}
 * @throws {FileError} where the server does not answer, or has it no more, or it is not what it should be
 */
export async function loaded(host, entry, read) {
  /** @type {Reason} */
  let reason = 'unreachable'
  try {
    const answer = await host.fetchFile(entry)
    if (answer.status === 404) reason = 'lost'
    if (!answer.ok) throw new Error(`Expected a file of the picker's, got status ${answer.status}.`)
    const file = await answer.arrayBuffer()
    reason = 'damaged'
    return await read(file)
  } catch (error) {
    if (reason === 'damaged') console.error(error)
    throw new FileError(reason, error)
  }
}

/**
 * What a file of tables holds: its facts by name, and beside them its arrays, row by row, with their shapes.
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
