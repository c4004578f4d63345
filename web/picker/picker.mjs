/** The picker: an image whose segments or objects are chosen, buttons, and a line that says what is chosen. */

import { Changes } from './changes.mjs'
import { Controls } from './controls.mjs'
import { make } from './dom.mjs'
import { FileError, loadImage } from './files.mjs'
import { listenToGestures } from './gestures.mjs'
import { ObjectTool } from './object_tool.mjs'
import { SegmentTool } from './segment_tool.mjs'
import { textsFor } from './texts.mjs'
import { View } from './view.mjs'

/** @import { Tool } from './gestures.mjs' */
/** @import { Hierarchy } from './hierarchy.mjs' */
/** @import { Choice, Host, Mode, NodeView, Shown } from './host.mjs' */
/** @import { LabelMap } from './label_map.mjs' */
/** @import { LeftObjects } from './object_tool.mjs' */

const VERSION = 4 // of ../PROTOCOL.md, as in nodes/picker/view.py

/**
 * What a picker leaves to the one of the node that ComfyUI makes in the place of its own.
 * @typedef {object} Left
 * @property {NodeView[]} views
 * @property {number} page
 * @property {Choice} choice
 * @property {Changes} changes
 * @property {{files: string, hierarchy: Hierarchy, image: ImageBitmap} & LeftObjects | null} loaded
 */

export class Picker {
  /** @param {Host} host */
  constructor(host) {
    this.host = host
    this.texts = textsFor(host.locale)
    this.view = new View(this.texts.label)
    /** @type {NodeView[]} */
    this.views = []
    this.page = 0 // of the views
    this.changes = new Changes(host, () => this.repaint())
    this.shown = '' // which files, once they are there
    this.loaded = '' // which are there
    this.isNew = false // the image is the first of a run
    this.isForgetful = false // what the node gave last could not be had
    this.element = make('', 'div', { class: 'diffseg-picker', 'data-state': 'empty' })
    this.controls = new Controls(this)
    this.segments = new SegmentTool(this)
    this.objects = new ObjectTool(this)
    const { tools, bar, note, hint } = this.controls
    const { slider } = this.segments
    this.view.frame.append(hint)
    this.controls.switch.append(this.objects.against)
    tools.append(slider.element, this.objects.words.element, this.objects.list.element)
    this.element.append(this.view.frame, tools, bar, note)
    // The image's own keys, and undo among them, work after what is done with a mouse beside it.
    const back = () => this.view.canvas.focus({ preventScroll: true })
    slider.input.addEventListener('pointerup', back)
    for (const row of [this.controls.switch, bar]) {
      row.addEventListener('click', ({ detail }) => detail && back(), true) // before a button says something
    }
    this.element.addEventListener('pointerenter', () => this.look())
    hint.addEventListener('click', () => this.look())
    this.view.canvas.addEventListener('focus', () => this.look())
    listenToGestures(this)
    this.controls.hintAt(this.texts.first)
  }

  /** What the gestures are for. @returns {Tool & (SegmentTool | ObjectTool)} */
  get tool() {
    return this.host.read().mode === 'object' && this.view.hierarchy?.hasTree ? this.objects : this.segments
  }

  /** What is shown of what the node gave, or undefined before the first run. */
  get nodeView() {
    return this.views[this.page]
  }

  /** The files of the image that is shown, or undefined while another one is on its way. @returns {Shown | undefined} */
  get files() {
    return this.loaded === this.shown ? this.nodeView?.pictures[this.host.imageIndex()] : undefined
  }

  // What the node gives.

  /**
   * Take what the node gives after a run.
   * @param {NodeView[]} views
   * @param {boolean} [isNew] whether the run has just been: then words become clicks, and the
   *   node may take the image's shape
   */
  receive(views, isNew = false) {
    this.views = views
    this.isForgetful = false
    this.isNew = isNew
    const page = Math.min(this.page, views.length - 1)
    if (isNew && views[page]?.version === VERSION) this.#takeWords(views[page])
    this.turn(page)
  }

  /** @param {NodeView} view */
  #takeWords({ pictures }) {
    const at = `${this.host.imageIndex()}`
    const isObjects = this.host.read().mode === 'object' && !this.host.isConnected()
    this.objects.words.known.clear()
    for (const [index, files] of Object.entries(pictures)) {
      if (files.segments) this.objects.words.take(files, isObjects && index === at)
    }
  }

  /** @param {number} page */
  turn(page) {
    this.page = page
    this.controls.showPage(page, this.views.length)
    this.refresh()
  }

  /** Show what the node gave in its last run, if it has given nothing newer meanwhile. */
  async recall() {
    this.refresh()
    const before = this.views
    this.isForgetful = false
    try {
      const views = await this.host.lastViews()
      if (views && this.views === before) this.receive(views)
    } catch {
      if (this.nodeView) return
      this.isForgetful = true
      this.withdraw(this.texts.unreachable)
    }
  }

  /** Someone looks at it: what could not be had may be there now. */
  look() {
    if (this.isForgetful) this.recall()
    else this.refresh()
  }

  /** Show what the widgets say now. */
  refresh() {
    this.#showMode()
    if (!this.nodeView) return
    if (this.nodeView.version !== VERSION) return this.withdraw(this.texts.otherVersion)
    const index = this.host.imageIndex()
    const files = this.nodeView.pictures[index]
    if (!files) return this.withdraw(this.texts.otherImage(index))
    if (files.too_many) return this.withdraw(this.texts.tooMany(files.too_many))
    const wanted = `${files.segments.filename} ${files.picture.filename}`
    if (wanted !== this.shown) {
      this.shown = wanted
      this.objects.forget()
      this.#load(files, wanted)
    } else if (this.loaded === wanted) {
      this.#fit()
    }
    this.repaint()
  }

  /** @param {Shown} files @param {string} wanted */
  async #load(files, wanted) {
    if (this.element.dataset.state === 'empty') this.controls.hintAt(this.texts.loading)
    try {
      const { hierarchy, image } = await loadImage(this.host, files)
      if (wanted === this.shown) this.#show(hierarchy, image) // else another run was faster
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      if (wanted === this.shown) this.withdraw(this.texts[error.reason])
    }
  }

  /** @param {Hierarchy} hierarchy @param {ImageBitmap} image */
  #show(hierarchy, image) {
    this.loaded = this.shown
    this.element.dataset.state = 'ready'
    this.view.show(hierarchy, image)
    this.repaint()
    this.#fit()
  }

  /** After a run, the node may take the shape of the image. */
  #fit() {
    if (this.isNew && this.view.hierarchy) this.host.fit(this.view.hierarchy)
    this.isNew = false
  }

  /**
   * Show no image, but say why.
   * @param {string} why
   */
  withdraw(why) {
    this.shown = ''
    this.element.dataset.state = 'empty'
    this.controls.hintAt(why)
  }

  // The life of the node.

  /** @returns {Left} what another picker of the same node goes on with */
  leave() {
    const { views, page, changes, loaded: files, view } = this
    const { hierarchy, image } = view
    const isThere = hierarchy && image && files === this.shown
    const loaded = isThere ? { files, hierarchy, image, ...this.objects.leave() } : null
    return { views, page, choice: this.host.read(), changes, loaded }
  }

  /** @param {Left} left by a picker of the same node */
  takeOver({ views, page, choice, changes, loaded }) {
    Object.assign(this, { views, page })
    this.changes.takeOver(changes, choice)
    if (loaded) {
      this.shown = loaded.files
      this.objects.takeOver(loaded)
      this.#show(loaded.hierarchy, loaded.image)
    }
    this.turn(page)
  }

  /** Other nodes are connected to this one. */
  reconnect() {
    this.objects.words.known.clear() // it is of what was connected before
    this.refresh()
  }

  /** @param {Mode} mode to choose in */
  switchTo(mode) {
    const { hierarchy } = this.view
    if (!hierarchy || this.host.isConnected()) return
    if (mode === 'object' && !hierarchy.hasTree) this.controls.note.textContent = this.texts.mode.needsTree
    else this.changes.switchTo(mode)
  }

  // What is shown.

  /** Show which mode it is, also before there is an image. */
  #showMode() {
    const { mode: wanted, invert } = this.host.read()
    const { hierarchy, canvas } = this.view
    const mode = hierarchy && !hierarchy.hasTree ? 'segments' : wanted
    this.element.dataset.mode = mode
    canvas.setAttribute('aria-label', mode === 'object' ? this.texts.objects.label : this.texts.label)
    this.controls.show(mode, invert)
  }

  repaint() {
    const { hierarchy } = this.view
    this.#showMode()
    if (this.element.dataset.state !== 'ready' || !hierarchy) return
    this.segments.slider.element.hidden = this.tool !== this.segments || !hierarchy.hasTree
    this.tool.show(this.#cut(hierarchy))
    this.report()
  }

  /**
   * The segments that the widgets ask for.
   * @param {Hierarchy} hierarchy
   * @returns {LabelMap}
   */
  #cut(hierarchy) {
    const { count, hasTree } = hierarchy
    const incoming = this.nodeView?.pictures[this.host.imageIndex()]?.given ?? count
    const number = hasTree ? Math.min(this.host.read().granularity || incoming, count) : count
    const { map } = this.view
    return map?.count === number ? map : hierarchy.cut(number)
  }

  /** Say what is chosen, and what the pointer is on. */
  report() {
    const { map } = this.view
    if (this.element.dataset.state !== 'ready' || !map) return
    this.controls.buttons.undo.disabled = !this.changes.past.length
    const { parts, notes } = this.tool.said(map)
    this.controls.say(parts, notes)
  }
}
