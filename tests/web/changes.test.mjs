import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Changes, historyKey } from '../../web/picker/changes.mjs'

/** Changes of a node whose points were each of these, one after the other. @param {string[]} states */
function after(...states) {
  let choice = { points: states[0] ?? '', invert: false, granularity: 0, mode: 'segments' }
  let commits = 0
  const changes = new Changes(
    {
      read: () => choice,
      write: (next) => (choice = next),
      commit: () => commits++,
      isConnected: () => false,
      leavesUndo: () => true
    },
    () => {}
  )
  for (const points of states.slice(1)) changes.make({ points })
  return {
    changes,
    commits: () => commits,
    /** Points after a step. @param {'undo' | 'redo'} step */
    step: (step) => (changes.step(step), choice.points),
    /** Change the points elsewhere. @param {string} points */
    set: (points) => (choice = { ...choice, points })
  }
}

test('changes are undone one after the other, and made again', () => {
  const { step } = after('a', 'b', 'c')
  const steps = ['undo', 'undo', 'undo', 'redo', 'redo', 'redo'].map((name) => step(name))
  assert.deepEqual(steps, ['b', 'a', 'a', 'b', 'c', 'c'])
})

test('after another change nothing is made again', () => {
  const { changes, step } = after('a', 'b')
  step('undo')
  changes.make({ points: 'd' })
  assert.equal(step('redo'), 'd')
  assert.equal(step('undo'), 'a')
})

test('what changes nothing is no step, and what is cancelled is as if it had not been', () => {
  const { changes, commits, step } = after('a', 'b')
  changes.make({ points: 'b' })
  assert.equal(commits(), 1)
  changes.begin()
  changes.put({ points: 'c' })
  changes.cancel()
  changes.end()
  assert.equal(commits(), 1)
  assert.equal(step('undo'), 'a')
})

test('a change that was undone elsewhere is not undone twice', () => {
  const { set, step } = after('a', 'b', 'c')
  set('b')
  assert.equal(step('undo'), 'a')
})

test('another node goes on from the state that is there now', () => {
  const cases = [
    { now: 'c', undo: 'b', redo: 'c' },
    { now: 'b', undo: 'a', redo: 'c' },
    { now: 'a', undo: 'a', redo: 'b' },
    { now: 'x', undo: 'x', redo: 'x' }
  ]
  const last = { points: 'c', invert: false, granularity: 0, mode: 'segments' }
  for (const { now, ...expected } of cases) {
    for (const [step, points] of Object.entries(expected)) {
      const next = after(now)
      next.changes.takeOver(after('a', 'b', 'c').changes, last)
      assert.equal(next.step(step), points, `${step} at ${now}`)
    }
  }
  const undone = after('a', 'b', 'c')
  undone.step('undo')
  const next = after('c')
  next.changes.takeOver(undone.changes, { ...last, points: 'b' })
  assert.equal(next.step('undo'), 'b')
})

test('keys for one change back and forth', () => {
  const none = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false }
  const cases = [
    [{ key: 'z', ctrlKey: true }, 'undo'],
    [{ key: 'Z', metaKey: true }, 'undo'],
    [{ key: 'Z', ctrlKey: true, shiftKey: true }, 'redo'],
    [{ key: 'y', ctrlKey: true }, 'redo'],
    [{ key: 'y', ctrlKey: true, shiftKey: true }, null],
    [{ key: 'z' }, null],
    [{ key: 'z', ctrlKey: true, altKey: true }, null]
  ]
  for (const [event, expected] of cases) assert.equal(historyKey({ ...none, ...event }), expected, JSON.stringify(event))
})
