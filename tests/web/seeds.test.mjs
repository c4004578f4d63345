/** What prompts fix of an object, as tests/core/objects/test_seeds.py has it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Seeds } from '../../web/picker/prompting/seeds.mjs'

test("a box takes no other prompt's word, and its own is given up alone", () => {
  const seeds = new Seeds(5)
  seeds.add([0], true, true)
  seeds.add([1], false, true)
  seeds.add([2], true)
  seeds.bound([1, 2, 3, 4])
  assert.deepEqual(seeds.leaves, [[0, 2], [1, 3, 4]])
  seeds.add([4], false)
  seeds.release(new Uint8Array(5).fill(1))
  assert.deepEqual(seeds.leaves, [[0, 2], [1, 4]])
  seeds.add([1], true, true)
  assert.deepEqual([0, 1, 2, 3, 4].map((leaf) => seeds.isDivided(leaf)), [false, true, false, false, false])
})
