/** The picker: an image whose segments can be clicked, buttons, and a line that says what is chosen. */

import { listenToKeys, listenToPointer } from './gestures.mjs'
import { Hierarchy } from './hierarchy.mjs'
import { NO_SEGMENT } from './label_map.mjs'
import { listenToObjectKeys, listenToObjectPointer } from './object_gestures.mjs'
import { ObjectList } from './object_list.mjs'
import { ObjectMode } from './object_mode.mjs'
import { Pages } from './pages.mjs'
import { inverted } from './object_painter.mjs'
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
 * `too_many`.
 * @typedef {{ids: FileEntry, picture: FileEntry, graph?: FileEntry, colours?: FileEntry, given?: number, too_many?: number}} Shown
 */

/**
 * What the node tells after a run, once for each of the segments' inputs in a list: see ../PROTOCOL.md.
 * @typedef {object} NodeView
 * @property {number} version
 * @property {number} batch_size
 * @property {Record<string, Shown>} pictures by index in the batch
 * @property {Point[]} more_points from other nodes
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
 * @property {() => number} imageIndex
 * @property {(entry: FileEntry) => Promise<Response>} fetchFile
 */

/** @typedef {'all' | 'none' | 'invert' | 'undo'} ButtonName */

const VERSION = 2 // of ../PROTOCOL.md, as in nodes/picker_view.py
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
    this.objects = new ObjectMode()
    this.objectsShown = '' // which file of theirs
    /** @type {{points: string, prompts: string} | null} */
    this.aside = null // the prompts that became these points by the switch
    /** @type {{at: Point, positive: boolean} | null} */
    this.pointer = null
    /** @type {Prompt | null} */
    this.drafted = null
    this.painted = '' // which state of the objects
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
    this.against = document.createElement('button')
    this.against.type = 'button'
    this.against.dataset.action = 'against'
    this.against.textContent = this.texts.mode.against
    this.against.title = this.texts.mode.againstTip
    this.against.setAttribute('aria-label', this.texts.mode.againstTip)
    this.against.addEventListener('click', () => {
      this.objects.subtracting = !this.objects.subtracting
      this.#repaint()
    })
    this.switch.append(this.against)
    this.list = new ObjectList(this.texts, {
      select: (name) => this.#selectObject(name),
      add: () => this.#addObject(),
      rename: (name, to) => this.#prompt(this.objects.renamed(name, to)),
      remove: (name) => this.#prompt(this.objects.without(name))
    })
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
    const controls = [this.pages.element, this.switch, this.list.element, this.slider.element, this.bar]
    this.element.append(this.view.frame, ...controls, this.note, this.status)
    // The graph drags a node by whatever lies on it.
    for (const element of controls) {
      element.addEventListener('pointerdown', (event) => event.stopPropagation())
    }
    // ComfyUI's undo leaves keys alone while the slider has the focus; the image's own keys work from here.
    this.slider.input.addEventListener('pointerup', () => this.view.canvas.focus({ preventScroll: true }))
    this.element.addEventListener('pointerenter', () => this.refresh())
    this.view.canvas.addEventListener('focus', () => this.refresh())
    const prompting = this.#prompting()
    listenToObjectPointer(this.view, prompting)
    listenToObjectKeys(this.view, prompting)
    listenToPointer(this.view, this)
    listenToKeys(this.view, this)
    this.#say(this.texts.first)
  }

  /**
   * Take what the node tells after a run.
   * @param {NodeView[]} views
   */
  receive(views) {
    this.views = views
    this.#turn(Math.min(this.page, views.length - 1))
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
      this.painted = ''
      this.objectsShown = ''
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

  /** Fetch what it takes to find objects, unless it is there. */
  async #loadObjects() {
    const { hierarchy } = this.view
    const files = this.nodeView?.pictures[this.host.imageIndex()]
    if (!hierarchy || this.loaded !== this.shown || !files?.graph || !files.colours) return
    if (this.objectsShown === files.graph.filename) return
    const wanted = files.graph.filename
    this.objectsShown = wanted
    const answers = await Promise.all([this.host.fetchFile(files.graph), this.host.fetchFile(files.colours)])
    if (wanted !== this.objectsShown) return
    if (answers.some((answer) => !answer.ok)) return this.#withdraw(this.texts.lost)
    const [graph, colours] = await Promise.all(answers.map((answer) => answer.arrayBuffer()))
    await this.objects.load(hierarchy, graph, colours)
    this.painted = ''
    if (wanted !== this.objectsShown || hierarchy !== this.view.hierarchy) return
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
    this.against.setAttribute('aria-pressed', `${this.objects.subtracting}`)
    if (mode === 'object') return this.#repaintObjects(map)
    const points = [...this.#points(), ...(this.nodeView?.more_points ?? [])]
    this.view.choose(map, chosenSegments(map, points, this.host.read().invert))
    this.slider.element.hidden = !hierarchy.joins
    this.slider.show({
      number: map.count,
      most: hierarchy.count,
      isGiven: this.host.read().granularity === 0,
      fixed: this.host.isGranularityConnected()
    })
    this.#report()
  }

  /** @param {LabelMap} map */
  #repaintObjects(map) {
    const { objects, drafted, pointer } = this
    objects.read(this.host.read().points, this.nodeView?.more_prompts ?? [])
    this.list.show(objects.listed, objects.current, this.host.isConnected())
    this.slider.element.hidden = true
    if (!objects.finder) {
      this.#loadObjects()
      this.view.showObjects(map, { painted: [], marks: objects.marks, preview: null })
      return this.#report()
    }
    const isInverted = this.host.read().invert
    const leaf = pointer ? map.hierarchy.leafAt(pointer.at) : NO_SEGMENT
    const state = JSON.stringify([
      ...[isInverted, objects.names, objects.current, objects.given, objects.own],
      ...[drafted, leaf, pointer?.positive, this.host.isConnected()]
    ])
    if (this.painted === state && this.view.objects) return this.#report()
    this.painted = state
    const painted = isInverted ? [inverted(objects.painted, map.hierarchy)] : objects.painted
    const preview = drafted
      ? objects.previewOf(drafted)
      : pointer && !this.host.isConnected()
        ? objects.preview(pointer.at, pointer.positive)
        : null
    const marks = drafted ? [...objects.marks, drafted] : objects.marks
    this.view.showObjects(map, { painted, marks, preview: isInverted ? null : preview })
    this.#report()
  }

  /** What gestures do where objects are chosen. */
  #prompting() {
    const picker = this
    return {
      get subtracting() {
        return picker.objects.subtracting
      },
      /** @param {Prompt} prompt */
      add: (prompt) => this.#prompt(this.objects.withPrompt(prompt)),
      /** @param {Prompt | null} prompt */
      draft: (prompt) => {
        const isSame = prompt === null && this.drafted === null
        this.drafted = prompt
        if (!isSame) this.#repaint()
      },
      /** @param {Point | null} at @param {boolean} positive */
      point: (at, positive) => {
        this.view.pointed = at
        this.pointer = at && { at, positive }
      },
      /** @param {Point | null} at @param {boolean} positive */
      preview: (at, positive) => {
        this.view.pointed = at
        const before = this.pointer
        this.pointer = at && { at, positive }
        const { hierarchy } = this.view
        const isSame =
          before && at && hierarchy?.leafAt(before.at) === hierarchy?.leafAt(at) && before.positive === positive
        if (!isSame && (before || at)) this.#repaint()
      },
      /** @param {number} by */
      resize: (by) => {
        const text = this.objects.resized(by)
        if (text !== null) this.#prompt(text)
      },
      takeBack: () => this.#prompt(this.objects.withoutLast()),
      clear: () => this.#prompt(this.objects.without(this.objects.current))
    }
  }

  /**
   * @param {string} text of the prompts from now on
   */
  #prompt(text) {
    if (this.host.isConnected()) return
    this.#change({ points: text })
    this.#repaint()
  }

  /** @param {string} name */
  #selectObject(name) {
    this.objects.current = name
    this.#repaint()
  }

  #addObject() {
    this.objects.add()
    this.#repaint()
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
    if (this.isObjects) return this.#reportObjects(map)
    const points = parsePoints(this.host.read().points)
    const number = chosen.reduce((sum, is) => sum + is, 0)
    const parts = [number ? this.texts.chosen(number, map.count) : this.texts.none]
    if (hovered !== NO_SEGMENT) {
      parts.push(this.texts.segment(hovered, map.share(hovered).toFixed(1)))
      if (hasPoint(map, this.nodeView?.more_points ?? [], hovered)) parts.push(this.texts.connected)
    }
    if (this.host.isConnected()) parts.push(this.texts.fixed)
    else if (!points) parts.push(this.texts.unreadable)
    const all = [...(points ?? []), ...(this.nodeView?.more_points ?? [])]
    const outside = all.filter((point) => !map.contains(point)).length
    const notes = outside ? [this.texts.outside(outside)] : []
    const { granularity } = this.host.read()
    if (granularity && !map.hierarchy.joins) notes.push(this.texts.granularity.ignored(granularity))
    if (this.host.read().mode === 'object') notes.push(this.texts.mode.needsTree)
    this.#tell(parts, notes)
  }

  /**
   * Say what the objects hold.
   * @param {LabelMap} map
   */
  #reportObjects(map) {
    const { objects } = this
    const { hierarchy } = map
    const files = this.nodeView?.pictures[this.host.imageIndex()]
    const { prompts } = objects
    const parts = []
    if (!objects.finder) parts.push(files?.graph ? this.texts.loading : this.texts.mode.notYet)
    else if (!prompts.size) parts.push(this.texts.objects.none, this.texts.objects.help)
    objects.painted.forEach((object, index) => {
      const name = objects.names[index]
      const own = prompts.get(name)?.length
      if (own) parts.push(this.texts.objects.holds(name, share(object, hierarchy).toFixed(1), own))
    })
    if (this.host.isConnected()) parts.push(this.texts.fixed)
    else if (parsePrompts(this.host.read().points) === null) parts.push(this.texts.objects.unreadable)
    const clicks = [...prompts.values()].flat().filter(isClick)
    const outside = clicks.filter(({ x, y }) => !hierarchy.contains({ x: Number(x), y: Number(y) })).length
    this.#tell(parts, outside ? [this.texts.outside(outside)] : [])
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

/**
 * An object's share of the image, in percent; leaves that are divided count by their cells.
 * @param {import('./object_painter.mjs').PaintedObject} object
 * @param {Hierarchy} hierarchy
 */
function share({ label, divided }, hierarchy) {
  const parts = new Map(divided.map(({ leaf, own }) => [leaf, own.reduce((sum, is) => sum + is, 0) / own.length]))
  const held = hierarchy.areas.map((area, leaf) => area * (parts.get(leaf) ?? label[leaf]))
  return (100 * held.reduce((sum, area) => sum + area, 0)) / (hierarchy.width * hierarchy.height)
}
