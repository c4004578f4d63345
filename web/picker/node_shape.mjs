/** How large the node is: at first, and once its image is known. */

/** @typedef {{width: number, height: number}} Size in units of the graph */

/** Before the first run. Saved with these very numbers, a size is nobody's wish. @type {[number, number]} */
export const FRESH = [480, 840]

export const LEAST_FIELD = 250 // height of the image's field that a node can be made smaller to

const TITLE = 30 // height above the node
const SHARE = 0.62 // of the node and its title that is the image's field
const WIDTHS = { least: 360, most: 720 }
const MOST_HEIGHT = 1080

/**
 * The size of a node whose field has the image's shape, as far as the limits and the share let it; the image always
 * touches the field on one axis.
 * @param {Size} image in pixels
 * @param {Size} around what the node has beside and above and below the field
 * @returns {[number, number]}
 */
export function nodeSize(image, around) {
  const aspect = image.width / image.height
  // The wider the node, the lower the field that has the share: a few rounds come to rest.
  let width = WIDTHS.most
  let height = 0
  for (let round = 0; round < 20; round++) {
    const beside = (width - around.width) / width
    height = (SHARE * (around.height + TITLE)) / (beside - SHARE)
    width = Math.min(Math.max(height * aspect + around.width, WIDTHS.least), WIDTHS.most)
  }
  height = Math.max(height, Math.min((width - around.width) / aspect, MOST_HEIGHT - around.height))
  return [Math.round(width), Math.ceil(height + around.height)]
}
