/** Leaves as pixels of a canvas. */

/**
 * A colour as a canvas keeps it: bytes red, green, blue, alpha, in memory order.
 * @param {number} red 0..255
 * @param {number} green 0..255
 * @param {number} blue 0..255
 * @param {number} alpha 0..1
 */
export function colour(red, green, blue, alpha) {
  return new Uint32Array(Uint8Array.of(red, green, blue, Math.round(alpha * 255)).buffer)[0]
}

/**
 * The rows of every leaf's pixels side by side: their first pixels, the pixels after their last, and the boxes
 * around all of a leaf.
 * @param {Uint16Array} ids
 * @param {number} width
 * @param {number} count number of ids
 */
export function rowsByLeaf(ids, width, count) {
  const first = Uint32Array.from(ids.keys()).filter((pixel) => pixel % width === 0 || ids[pixel] !== ids[pixel - 1])
  const { starts, pixels } = groupedByLeaf(first, ids, count)
  const boxes = Array.from({ length: count }, () => ({ left: width, top: Infinity, right: -1, bottom: -1 }))
  const ends = pixels.map((pixel) => {
    let end = pixel + 1
    while (end % width && ids[end] === ids[pixel]) end++
    const box = boxes[ids[pixel]]
    const y = Math.floor(pixel / width)
    box.left = Math.min(box.left, pixel % width)
    box.right = Math.max(box.right, (end - 1) % width)
    box.top = Math.min(box.top, y)
    box.bottom = Math.max(box.bottom, y)
    return end
  })
  return { starts, pixels, ends, boxes }
}

/**
 * Pixels of every leaf side by side (a counting sort): those of id n from `starts[n]` to `starts[n + 1]`.
 * @param {Uint32Array} pixels
 * @param {Uint16Array} ids of all pixels
 * @param {number} count number of ids
 */
export function groupedByLeaf(pixels, ids, count) {
  const starts = new Uint32Array(count + 1)
  for (const pixel of pixels) starts[ids[pixel] + 1]++
  for (let id = 0; id < count; id++) starts[id + 1] += starts[id]
  const next = starts.slice()
  const grouped = new Uint32Array(pixels.length)
  for (const pixel of pixels) grouped[next[ids[pixel]]++] = pixel
  return { starts, pixels: grouped }
}
