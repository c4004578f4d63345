/** Choosing objects: what gestures do, what is shown, and what there is to say. */

import { makeButton } from './dom.mjs'
import { FileError, loaded, readTables } from './files.mjs'
import { ARROWS } from './gestures.mjs'
import { NO_SEGMENT } from './label_map.mjs'
import { ObjectList } from './object_list.mjs'
import { Objects } from './objects.mjs'
import { inverted, objectsOverlay, shareOf } from './overlays.mjs'
import { ObjectFinder } from './prompting/object_finder.mjs'
import { isWords } from './prompting/prompts.mjs'
import { nextSegment } from './selection.mjs'
import { WordField } from './word_field.mjs'

/** @import { Hierarchy } from './hierarchy.mjs' */
/** @import { Shown } from './host.mjs' */
/** @import { LabelMap, Point } from './label_map.mjs' */
/** @import { Overlay } from './painter.mjs' */
/** @import { Picker } from './picker.mjs' */
/** @import { Prompt } from './prompting/prompts.mjs' */

const DRAG = 4 // pixels of the screen from which on a press is no click
/** @type {Record<string, number>} */
const SIZES = { '+': 1, '=': 1, '-': -1, _: -1 }

/**
 * What another picker of the same image goes on with: the objects, and the file that they were found with.
 * @typedef {{objects: Objects, file: string}} LeftObjects
 */

/**
 * A press that is not released yet.
 * @typedef {{x: number, y: number, from: Point, label: number, stroke: [number, number][] | null, moved: boolean}} Press
 */

/** A click adds a prompt, dragging draws a box, with Shift a stroke; with Alt or the right button against. */
export class ObjectTool {
  /** @param {Picker} picker */
  constructor(picker) {
    const { texts } = picker
    this.picker = picker
    this.buttons = [0, 2]
    this.objects = new Objects()
    this.loaded = '' // which file
    this.painted = '' // which state
    /** @type {Overlay | null} */
    this.overlay = null // of that state
    /** @type {Press | null} */
    this.pressed = null
    /** @type {{at: Point, label: number} | null} */
    this.pointer = null
    /** @type {Prompt | null} */
    this.drafted = null
    this.isText = true // what the widget has is a list of prompts
    this.against = makeButton(texts.mode.against, texts.mode.againstTip, () => this.#subtract(), 'against')
    this.against.setAttribute('aria-label', texts.mode.againstTip)
    this.list = new ObjectList(this)
    this.words = new WordField(this)
  }

  /** The image is another one. */
  forget() {
    this.objects.use(null)
    this.loaded = this.painted = ''
  }

  /** @returns {LeftObjects} */
  leave() {
    return { objects: this.objects, file: this.objects.finder ? this.loaded : '' }
  }

  /** @param {LeftObjects} left by a picker of the same image */
  takeOver({ objects, file }) {
    Object.assign(this.objects, objects)
    this.loaded = file
  }

  // Gestures.

  /** @param {Point} at @param {PointerEvent} event */
  press(at, event) {
    this.picker.view.canvas.focus({ preventScroll: true }) // its keys are next, after the right button too
    const stroke = event.shiftKey ? [/** @type {[number, number]} */ ([at.x, at.y])] : null
    this.pressed = { x: event.clientX, y: event.clientY, from: at, label: this.#labelOf(event), stroke, moved: false }
  }

  /** @param {PointerEvent[]} events */
  drag(events) {
    const { pressed } = this
    const { view } = this.picker
    const last = events[events.length - 1]
    if (!pressed) return
    pressed.moved ||= Math.hypot(last.clientX - pressed.x, last.clientY - pressed.y) > DRAG
    if (pressed.stroke) for (const event of events) extend(pressed.stroke, view.nearestPixelAt(event))
    if (pressed.moved) this.#draft(drawn(pressed, view.nearestPixelAt(last)))
  }

  /** @param {PointerEvent} event */
  release(event) {
    const { pressed, picker } = this
    if (!pressed) return
    const { moved, from, label, stroke } = pressed
    const prompt = moved || stroke ? drawn(pressed, picker.view.nearestPixelAt(event)) : { ...from, label }
    this.pressed = null
    this.#point(event.pointerType === 'mouse' ? picker.view.pixelAt(event) : null, this.#labelOf(event))
    this.#draft(null)
    if (prompt) this.prompt(this.objects.withPrompt(prompt))
  }

  cancel() {
    this.pressed = null
    this.#draft(null)
    this.hover(null)
  }

  /** @param {Point | null} at @param {PointerEvent} [event] */
  hover(at, event) {
    const before = this.pointer
    this.#point(at, this.#labelOf(event))
    if (before || at) this.picker.repaint()
  }

  /** @param {number} by steps of the last click's size */
  resize(by) {
    const prompts = this.objects.resized(by)
    if (prompts !== null) this.prompt(prompts)
  }

  /**
   * Arrow keys go from segment to segment, Enter and Space are a click there.
   * @param {KeyboardEvent} event
   */
  key(event) {
    const { objects, picker } = this
    const { pointed } = picker.view
    const map = /** @type {LabelMap} */ (picker.view.map)
    if (event.ctrlKey || event.metaKey) return false
    if (event.key in ARROWS) {
      this.hover(map.poles[nextSegment(map, pointed ? map.at(pointed) : NO_SEGMENT, ARROWS[event.key])] ?? null)
    } else if (event.key === 'Enter' || event.key === ' ') {
      if (pointed) this.prompt(objects.withPrompt({ ...map.hierarchy.sampled(pointed), label: this.#labelOf(event) }))
    } else if (event.key in SIZES) {
      this.resize(SIZES[event.key])
    } else if (event.key === 'Backspace') {
      this.prompt(objects.withoutLast())
    } else if (event.key === 'Escape') {
      this.prompt(objects.without(objects.current))
    } else {
      return false
    }
    return true
  }

  /** @param {LabelMap} map */
  show(map) {
    const { objects, drafted, pointer, picker } = this
    const { host, view, files } = picker
    const { points, invert } = host.read()
    const fromNodes = picker.nodeView?.more_prompts ?? []
    const isFixed = host.isConnected()
    this.isText = objects.read(points, fromNodes)
    this.list.show(objects.listed, objects.current, isFixed)
    this.words.show(isFixed, files)
    this.against.setAttribute('aria-pressed', `${objects.subtracting}`)
    if (!objects.finder) {
      if (files) this.#load(files, map.hierarchy)
      return view.paint(map, objectsOverlay([], null, map.hierarchy.count), objects.marks)
    }
    const leaf = pointer ? map.hierarchy.leafAt(pointer.at) : NO_SEGMENT
    const { names, current, fromPicker } = objects
    const state = JSON.stringify([invert, names, current, fromNodes, fromPicker, drafted, leaf, pointer?.label, isFixed])
    if (this.painted === state && view.map === map && view.overlay === this.overlay) return
    this.painted = state
    const marks = drafted ? [...objects.marks, drafted] : objects.marks
    const painted = invert ? [inverted(objects.painted, map.hierarchy)] : objects.painted
    let preview = null
    if (drafted && !invert) preview = objects.previewOf(drafted)
    else if (pointer && !invert && !isFixed) preview = objects.preview(pointer.at, pointer.label)
    this.overlay = objectsOverlay(painted, preview, map.hierarchy.count)
    view.paint(map, this.overlay, marks)
  }

  /**
   * What there is to say, and what the run leaves unheeded.
   * @param {LabelMap} map
   */
  said({ hierarchy }) {
    const { objects, picker } = this
    const { host, texts } = picker
    const { prompts, names } = objects
    const parts = []
    if (!objects.finder) parts.push(picker.files?.objects ? texts.loading : texts.mode.notYet)
    else if (!prompts.size && !this.words.note) parts.push(texts.objects.none, texts.objects.help)
    objects.painted.forEach((object, index) => {
      const count = prompts.get(names[index])?.filter((prompt) => !isWords(prompt)).length
      if (count) parts.push(texts.objects.holds(names[index], shareOf(object, hierarchy).toFixed(1), count))
    })
    parts.push(...this.words.said)
    if (host.isConnected()) parts.push(texts.fixed)
    else if (!this.isText) parts.push(texts.objects.unreadable)
    const outside = objects.outside(hierarchy)
    return { parts, notes: [this.words.note, outside ? texts.objects.outside(outside) : ''].filter(Boolean) }
  }

  /** @param {string} points prompts from now on */
  prompt(points) {
    this.words.note = ''
    this.picker.changes.make({ points })
  }

  /** @param {string} name of the object that prompts go to from now on */
  select(name) {
    this.objects.current = name
    this.picker.repaint()
  }

  /** Begin another object. */
  add() {
    this.objects.add()
    this.picker.repaint()
  }

  #subtract() {
    this.objects.subtracting = !this.objects.subtracting
    this.picker.repaint()
  }

  /** @param {Prompt | null} prompt that is being drawn */
  #draft(prompt) {
    const isSame = prompt === null && this.drafted === null
    this.drafted = prompt
    if (!isSame) this.picker.repaint()
  }

  /** @param {Point | null} at @param {number} label */
  #point(at, label) {
    this.picker.view.pointed = at
    this.pointer = at && { at, label }
  }

  /**
   * Whether a gesture is for the object, 1, or against it, 0.
   * @param {PointerEvent | KeyboardEvent} [event] none for a plain one
   */
  #labelOf(event) {
    const isRight = event instanceof PointerEvent && (event.button === 2 || (event.buttons & 2) !== 0)
    return Boolean(event?.altKey || isRight) === this.objects.subtracting ? 1 : 0
  }

  /**
   * Fetch what it takes to find objects, unless it is on its way.
   * @param {Shown} files
   * @param {Hierarchy} hierarchy
   */
  async #load({ objects: file }, hierarchy) {
    const { host, view } = this.picker
    if (!file || this.loaded === file.filename) return
    this.loaded = file.filename
    try {
      const finder = await loaded(host, file, async (read) => new ObjectFinder(hierarchy, await readTables(read)))
      if (this.loaded !== file.filename || hierarchy !== view.hierarchy) return // another image came meanwhile
      this.objects.use(finder)
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      if (this.loaded === file.filename) this.picker.withdraw(this.picker.texts[error.reason])
      return
    }
    this.painted = ''
    this.picker.repaint()
  }
}

/**
 * The box or the stroke up to a pixel; nothing where the box has no extent.
 * @param {Press} press
 * @param {Point} to
 * @returns {Prompt | null}
 */
function drawn({ from, label, stroke }, to) {
  if (stroke) return { stroke: [...stroke], label }
  const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)]
  const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)]
  return left < right && top < bottom ? { box: [left, top, right + 1, bottom + 1], label } : null
}

/**
 * One more pixel for a stroke, unless it is there already.
 * @param {[number, number][]} stroke
 * @param {Point} at
 */
function extend(stroke, { x, y }) {
  const last = stroke[stroke.length - 1]
  if (last[0] !== x || last[1] !== y) stroke.push([x, y])
}
