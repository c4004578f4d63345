/** The picker: an image whose segments can be clicked, buttons, and a line that says what is chosen. */

import { Controls } from './controls.mjs'
import { FileError, loadImage } from './files.mjs'
import { listenToKeys, listenToPointer } from './gestures.mjs'
import { History } from './history.mjs'
import { NO_SEGMENT } from './label_map.mjs'
import { ObjectControls } from './object_controls.mjs'
import { Pages } from './pages.mjs'
import { isPositive, isClick, parsePrompts } from './prompting/prompts.mjs'
import { chosenSegments, formatPoints, hasPoint, parsePoints, setPoint } from './selection.mjs'
import { Slider } from './slider.mjs'
import { textsFor } from './texts.mjs'
import { View } from './view.mjs'

/** @typedef {import('./files.mjs').Reason} Reason */
/** @typedef {import('./hierarchy.mjs').Hierarchy} Hierarchy */
/** @typedef {import('./host.mjs').Choice} Choice */
/** @typedef {import('./host.mjs').Host} Host */
/** @typedef {import('./host.mjs').Mode} Mode */
/** @typedef {import('./host.mjs').NodeView} NodeView */
/** @typedef {import('./host.mjs').Shown} Shown */
/** @typedef {import('./label_map.mjs').LabelMap} LabelMap */
/** @typedef {import('./label_map.mjs').Point} Point */
/** @typedef {import('./object_controls.mjs').LeftObjects} LeftObjects */
/** @typedef {import('./prompting/prompts.mjs').Prompt} Prompt */

const VERSION = 4 // of ../PROTOCOL.md, as in nodes/picker/view.py

/**
 * What a picker leaves to the one of the node that ComfyUI makes in the place of its own.
 * @typedef {object} Left
 * @property {NodeView[]} views
 * @property {number} page
 * @property {Choice} choice
 * @property {History<Choice> | null} history
 * @property {{points: string, prompts: string} | null} aside
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
    this.history = new History(isSameChoice)
    this.shown = '' // which files, once they are there
    this.loaded = '' // which are there
    this.isNew = false // the image is the first of a run
    this.isForgetful = false // what the node told last could not be had
    /** @type {{points: string, prompts: string} | null} */
    this.aside = null // the prompts that became these points by the switch
    this.element = document.createElement('div')
    this.element.className = 'diffseg-picker'
    this.element.dataset.state = 'empty'
    const actions = { all: () => this.all(), none: () => this.none(), invert: () => this.invert(), undo: () => this.undo() }
    this.controls = new Controls(this.texts, actions, (mode) => this.#switchTo(mode))
    this.view.frame.append(this.controls.hint)
    this.objects = new ObjectControls(host, this.texts, this.view, {
      write: (points) => this.#prompt(points),
      settle: (points) => this.#settle(points),
      repaint: () => this.#repaint(),
      lose: (reason) => this.#withdraw(this.texts[reason])
    })
    this.controls.switch.append(this.objects.against)
    this.slider = new Slider(this.texts, {
      choose: (number) => this.#granulate(number),
      commit: () => this.end(),
      step: (step, isKey) => this.step(step, isKey)
    })
    this.slider.element.hidden = true
    this.pages = new Pages(this.texts, (page) => this.#turn(page))
    const { tools, bar, note } = this.controls
    tools.prepend(this.pages.element)
    tools.append(this.slider.element, this.objects.words.element, this.objects.list.element)
    this.element.append(this.view.frame, tools, bar, note)
    // The image's own keys, and undo among them, work after what is done with a mouse beside it.
    const back = () => this.view.canvas.focus({ preventScroll: true })
    this.slider.input.addEventListener('pointerup', back)
    for (const row of [this.controls.switch, bar]) {
      row.addEventListener('click', ({ detail }) => detail && back(), true) // before a button says something
    }
    this.element.addEventListener('pointerenter', () => this.look())
    this.controls.hint.addEventListener('click', () => this.look())
    this.view.canvas.addEventListener('focus', () => this.look())
    listenToPointer(this.view, this)
    listenToKeys(this.view, this)
    this.controls.hintAt(this.texts.first)
  }

  /**
   * Take what the node tells after a run.
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
    this.#turn(page)
  }

  /** @param {NodeView} view */
  #takeWords({ pictures }) {
    const at = `${this.host.imageIndex()}`
    const isObjects = this.host.read().mode === 'object' && !this.host.isConnected()
    this.objects.words.forget()
    for (const [index, files] of Object.entries(pictures)) {
      if (files.segments) this.objects.words.take(files, isObjects && index === at)
    }
  }

  /** @param {number} page */
  #turn(page) {
    this.page = page
    this.pages.show(page, this.views.length)
    this.refresh()
  }

  /** What is shown of what the node told, or undefined before the first run. */
  get nodeView() {
    return this.views[this.page]
  }

  /** Show what the node told in its last run, if it has not told more meanwhile. */
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
      this.#withdraw(this.texts.unreachable)
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
    if (this.nodeView.version !== VERSION) return this.#withdraw(this.texts.otherVersion)
    const index = this.host.imageIndex()
    const files = this.nodeView.pictures[index]
    if (!files) return this.#withdraw(this.texts.otherImage(index))
    if (files.too_many) return this.#withdraw(this.texts.tooMany(files.too_many))
    const wanted = `${files.segments.filename} ${files.picture.filename}`
    if (wanted !== this.shown) {
      this.shown = wanted
      this.objects.forget()
      this.#load(files, wanted)
    } else if (this.loaded === wanted) {
      this.#fit()
    }
    this.#repaint()
  }

  /**
   * @param {Shown} files
   * @param {string} wanted
   */
  async #load(files, wanted) {
    if (this.element.dataset.state === 'empty') this.controls.hintAt(this.texts.loading)
    try {
      const { hierarchy, image } = await loadImage(this.host, files)
      if (wanted === this.shown) this.#show(hierarchy, image) // else another run was faster
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      if (wanted === this.shown) this.#withdraw(this.texts[error.reason])
    }
  }

  /**
   * @param {Hierarchy} hierarchy
   * @param {ImageBitmap} image
   */
  #show(hierarchy, image) {
    this.loaded = this.shown
    this.element.dataset.state = 'ready'
    this.view.show(hierarchy, image)
    this.#repaint()
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
  #withdraw(why) {
    this.shown = ''
    this.element.dataset.state = 'empty'
    this.controls.hintAt(why)
  }

  /** @returns {Left} what another picker of the same node goes on with */
  leave() {
    const { views, page, history, aside, objects, loaded, view } = this
    return {
      views,
      page,
      choice: this.host.read(),
      history,
      aside,
      loaded:
        view.hierarchy && view.image && loaded === this.shown
          ? { files: loaded, hierarchy: view.hierarchy, image: view.image, ...objects.leave() }
          : null
    }
  }

  /** @param {Left} left by a picker of the same node */
  takeOver({ views, page, choice, history, aside, loaded }) {
    Object.assign(this, { views, page, aside })
    if (history) this.history.takeOver(history, choice, this.host.read())
    if (loaded) {
      this.shown = loaded.files
      this.objects.takeOver(loaded)
      this.#show(loaded.hierarchy, loaded.image)
    }
    this.#turn(page)
  }

  /** No run is queued any more, whether the last came to this node or not. */
  endOfRuns() {
    this.objects.words.end()
  }

  /** Other nodes are connected to this one. */
  reconnect() {
    this.objects.words.forget()
    this.refresh()
  }

  /** The node is gone. */
  dispose() {
    this.view.dispose()
  }

  // Actions: see gestures.mjs.

  begin() {
    this.history.begin(this.host.read())
  }

  /** @param {Point} at */
  hasPoint(at) {
    const { map } = this.view
    return map !== null && hasPoint(map, this.#points(), map.at(at))
  }

  /**
   * @param {Point} at
   * @param {boolean} named
   */
  name(at, named) {
    const { map } = this.view
    if (!map || this.host.isConnected()) return
    const points = this.#points()
    const changed = setPoint(map, points, at, named)
    if (changed === points || (!named && changed.length === points.length)) return
    this.host.write({ ...this.host.read(), points: formatPoints(changed) })
    this.#repaint()
  }

  end() {
    if (!this.history.end(this.host.read())) return
    this.host.commit()
    this.#repaint()
  }

  cancel() {
    const before = this.history.cancel()
    if (before) this.host.write(before)
    this.#repaint()
  }

  /** @param {Point | null} at */
  hover(at) {
    this.view.hover(at)
    this.#report()
  }

  all() {
    this.#change({ points: '[]', invert: true })
  }

  none() {
    this.#change({ points: '[]', invert: false })
  }

  invert() {
    this.#change({ invert: !this.host.read().invert })
  }

  /** @param {number} by */
  changeGranularity(by) {
    const { hierarchy, map } = this.view
    if (!hierarchy?.hasTree || !map) return
    this.#granulate(Math.min(hierarchy.count, Math.max(1, map.count + by)))
    this.end()
  }

  /**
   * Show so many segments, as part of a change that `end` completes.
   * @param {number} number 0 for as many as are given
   */
  #granulate(number) {
    if (this.host.isGranularityConnected()) return
    this.begin()
    this.host.write({ ...this.host.read(), granularity: number })
    this.#repaint()
  }

  undo() {
    this.step('undo')
  }

  /**
   * Go one change back or forth. ComfyUI leaves it to the image that has the focus, but in one of its modes.
   * @param {'undo' | 'redo'} step
   * @param {boolean} isKey whether by a key, which ComfyUI gets too
   * @returns {boolean} whether the key is taken
   */
  step(step, isKey = false) {
    if (isKey && !this.host.leavesUndo()) return false
    const choice = this.host.isConnected() ? null : this.history[step](this.host.read())
    if (choice) {
      this.host.write(choice)
      this.host.commit()
      this.#repaint()
    }
    this.#report()
    return true
  }

  /** @param {Partial<Choice>} choice */
  #change(choice) {
    if (this.host.isConnected()) return
    this.begin()
    this.host.write({ ...this.host.read(), ...choice })
    this.end()
  }

  #points() {
    return parsePoints(this.host.read().points) ?? []
  }

  /** The files of the image that is shown, or undefined while another one is on its way. */
  get #files() {
    return this.loaded === this.shown ? this.nodeView?.pictures[this.host.imageIndex()] : undefined
  }

  /** Whether objects are chosen, and there are any. */
  get isObjects() {
    return this.host.read().mode === 'object' && Boolean(this.view.hierarchy?.hasTree)
  }

  /** Show which mode it is, also before there is an image. */
  #showMode() {
    const { mode: wanted, invert } = this.host.read()
    const mode = this.view.hierarchy?.hasTree || !this.view.hierarchy ? wanted : 'segments'
    this.element.dataset.mode = mode
    this.view.canvas.setAttribute('aria-label', mode === 'object' ? this.texts.objects.label : this.texts.label)
    this.controls.show(mode, invert)
  }

  #repaint() {
    const { hierarchy } = this.view
    this.#showMode()
    if (this.element.dataset.state !== 'ready' || !hierarchy) return
    const map = this.#cut(hierarchy)
    if (this.isObjects) {
      this.slider.element.hidden = true
      this.objects.show(map, this.nodeView?.more_prompts ?? [], this.#files)
      return this.#report()
    }
    const points = [...this.#points(), ...(this.nodeView?.more_points ?? [])]
    const against = this.nodeView?.negative_points ?? []
    this.view.choose(map, chosenSegments(map, points, this.host.read().invert, against))
    this.slider.element.hidden = !hierarchy.hasTree
    this.slider.show({
      number: map.count,
      most: hierarchy.count,
      isGiven: this.host.read().granularity === 0,
      fixed: this.host.isGranularityConnected()
    })
    this.#report()
  }

  /**
   * @param {string} text of the prompts from now on
   */
  #prompt(text) {
    if (this.host.isConnected()) return
    this.objects.words.forgetNote()
    this.#change({ points: text })
    this.#repaint()
  }

  /**
   * @param {string} text of the prompts from now on, as part of the change before
   */
  #settle(text) {
    this.host.write({ ...this.host.read(), points: text })
    this.host.commit()
  }

  /**
   * Choose segments, or objects. Points are clicks, and positive clicks are points; prompts that are no points come
   * back with the next switch, unless points changed meanwhile.
   * @param {Mode} mode
   */
  #switchTo(mode) {
    const { hierarchy } = this.view
    const { points, mode: before } = this.host.read()
    if (this.host.isConnected() || !hierarchy) return
    if (mode === 'object' && !hierarchy.hasTree) {
      this.controls.note.textContent = this.texts.mode.needsTree
      return
    }
    if (mode === before) return
    if (mode === 'object') {
      const prompts = this.aside?.points === points ? this.aside.prompts : points
      this.#change({ mode, points: prompts })
    } else {
      const clicks = (parsePrompts(points) ?? []).filter((prompt) => isClick(prompt) && isPositive(prompt))
      const named = formatPoints(clicks.map(({ x, y }) => ({ x: Number(x), y: Number(y) })))
      this.aside = { points: named, prompts: points }
      this.#change({ mode, points: named })
    }
    this.#repaint()
  }

  /**
   * The segments that the widgets ask for.
   * @param {Hierarchy} hierarchy
   * @returns {LabelMap}
   */
  #cut(hierarchy) {
    const given = this.nodeView?.pictures[this.host.imageIndex()]?.given ?? hierarchy.count
    const number = hierarchy.hasTree ? Math.min(this.host.read().granularity || given, hierarchy.count) : hierarchy.count
    const { map } = this.view
    return map?.count === number ? map : hierarchy.cut(number)
  }

  /** Say what is chosen, and what the pointer is on. */
  #report() {
    const { map, chosen, hovered } = this.view
    if (this.element.dataset.state !== 'ready' || !map) return
    this.controls.buttons.undo.disabled = this.history.past.length === 0
    if (this.isObjects) {
      const { parts, notes } = this.objects.said(map.hierarchy, this.#files)
      return this.controls.tell(parts, notes)
    }
    const points = parsePoints(this.host.read().points)
    const number = chosen.reduce((sum, is) => sum + is, 0)
    const parts = [number ? this.texts.chosen(number, map.count) : this.texts.none]
    if (hovered !== NO_SEGMENT) {
      parts.push(this.texts.segment(hovered, map.share(hovered).toFixed(1)))
      if (hasPoint(map, this.nodeView?.more_points ?? [], hovered)) parts.push(this.texts.connected)
      if (hasPoint(map, this.nodeView?.negative_points ?? [], hovered)) parts.push(this.texts.leftOut)
    }
    if (this.host.isConnected()) parts.push(this.texts.fixed)
    else if (!points) parts.push(this.texts.unreadable)
    const { more_points: more = [], negative_points: against = [] } = this.nodeView ?? {}
    const all = [...(points ?? []), ...more, ...against]
    const outside = all.filter((point) => !map.contains(point)).length
    const notes = outside ? [this.texts.outside(outside)] : []
    const { granularity } = this.host.read()
    if (granularity && !map.hierarchy.hasTree) notes.push(this.texts.granularity.ignored(granularity))
    if (this.host.read().mode === 'object') notes.push(this.texts.mode.needsTree)
    this.controls.tell(parts, notes)
  }
}

/**
 * @param {Choice} one
 * @param {Choice} other
 */
function isSameChoice(one, other) {
  const keys = /** @type {(keyof Choice)[]} */ (['points', 'invert', 'granularity', 'mode'])
  return keys.every((key) => one[key] === other[key])
}
