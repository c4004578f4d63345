/** What the picker says, in ComfyUI's language where it is one of these, else in English. */

const ENGLISH = {
  label:
    'Segments of the image. Arrow keys go from one to the next, Enter or Space chooses, Ctrl+Z undoes, Ctrl+Y makes it again, Ctrl+A chooses all, [ and ] make segments coarser and finer.',
  first: 'Run the workflow once. Then click here what you want.', // before the first run
  loading: 'Loading the image …',
  otherImage: (/** @type {number} */ index) => `Run the workflow to see image ${index}.`,
  otherVersion: 'DiffSeg was updated. Restart ComfyUI, reload this page, and run the workflow again.', // the server's part of the pack is older or newer than the page's
  tooMany: (/** @type {number} */ count) => `${count} segments are too many to show here. The masks come out all the same.`,
  lost: 'The image is no longer on the server. Run the workflow again: the choice is kept.',
  unreachable: 'The server did not send the image. Click here to try again.',
  damaged: 'The image that the server sent cannot be read. Click here to try again, or run the workflow again.',
  chosen: (/** @type {number} */ chosen, /** @type {number} */ count) => `${chosen} of ${count} chosen`,
  none: 'Nothing chosen: the mask is empty',
  segment: (/** @type {number} */ segment, /** @type {string} */ share) => `segment ${segment} · ${share} %`,
  connected: 'chosen by the connected points', // by the points of other nodes
  leftOut: 'left out by negative_points', // by points against, of other nodes
  fixed: 'points or invert comes from a connection: change it there',
  outside: (/** @type {number} */ count) => `${count} ${count === 1 ? 'point lies' : 'points lie'} outside the image and ${count === 1 ? 'is' : 'are'} ignored`,
  unreadable: 'points is not a list of points: fix it or press None',
  pages: { of: (/** @type {number} */ page, /** @type {number} */ count) => `Item ${page} of ${count} in the list`, earlier: 'Earlier item', later: 'Later item' },
  granularity: {
    name: 'Granularity',
    tip: 'From coarse to fine. On the image, the keys [ and ] go one segment further',
    count: (/** @type {number} */ number) => (number === 1 ? '1 segment' : `${number} segments`),
    reset: 'Reset',
    resetTip: 'Back to the segments of the node before',
    ignored: (/** @type {number} */ number) => `granularity ${number} is ignored: these segments have no hierarchy`
  },
  mode: {
    segments: 'Segments',
    object: 'Object',
    segmentsTip: 'A click chooses the segment under it',
    objectTip: 'Clicks for and against, boxes and strokes say what thing is meant. With the clip of DiffSeg Capture Attention connected, words find it too',
    against: '±',
    againstTip: 'Clicks are against the object: for fingers and pens, as Alt or the right button is for mice',
    needsTree: 'Objects need a hierarchy: connect DiffSeg Hierarchy in the place of DiffSeg Segment and run',
    notYet: 'Run the workflow once more to find objects in this image'
  },
  objects: {
    label:
      'Objects in the image. Arrow keys go from one segment to the next, Enter or Space is a click there, with Alt against; plus and minus make its part larger and smaller, Backspace takes the last prompt back, Escape all of the object, Ctrl+Z undoes, Ctrl+Y makes it again.',
    list: 'Objects',
    tip: 'Clicks go to this object. Double-click or F2 renames it, Delete removes it',
    add: 'One more object',
    rename: 'Name of the object',
    remove: (/** @type {string} */ name) => `Remove ${name}`,
    none: 'Click the thing, or drag a box around it',
    holds: (/** @type {string} */ name, /** @type {string} */ share, /** @type {number} */ prompts) => `${name}: ${share} % · ${prompts} ${prompts === 1 ? 'prompt' : 'prompts'}`,
    outside: (/** @type {number} */ count) => `${count} ${count === 1 ? 'prompt lies' : 'prompts lie'} outside the image and ${count === 1 ? 'is' : 'are'} ignored`,
    unreadable: 'points is not a list of prompts: fix it or press None',
    help: 'Alt or right-click: against · Shift-drag: stroke · Ctrl+wheel: size'
  },
  words: {
    name: 'Find by words',
    example: 'Find by words, such as cup',
    tip: 'Enter puts a click where the model sees the word; it runs the workflow up to this node. Commas between words that mean the same',
    looking: (/** @type {string[]} */ words) => `Looking for ${words.join(', ')} …`,
    run: (/** @type {string[]} */ words) => `Run to find ${words.join(', ')}`,
    missed: (/** @type {string} */ word, /** @type {number} */ score) => `${word}: not found, best ${score.toFixed(2)}`
  },
  rows: { show: 'Show the values of the picker as widgets', hide: 'Hide the values of the picker' },
  buttons: { all: 'All', none: 'None', invert: 'Invert', undo: 'Undo' },
  tips: {
    all: 'Choose every segment',
    none: 'Choose nothing and forget all points',
    invert: 'Choose what is not chosen, and the other way round',
    undo: 'Take back the last change made here'
  }
}

/** @typedef {typeof ENGLISH} Texts */

/** @type {Texts} */
const CHINESE = {
  label: '图片的分割区域。方向键切换区域，回车或空格选择，Ctrl+Z 撤销，Ctrl+Y 重做，Ctrl+A 全选，[ 和 ] 使区域变粗或变细。',
  first: '先运行一次工作流，然后在这里点选所需区域。',
  loading: '正在加载图片…',
  otherImage: (index) => `运行工作流以查看第 ${index} 张图片。`,
  otherVersion: 'DiffSeg 已更新。请重启 ComfyUI，刷新此页面，然后重新运行工作流。',
  tooMany: (count) => `共有 ${count} 个区域，无法在此显示。遮罩仍会正常输出。`,
  lost: '服务器上已没有这张图片。请重新运行工作流，选择会保留。',
  unreachable: '服务器没有发来图片。点击此处重试。',
  damaged: '无法读取服务器发来的图片。点击此处重试，或重新运行工作流。',
  chosen: (chosen, count) => `已选 ${chosen} / ${count}`,
  none: '未选择任何区域：遮罩为空',
  segment: (segment, share) => `区域 ${segment} · ${share} %`,
  connected: '由连接的点选中',
  leftOut: '由 negative_points 排除',
  fixed: '点（points）或反选（invert）来自连接：请在来源处更改',
  outside: (count) => `${count} 个点在图片之外，已忽略`,
  unreadable: '“点（points）”不是点的列表：请改正，或按“清空”',
  pages: { of: (page, count) => `列表第 ${page} 项，共 ${count} 项`, earlier: '上一项', later: '下一项' },
  granularity: {
    name: '粒度',
    tip: '由粗到细。在图片上可按 [ 和 ] 键减少或增加一个区域',
    count: (number) => `${number} 个区域`,
    reset: '原始',
    resetTip: '恢复上游节点给出的分割区域',
    ignored: (number) => `粒度 ${number} 已忽略：这些区域没有层级`
  },
  mode: {
    segments: '区域',
    object: '对象',
    segmentsTip: '点击选择其下的区域',
    objectTip: '用正负点击、框和笔画指出所需对象。连接“DiffSeg 捕获注意力”的 clip 后，还可按词语查找',
    against: '±',
    againstTip: '点击表示“不属于对象”：供手指和触控笔使用，相当于鼠标的 Alt 或右键',
    needsTree: '选择对象需要层级：请用 DiffSeg 层级分割代替 DiffSeg 分割并运行',
    notYet: '请再运行一次工作流，以便在此图片中选择对象'
  },
  objects: {
    label:
      '图片中的对象。方向键切换区域，回车或空格在该处点击，按住 Alt 表示不属于；加号和减号使其部分变大或变小，退格键撤回上一个提示，Esc 清除该对象的全部提示，Ctrl+Z 撤销，Ctrl+Y 重做。',
    list: '对象',
    tip: '点击归入此对象。双击或按 F2 重命名，按 Delete 删除',
    add: '添加一个对象',
    rename: '对象名称',
    remove: (name) => `删除 ${name}`,
    none: '点击所需的对象，或拖动画一个框',
    holds: (name, share, prompts) => `${name}：${share} % · ${prompts} 个提示`,
    outside: (count) => `${count} 个提示在图片之外，已忽略`,
    unreadable: '“点（points）”不是提示的列表：请改正，或按“清空”',
    help: 'Alt 或右键减去 · Shift 拖动画笔画 · Ctrl+滚轮调整大小'
  },
  words: {
    name: '按词语查找',
    example: '按词语查找，例如 cup',
    tip: '按回车后在模型认为该词所在之处放置点击；会将工作流运行到此节点。同义词之间用逗号分隔',
    looking: (words) => `正在查找 ${words.join('、')}…`,
    run: (words) => `运行以查找 ${words.join('、')}`,
    missed: (word, score) => `${word}：未找到，最高 ${score.toFixed(2)}`
  },
  rows: { show: '将选择器的值显示为控件', hide: '隐藏选择器的值' },
  buttons: { all: '全选', none: '清空', invert: '反选', undo: '撤销' },
  tips: {
    all: '选择所有区域',
    none: '不选择任何区域，并清除所有点',
    invert: '选择未选的区域，取消已选的区域',
    undo: '撤销在此处所做的上一次更改'
  }
}

/**
 * @param {string} locale such as "en" or "zh-TW"
 * @returns {Texts}
 */
export function textsFor(locale) {
  return locale.startsWith('zh') ? CHINESE : ENGLISH
}
