/** What the picker and its node give each other: types only. */

/** @import { Point } from './label_map.mjs' */
/** @import { Prompt } from './prompting/prompts.mjs' */

/**
 * A file as ComfyUI's /view takes it.
 * @typedef {{filename: string, subfolder: string, type: string}} FileEntry
 */

/**
 * An image and its segments. `given` is the number of segments as they come, where they have a tree; `objects` is
 * what it takes to find objects. Of more segments than can be sent there is only their number,
 * `too_many`. `words` are what was found of those among the prompts.
 * @typedef {{segments: FileEntry, picture: FileEntry, objects?: FileEntry, given?: number, too_many?: number, words?: import('./word_field.mjs').FoundWord[]}} Shown
 */

/**
 * What the node gives after a run, once for each of the segments' inputs in a list: see ../PROTOCOL.md.
 * @typedef {object} NodeView
 * @property {number} version
 * @property {number} batch_size
 * @property {boolean} [has_clip] whether words can be looked for
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
 * @property {() => boolean} leavesUndo whether ComfyUI leaves Ctrl+Z to who has the focus
 * @property {() => boolean} isConnected whether the choice comes from elsewhere and cannot be changed here
 * @property {() => boolean} isGranularityConnected the same of the number of segments
 * @property {() => Promise<Answer>} run run the workflow as far as this node
 * @property {() => number} imageIndex
 * @property {(entry: FileEntry) => Promise<Response>} fetchFile
 * @property {() => Promise<NodeView[] | null>} lastViews what the node gave in its last run
 * @property {(image: {width: number, height: number}) => void} fit the image of a run is there: the node may take its shape
 */

/**
 * What became of a run that was asked for: whether the server took it, and where it refused what is set, why.
 * @typedef {{isSent: boolean, refusal: string}} Answer
 */

export {}
