/** Files that the node wrote: fetched and decoded, or why they are not there. */

import { Hierarchy } from './hierarchy.mjs'

/** @typedef {import('./host.mjs').FileEntry} FileEntry */
/** @typedef {import('./host.mjs').Host} Host */
/** @typedef {import('./host.mjs').Shown} Shown */

/** @typedef {'lost' | 'unreachable' | 'damaged'} Reason a key of the texts */

/** A file that cannot be shown. */
export class FileError extends Error {
  /**
   * @param {Reason} reason
   * @param {unknown} [cause]
   */
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
export async function loadImage(host, { ids, picture }) {
  const [segments, pixels] = await Promise.all([fetched(host, ids), fetched(host, picture)])
  return decoded(async () => {
    const [hierarchy, image] = await Promise.all([Hierarchy.fromPng(segments), createImageBitmap(new Blob([pixels]))])
    return { hierarchy, image }
  })
}

/**
 * All of a file.
 * @param {Pick<Host, 'fetchFile'>} host
 * @param {FileEntry} entry
 * @returns {Promise<ArrayBuffer>}
 * @throws {FileError} where the server does not answer, or has it no more
 */
export async function fetched(host, entry) {
  let answer
  try {
    answer = await host.fetchFile(entry)
    if (answer.ok) return await answer.arrayBuffer()
  } catch (error) {
    throw new FileError('unreachable', error)
  }
  throw new FileError(answer.status === 404 ? 'lost' : 'unreachable')
}

/**
 * What is read from files.
 * @template Read
 * @param {() => Promise<Read>} read
 * @returns {Promise<Read>}
 * @throws {FileError} where they are not what they should be
 */
export async function decoded(read) {
  try {
    return await read()
  } catch (error) {
    console.error(error)
    throw new FileError('damaged', error)
  }
}
