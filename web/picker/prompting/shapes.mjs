/** Boxes and lines in cells (shapes.py of the core). */

/** @typedef {[number, number, number, number]} Box left, top and, exclusive, right and bottom */

/**
 * Intersection over union.
 * @param {Box} one
 * @param {Box} other
 */
export function boxIou(one, other) {
  const width = Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0]))
  const height = Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]))
  const shared = width * height
  return shared / (area(one) + area(other) - shared)
}

/** @param {Box} box */
function area([left, top, right, bottom]) {
  return (right - left) * (bottom - top)
}

/**
 * The cells of a straight line. Halves go to the higher cell.
 * @param {[number, number]} first
 * @param {[number, number]} second
 * @returns {[number, number][]}
 */
export function lineCells(first, second) {
  const along = [second[0] - first[0], second[1] - first[1]]
  const steps = Math.max(Math.abs(along[0]), Math.abs(along[1]), 1)
  return Array.from({ length: steps + 1 }, (_, step) => [
    first[0] + Math.floor((2 * step * along[0] + steps) / (2 * steps)),
    first[1] + Math.floor((2 * step * along[1] + steps) / (2 * steps))
  ])
}
