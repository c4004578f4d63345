/**
 * Reads the 16-bit grey PNG that carries segment numbers.
 *
 * Not through an <img> and a canvas: browsers that protect against fingerprinting return changed pixels from
 * a canvas, and 16 bits become 8.
 */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10]

/**
 * @typedef {object} GreyImage
 * @property {number} width in pixels
 * @property {number} height in pixels
 * @property {Uint16Array} pixels row by row
 * @property {Map<string, string>} texts the text chunks by keyword
 */

/**
 * Decode a 16-bit grey PNG without interlacing.
 * @param {ArrayBuffer} file
 * @returns {Promise<GreyImage>}
 * @throws {Error} for any other file
 */
export async function decodeGrey16(file) {
  const bytes = new Uint8Array(file)
  if (SIGNATURE.some((byte, index) => bytes[index] !== byte)) throw new Error('Expected a PNG file.')
  const data = new DataView(file)
  /** @type {Map<string, string>} */
  const texts = new Map()
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const compressed = []
  let width = 0
  let height = 0
  for (let at = SIGNATURE.length; at < bytes.length; ) {
    const length = data.getUint32(at)
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    const content = bytes.subarray(at + 8, at + 8 + length)
    if (kind === 'IHDR') {
      width = data.getUint32(at + 8)
      height = data.getUint32(at + 12)
      const [depth, colour, , , interlace] = content.subarray(8)
      if (depth !== 16 || colour !== 0 || interlace !== 0) {
        throw new Error('Expected a 16-bit grey PNG without interlacing.')
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
  const raw = unfilter(filtered, width * 2, height)
  const pixels = new Uint16Array(width * height)
  for (let index = 0; index < pixels.length; index++) pixels[index] = (raw[2 * index] << 8) | raw[2 * index + 1]
  return { width, height, pixels, texts }
}

/**
 * Undo the filters that PNG puts on its lines (PNG specification, section 9), two bytes a pixel.
 * @param {Uint8Array} filtered lines, each with the filter's number before it
 * @param {number} stride bytes of a line without that number
 * @param {number} height
 */
function unfilter(filtered, stride, height) {
  const raw = new Uint8Array(stride * height)
  for (let y = 0; y < height; y++) {
    const kind = filtered[y * (stride + 1)]
    const from = y * (stride + 1) + 1
    const to = y * stride
    for (let x = 0; x < stride; x++) {
      const left = x >= 2 ? raw[to + x - 2] : 0
      const above = y > 0 ? raw[to + x - stride] : 0
      const corner = x >= 2 && y > 0 ? raw[to + x - stride - 2] : 0
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
