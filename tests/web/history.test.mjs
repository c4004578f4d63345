import assert from 'node:assert/strict'
import { test } from 'node:test'

import { History, historyKey } from '../../web/picker/history.mjs'

/** A history with a change to each of these states. @param {string[]} states */
function after(...states) {
  const history = new History((one, other) => one === other)
  states.slice(1).forEach((state, index) => {
    history.begin(states[index])
    history.end(state)
  })
  return history
}

test('changes are taken back one after the other, and made again', () => {
  const history = after('a', 'b', 'c')
  assert.equal(history.undo('c'), 'b')
  assert.equal(history.undo('b'), 'a')
  assert.equal(history.undo('a'), null)
  assert.equal(history.redo('a'), 'b')
  assert.equal(history.redo('b'), 'c')
  assert.equal(history.redo('c'), null)
})

test('after another change nothing is made again', () => {
  const history = after('a', 'b')
  history.undo('b')
  history.begin('a')
  assert.ok(history.end('d'))
  assert.equal(history.redo('d'), null)
  assert.equal(history.undo('d'), 'a')
})

test('what changes nothing is no step', () => {
  const history = after('a', 'b')
  history.begin('b')
  assert.equal(history.end('b'), false)
  assert.equal(history.undo('b'), 'a')
})

test('a change that was taken back elsewhere is not taken back twice', () => {
  assert.equal(after('a', 'b', 'c').undo('b'), 'a')
})

test('another history goes on from the state that is there now', () => {
  const cases = [
    { now: 'c', undo: 'b', redo: null },
    { now: 'b', undo: 'a', redo: 'c' },
    { now: 'a', undo: null, redo: 'b' },
    { now: 'x', undo: null, redo: null }
  ]
  for (const { now, undo, redo } of cases) {
    for (const [step, expected] of Object.entries({ undo, redo })) {
      const next = after()
      next.takeOver(after('a', 'b', 'c'), 'c', now)
      assert.equal(next[step](now), expected, `${step} at ${now}`)
    }
  }
  const undone = after('a', 'b', 'c')
  undone.undo('c')
  const next = after()
  next.takeOver(undone, 'b', 'c')
  assert.equal(next.undo('c'), 'b')
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
