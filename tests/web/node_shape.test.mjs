import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodeSize } from '../../web/picker/node_shape.mjs'

test('the field of the image is 60 % of the node and its title, for every image', () => {
  for (const around of [{ width: 20, height: 252 }, { width: 24, height: 268 }, { width: 24, height: 320 }]) {
    for (let step = -30; step <= 30; step++) {
      const image = { width: 600, height: 600 * 1.1 ** step } // up to 17 times as high as wide, or as wide as high
      const [width, height] = nodeSize(image, around)
      const field = { width: width - around.width, height: height - around.height }
      const about = `${image.height} beside ${around.height}: ${width} × ${height}`
      assert.ok((field.width * field.height) / (width * (height + 30)) >= 0.6, about)
      assert.ok(width >= 360 && width <= 720 && height <= 1080, about)
    }
  }
})

test('the field has the shape of the image where the limits let it', () => {
  for (const [wide, high] of [[1, 1], [4, 5], [3, 4], [1, 2]]) {
    const [width, height] = nodeSize({ width: wide, height: high }, { width: 20, height: 252 })
    assert.ok(Math.abs((width - 20) / (height - 252) - wide / high) < 0.01, `${wide}:${high} gives ${width} × ${height}`)
  }
})
