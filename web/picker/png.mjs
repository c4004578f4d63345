/**
 * Reads the PNGs that carry segment numbers and tables.
 *
 * Not through an <img> and a canvas: browsers that protect against fingerprinting return changed pixels from
 * a canvas, and 16 bits become 8.
 */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10]

/**
 * @typedef {object} PngImage
 * @property {number} width in pixels
 * @property {number} height in pixels
 * @property {Uint16Array | Uint8Array} values row by row: one of 16 bits a pixel, or red, green, blue of 8 bits
 * @property {Map<string, string>} texts the text chunks by keyword
 */

/**
 * Decode a PNG without interlacing, of 16-bit grey or of 8-bit colours.
 * @param {ArrayBuffer} file
 * @returns {Promise<PngImage>}
 * @throws {Error} for any other file
 */
export async function decodePng(file) {
  const bytes = new Uint8Array(file)
  if (SIGNATURE.some((byte, index) => bytes[index] !== byte)) throw new Error('Expected a PNG file.')
  const data = new DataView(file)
  /** @type {Map<string, string>} */
  const texts = new Map()
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const compressed = []
  let width = 0
  let height = 0
  let isGrey = true
  for (let at = SIGNATURE.length; at < bytes.length; ) {
    const length = data.getUint32(at)
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    const content = bytes.subarray(at + 8, at + 8 + length)
    if (kind === 'IHDR') {
      width = data.getUint32(at + 8)
      height = data.getUint32(at + 12)
      const [depth, colour, , , interlace] = content.subarray(8)
      isGrey = depth === 16 && colour === 0
      if (!(isGrey || (depth === 8 && colour === 2)) || interlace !== 0) {
        throw new Error('Expected a PNG of 16-bit grey or 8-bit colours without interlacing.')
      }
    } else if (kind === 'tEXt') {
      const text = String.fromCharCode(...content.subarray(0, content.indexOf(0)))
      texts.set(text, new TextDecoder('latin1').decode(content.subarray(content.indexOf(0) + 1)))
    } else if (kind === 'IDAT') {
      compressed.push(content)
    }
    at += length + 12
  }
  const stream = new Blob(compressed).stream().pipeThrough(new DecompressionStream('deflate'))
  const filtered = new Uint8Array(await new Response(stream).arrayBuffer())
  const size = isGrey ? 2 : 3
  const raw = unfilter(filtered, width * size, height, size)
  if (!isGrey) return { width, height, values: raw, texts }
  const values = new Uint16Array(width * height)
  for (let index = 0; index < values.length; index++) values[index] = (raw[2 * index] << 8) | raw[2 * index + 1]
  return { width, height, values, texts }
}

/**
 * Undo the filters that PNG puts on its lines (PNG specification, section 9).
 * @param {Uint8Array} filtered lines, each with the filter's number before it
 * @param {number} stride bytes of a line without that number
 * @param {number} height
 * @param {number} size bytes of a pixel
 */
function unfilter(filtered, stride, height, size) {
  const raw = new Uint8Array(stride * height)
  for (let y = 0; y < height; y++) {
    const kind = filtered[y * (stride + 1)]
    const from = y * (stride + 1) + 1
    const to = y * stride
    for (let x = 0; x < stride; x++) {
      const left = x >= size ? raw[to + x - size] : 0
      const above = y > 0 ? raw[to + x - stride] : 0
      const corner = x >= size && y > 0 ? raw[to + x - stride - size] : 0
      raw[to + x] = filtered[from + x] + predict(kind, left, above, corner)
    }
  }
  return raw
}

/**
 * What a filter expects of a byte.
 * @param {number} kind 0 none, 1 sub, 2 up, 3 average, 4 Paeth
 * @param {number} left
 * @param {number} above
 * @param {number} corner above the left one
 */
function predict(kind, left, above, corner) {
  if (kind === 0) return 0
  if (kind === 1) return left
  if (kind === 2) return above
  if (kind === 3) return (left + above) >> 1
  const estimate = left + above - corner
  const toLeft = Math.abs(estimate - left)
  const toAbove = Math.abs(estimate - above)
  const toCorner = Math.abs(estimate - corner)
  if (toLeft <= toAbove && toLeft <= toCorner) return left
  return toAbove <= toCorner ? above : corner
}
