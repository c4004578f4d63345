/** The picker where objects are chosen: the list of them, what gestures do, and what is shown and said. */

import { FileError, loaded } from './files.mjs'
import { NO_SEGMENT } from './label_map.mjs'
import { listenToObjectKeys, listenToObjectPointer } from './object_gestures.mjs'
import { ObjectList } from './object_list.mjs'
import { ObjectMode } from './object_mode.mjs'
import { inverted } from './overlays.mjs'
import { ObjectFinder } from './prompting/object_finder.mjs'
import { isWords } from './prompting/prompts.mjs'
import { readTables } from './tables.mjs'
import { WordField } from './word_field.mjs'

/** @typedef {import('./hierarchy.mjs').Hierarchy} Hierarchy */
/** @typedef {import('./label_map.mjs').LabelMap} LabelMap */
/** @typedef {import('./label_map.mjs').Point} Point */
/** @typedef {import('./overlays.mjs').PaintedObject} PaintedObject */
/** @typedef {import('./host.mjs').Host} Host */
/** @typedef {import('./host.mjs').Shown} Shown */
/** @typedef {import('./prompting/prompts.mjs').Prompt} Prompt */
/** @typedef {import('./texts.mjs').Texts} Texts */
/** @typedef {import('./view.mjs').View} View */

/**
 * What the picker does for it.
 * @typedef {object} Owner
 * @property {(prompts: string) => void} write other prompts, as a change of its own
 * @property {(prompts: string) => void} settle the same, as part of the change before
 * @property {() => void} repaint
 * @property {(reason: import('./files.mjs').Reason) => void} lose the files are not there
 */

/**
 * What another picker of the same image goes on with: the objects, and the file that they were found with.
 * @typedef {{objects: ObjectMode, file: string}} LeftObjects
 */

export class ObjectControls {
  /**
   * @param {Host} host
   * @param {Texts} texts
   * @param {View} view
   * @param {Owner} owner
   */
  constructor(host, texts, view, owner) {
    this.host = host
    this.texts = texts
    this.view = view
    this.owner = owner
    this.objects = new ObjectMode()
    this.loaded = '' // which file
    this.painted = '' // which state
    /** @type {{at: Point, positive: boolean} | null} */
    this.pointer = null
    /** @type {Prompt | null} */
    this.drafted = null
    this.isText = true // what the widget has is a list of prompts
    this.against = document.createElement('button')
    this.against.type = 'button'
    this.against.dataset.action = 'against'
    this.against.textContent = texts.mode.against
    this.against.title = texts.mode.againstTip
    this.against.setAttribute('aria-label', texts.mode.againstTip)
    this.against.addEventListener('click', () => {
      this.objects.subtracting = !this.objects.subtracting
      owner.repaint()
    })
    this.list = new ObjectList(texts, {
      select: (name) => {
        this.objects.current = name
        owner.repaint()
      },
      add: () => {
        this.objects.add()
        owner.repaint()
      },
      rename: (name, to) => owner.write(this.objects.renamed(name, to)),
      remove: (name) => owner.write(this.objects.without(name))
    })
    this.words = new WordField(host, texts, this.objects, {
      write: owner.write,
      settle: owner.settle,
      repaint: owner.repaint,
      leave: () => view.canvas.focus({ preventScroll: true })
    })
    listenToObjectPointer(view, this)
    listenToObjectKeys(view, this)
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

  /**
   * Show the objects.
   * @param {LabelMap} map
   * @param {Prompt[]} given by other nodes
   * @param {Shown | undefined} files of the image that is shown
   */
  show(map, given, files) {
    const { objects, drafted, pointer, view } = this
    const { points, invert } = this.host.read()
    const isFixed = this.host.isConnected()
    this.isText = objects.read(points, given)
    this.list.show(objects.listed, objects.current, isFixed)
    this.words.show(isFixed, files)
    this.against.setAttribute('aria-pressed', `${objects.subtracting}`)
    if (!objects.finder) {
      if (files) this.#load(files, map.hierarchy)
      return view.showObjects(map, { painted: [], marks: objects.marks, preview: null })
    }
    const leaf = pointer ? map.hierarchy.leafAt(pointer.at) : NO_SEGMENT
    const { names, current, own } = objects
    const state = JSON.stringify([invert, names, current, given, own, drafted, leaf, pointer?.positive, isFixed])
    if (this.painted === state && view.objects) return
    this.painted = state
    const shown = { marks: drafted ? [...objects.marks, drafted] : objects.marks, preview: null }
    if (invert) return view.showObjects(map, { ...shown, painted: [inverted(objects.painted, map.hierarchy)] })
    let preview = null
    if (drafted) preview = objects.previewOf(drafted)
    else if (pointer && !isFixed) preview = objects.preview(pointer.at, pointer.positive)
    view.showObjects(map, { ...shown, painted: objects.painted, preview })
  }

  /**
   * What there is to say, and what the run leaves unheeded.
   * @param {Hierarchy} hierarchy
   * @param {Shown | undefined} files
   */
  said(hierarchy, files) {
    const { objects, texts } = this
    const { prompts, names } = objects
    const parts = []
    if (!objects.finder) parts.push(files?.objects ? texts.loading : texts.mode.notYet)
    else if (!prompts.size && !this.words.note) parts.push(texts.objects.none, texts.objects.help)
    objects.painted.forEach((object, index) => {
      const count = prompts.get(names[index])?.filter((prompt) => !isWords(prompt)).length
      if (count) parts.push(texts.objects.holds(names[index], share(object, hierarchy).toFixed(1), count))
    })
    parts.push(...this.words.said)
    if (this.host.isConnected()) parts.push(texts.fixed)
    else if (!this.isText) parts.push(texts.objects.unreadable)
    const outside = objects.outside(hierarchy)
    return { parts, notes: [...this.words.notes, ...(outside ? [texts.objects.outside(outside)] : [])] }
  }

  // Actions: see object_gestures.mjs.

  get subtracting() {
    return this.objects.subtracting
  }

  /** @param {Prompt} prompt */
  add(prompt) {
    this.owner.write(this.objects.withPrompt(prompt))
  }

  /** @param {Prompt | null} prompt */
  draft(prompt) {
    const isSame = prompt === null && this.drafted === null
    this.drafted = prompt
    if (!isSame) this.owner.repaint()
  }

  /**
   * @param {Point | null} at
   * @param {boolean} positive
   */
  point(at, positive) {
    this.view.pointed = at
    this.pointer = at && { at, positive }
  }

  /**
   * @param {Point | null} at
   * @param {boolean} positive
   */
  preview(at, positive) {
    const before = this.pointer
    this.point(at, positive)
    if (before || at) this.owner.repaint()
  }

  /** @param {number} by */
  resize(by) {
    const prompts = this.objects.resized(by)
    if (prompts !== null) this.owner.write(prompts)
  }

  takeBack() {
    this.owner.write(this.objects.withoutLast())
  }

  clear() {
    this.owner.write(this.objects.without(this.objects.current))
  }

  /**
   * Fetch what it takes to find objects, unless it is on its way.
   * @param {Shown} files
   * @param {Hierarchy} hierarchy
   */
  async #load({ objects: file }, hierarchy) {
    if (!file || this.loaded === file.filename) return
    this.loaded = file.filename
    try {
      const finder = await loaded(this.host, file, async (read) => new ObjectFinder(hierarchy, await readTables(read)))
      if (this.loaded !== file.filename || hierarchy !== this.view.hierarchy) return // another image came meanwhile
      this.objects.use(finder)
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      if (this.loaded === file.filename) this.owner.lose(error.reason)
      return
    }
    this.painted = ''
    this.owner.repaint()
  }
}

/**
 * An object's share of the image, in percent; leaves that are divided count by their cells.
 * @param {PaintedObject} object
 * @param {Hierarchy} hierarchy
 */
function share({ label, divided }, hierarchy) {
  const parts = new Map(divided.map(({ leaf, own }) => [leaf, own.reduce((sum, is) => sum + is, 0) / own.length]))
  const held = hierarchy.areas.map((area, leaf) => area * (parts.get(leaf) ?? label[leaf]))
  return (100 * held.reduce((sum, area) => sum + area, 0)) / (hierarchy.width * hierarchy.height)
}
