/** Files that the node wrote: fetched and decoded, or why they are not there. */

import { Hierarchy } from './hierarchy.mjs'
import { readTables } from './tables.mjs'

/** @import { FileEntry, Host, Shown } from './host.mjs' */

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
