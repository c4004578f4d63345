/** The picker: an image whose segments can be clicked, buttons, and a line that says what is chosen. */

import { listenToKeys, listenToPointer } from './gestures.mjs'
import { Hierarchy } from './hierarchy.mjs'
import { NO_SEGMENT } from './label_map.mjs'
import { ObjectControls } from './object_controls.mjs'
import { Pages } from './pages.mjs'
import { isPositive, isClick, parsePrompts } from './prompting/prompts.mjs'
import { chosenSegments, formatPoints, hasPoint, parsePoints, setPoint } from './selection.mjs'
import { Slider } from './slider.mjs'
import { textsFor } from './texts.mjs'
import { View } from './view.mjs'

/** @typedef {import('./label_map.mjs').LabelMap} LabelMap */
/** @typedef {import('./label_map.mjs').Point} Point */
/** @typedef {import('./prompting/prompts.mjs').Prompt} Prompt */

/**
 * A file as ComfyUI's /view takes it.
 * @typedef {{filename: string, subfolder: string, type: string}} FileEntry
 */

/**
 * An image and its segments. `given` is the number of segments as they come, where they have a tree; `graph` and
 * `colours` are what it takes to find objects. Of more segments than can be sent there is only their number,
 * `too_many`. `words` are what was found of those among the prompts.
 * @typedef {{ids: FileEntry, picture: FileEntry, graph?: FileEntry, colours?: FileEntry, given?: number, too_many?: number, words?: import('./word_field.mjs').FoundWord[]}} Shown
 */

/**
 * What the node tells after a run, once for each of the segments' inputs in a list: see ../PROTOCOL.md.
 * @typedef {object} NodeView
 * @property {number} version
 * @property {number} batch_size
 * @property {Record<string, Shown>} pictures by index in the batch
 * @property {Point[]} more_points from other nodes
 * @property {Point[]} [negative_points] from other nodes, where segments are chosen
 * @property {Prompt[]} [more_prompts] from other nodes, where objects are chosen
 */

/**
 * The node's widgets: the selection lives there, the picker only shows and changes it.
 * @typedef {object} Choice
 * @property {string} points as JSON
 * @property {boolean} invert
 * @property {number} granularity number of segments, 0 for as many as are given
 * @property {Mode} mode what is chosen
 */

/** @typedef {'segments' | 'object'} Mode */

/**
 * @typedef {object} Host
 * @property {string} locale
 * @property {() => Choice} read
 * @property {(choice: Choice) => void} write
 * @property {() => void} commit called after each complete change
 * @property {() => boolean} isConnected whether the choice comes from elsewhere and cannot be changed here
 * @property {() => boolean} isGranularityConnected the same of the number of segments
 * @property {() => boolean} canFindWords whether all is connected that it takes
 * @property {() => Promise<Answer>} run run the workflow as far as this node
 * @property {() => number} imageIndex
 * @property {(entry: FileEntry) => Promise<Response>} fetchFile
 */

/**
 * What became of a run that was asked for: whether the server took it, and where it refused what is set, why.
 * @typedef {{isSent: boolean, refusal: string}} Answer
 */

/** @typedef {'all' | 'none' | 'invert' | 'undo'} ButtonName */

const VERSION = 3 // of ../PROTOCOL.md, as in nodes/picker_view.py
const MAX_UNDO = 200

export class Picker {
  /** @param {Host} host */
  constructor(host) {
    this.host = host
    this.texts = textsFor(host.locale)
    this.view = new View(this.texts.label)
    /** @type {NodeView[]} */
    this.views = []
    this.page = 0 // of the views
    /** @type {Choice[]} */
    this.past = []
    /** @type {Choice | null} */
    this.before = null
    this.shown = '' // which files, once they are there
    this.loaded = '' // which are there
    /** @type {{points: string, prompts: string} | null} */
    this.aside = null // the prompts that became these points by the switch
    this.element = document.createElement('div')
    this.element.className = 'diffseg-picker'
    this.element.dataset.state = 'empty'
    this.hint = document.createElement('div')
    this.hint.className = 'diffseg-picker-hint'
    this.view.frame.append(this.hint)
    this.bar = document.createElement('div')
    this.bar.className = 'diffseg-picker-bar'
    const actions = { all: this.all, none: this.none, invert: this.invert, undo: this.undo }
    for (const name of /** @type {ButtonName[]} */ (Object.keys(actions))) {
      const button = document.createElement('button')
      button.type = 'button'
      button.dataset.action = name
      button.textContent = this.texts.buttons[name]
      button.title = this.texts.tips[name]
      button.addEventListener('click', () => actions[name].call(this))
      this.bar.append(button)
    }
    this.switch = document.createElement('div')
    this.switch.className = 'diffseg-picker-modes'
    this.switch.setAttribute('role', 'group')
    for (const mode of /** @type {Mode[]} */ (['segments', 'object'])) {
      const button = document.createElement('button')
      button.type = 'button'
      button.dataset.mode = mode
      button.textContent = this.texts.mode[mode]
      button.title = mode === 'object' ? this.texts.mode.objectTip : this.texts.mode.segmentsTip
      button.addEventListener('click', () => this.#switchTo(mode))
      this.switch.append(button)
    }
    this.objects = new ObjectControls(host, this.texts, this.view, {
      write: (points) => this.#prompt(points),
      settle: (points) => this.#settle(points),
      repaint: () => this.#repaint(),
      lose: () => this.#withdraw(this.texts.lost)
    })
    this.switch.append(this.objects.against)
    this.slider = new Slider(this.texts, {
      choose: (number) => this.#granulate(number),
      commit: () => this.end(),
      undo: () => this.undo()
    })
    this.slider.element.hidden = true
    this.pages = new Pages(this.texts, (page) => this.#turn(page))
    this.status = document.createElement('div')
    this.status.className = 'diffseg-picker-status'
    this.status.setAttribute('role', 'status')
    this.note = document.createElement('div') // what is set, and left unheeded by the run
    this.note.className = 'diffseg-picker-note'
    this.note.setAttribute('role', 'status')
    const controls = [this.pages.element, this.switch, this.objects.words.element, this.objects.list.element, this.slider.element, this.bar]
    this.element.append(this.view.frame, ...controls, this.note, this.status)
    // The graph drags a node by whatever lies on it.
    for (const element of controls) {
      element.addEventListener('pointerdown', (event) => event.stopPropagation())
    }
    // ComfyUI's undo leaves keys alone while the slider has the focus; the image's own keys work from here.
    this.slider.input.addEventListener('pointerup', () => this.view.canvas.focus({ preventScroll: true }))
    this.element.addEventListener('pointerenter', () => this.refresh())
    this.view.canvas.addEventListener('focus', () => this.refresh())
    listenToPointer(this.view, this)
    listenToKeys(this.view, this)
    this.#say(this.texts.first)
  }

  /**
   * Take what the node tells after a run.
   * @param {NodeView[]} views
   * @param {boolean} [isNew] whether the run has just been: then words become clicks
   */
  receive(views, isNew = false) {
    this.views = views
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
      if (files.ids) this.objects.words.take(files, isObjects && index === at)
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

  /** Show what the widgets say now. */
  refresh() {
    if (!this.nodeView) return
    if (this.nodeView.version !== VERSION) return this.#withdraw(this.texts.otherVersion)
    const index = this.host.imageIndex()
    const files = this.nodeView.pictures[index]
    if (!files) return this.#withdraw(this.texts.otherImage(index))
    if (files.too_many) return this.#withdraw(this.texts.tooMany(files.too_many))
    const wanted = `${files.ids.filename} ${files.picture.filename}`
    if (wanted !== this.shown) {
      this.shown = wanted
      this.objects.forget()
      this.#load(files, wanted)
    }
    this.#repaint()
  }

  /**
   * @param {Shown} files
   * @param {string} wanted
   */
  async #load(files, wanted) {
    if (this.element.dataset.state === 'empty') this.#say(this.texts.loading)
    const answers = await Promise.all([this.host.fetchFile(files.ids), this.host.fetchFile(files.picture)])
    if (wanted !== this.shown) return // another run was faster
    if (answers.some((answer) => !answer.ok)) return this.#withdraw(this.texts.lost)
    const [hierarchy, image] = await Promise.all([
      answers[0].arrayBuffer().then((file) => Hierarchy.fromPng(file)),
      answers[1].blob().then((file) => createImageBitmap(file))
    ])
    if (wanted !== this.shown) return
    this.loaded = wanted
    this.element.dataset.state = 'ready'
    this.view.show(hierarchy, image)
    this.#repaint()
  }

  /**
   * Show no image, but say why.
   * @param {string} why
   */
  #withdraw(why) {
    this.shown = ''
    this.element.dataset.state = 'empty'
    this.#say(why)
  }

  /** @param {string} what */
  #say(what) {
    this.hint.textContent = what
    this.status.textContent = ''
    this.note.textContent = ''
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
    this.before ??= this.host.read()
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
    const { before } = this
    this.before = null
    if (!before || this.#isNow(before)) return
    this.past.push(before)
    if (this.past.length > MAX_UNDO) this.past.shift()
    this.host.commit()
    this.#repaint()
  }

  cancel() {
    if (this.before) this.host.write(this.before)
    this.before = null
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
    if (!hierarchy?.joins || !map) return
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
    if (this.host.isConnected()) return
    let last = this.past.pop()
    while (last && this.#isNow(last)) last = this.past.pop() // ComfyUI's own undo came before
    if (!last) return this.#report()
    this.host.write(last)
    this.host.commit()
    this.#repaint()
  }

  /** @param {Partial<Choice>} choice */
  #change(choice) {
    if (this.host.isConnected()) return
    this.begin()
    this.host.write({ ...this.host.read(), ...choice })
    this.end()
  }

  /** @param {Choice} choice */
  #isNow(choice) {
    const { points, invert, granularity, mode } = this.host.read()
    const isSame = choice.points === points && choice.invert === invert && choice.mode === mode
    return isSame && choice.granularity === granularity
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
    return this.host.read().mode === 'object' && Boolean(this.view.hierarchy?.joins)
  }

  #repaint() {
    const { hierarchy } = this.view
    if (this.element.dataset.state !== 'ready' || !hierarchy) return
    const map = this.#cut(hierarchy)
    const mode = this.isObjects ? 'object' : 'segments'
    this.element.dataset.mode = mode
    this.view.canvas.setAttribute('aria-label', mode === 'object' ? this.texts.objects.label : this.texts.label)
    for (const button of this.switch.querySelectorAll('button')) {
      if (button.dataset.mode) button.setAttribute('aria-pressed', `${button.dataset.mode === mode}`)
    }
    if (mode === 'object') {
      this.slider.element.hidden = true
      this.objects.show(map, this.nodeView?.more_prompts ?? [], this.#files)
      return this.#report()
    }
    const points = [...this.#points(), ...(this.nodeView?.more_points ?? [])]
    const against = this.nodeView?.negative_points ?? []
    this.view.choose(map, chosenSegments(map, points, this.host.read().invert, against))
    this.slider.element.hidden = !hierarchy.joins
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
    if (mode === 'object' && !hierarchy.joins) {
      this.note.textContent = this.texts.mode.needsTree
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
    const number = hierarchy.joins ? Math.min(this.host.read().granularity || given, hierarchy.count) : hierarchy.count
    const { map } = this.view
    return map?.count === number ? map : hierarchy.cut(number)
  }

  /** Say what is chosen, and what the pointer is on. */
  #report() {
    const { map, chosen, hovered } = this.view
    if (this.element.dataset.state !== 'ready' || !map) return
    const undo = /** @type {HTMLButtonElement} */ (this.bar.querySelector('[data-action="undo"]'))
    undo.disabled = this.past.length === 0
    if (this.isObjects) {
      const { parts, notes } = this.objects.said(map.hierarchy, this.#files)
      return this.#tell(parts, notes)
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
    if (granularity && !map.hierarchy.joins) notes.push(this.texts.granularity.ignored(granularity))
    if (this.host.read().mode === 'object') notes.push(this.texts.mode.needsTree)
    this.#tell(parts, notes)
  }

  /**
   * @param {string[]} parts of the status
   * @param {string[]} notes what is set, and left unheeded by the run
   */
  #tell(parts, notes) {
    const note = notes.join(' · ')
    if (this.note.textContent !== note) this.note.textContent = note // said again by a screen reader only if new
    this.status.textContent = parts.join(' · ')
  }
}
