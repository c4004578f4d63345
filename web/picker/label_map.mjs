/** Which segment every pixel of an image belongs to, and facts on the segments. */

/** @import { Hierarchy } from './hierarchy.mjs' */

/** What `LabelMap.at` gives where no segment is. */
export const NO_SEGMENT = -1

/**
 * A place in the image, in pixels from its left upper corner.
 * @typedef {{x: number, y: number}} Point
 */

/** One cut through a hierarchy. A segment's pole is that of its largest leaf. */
export class LabelMap {
  /**
   * @param {Hierarchy} hierarchy
   * @param {Uint16Array} segments the segment of each leaf, each number up to the largest at least once
   */
  constructor(hierarchy, segments) {
    this.hierarchy = hierarchy
    this.segments = segments
    /** @type {number[]} */
    this.areas = []
    /** @type {Point[]} */
    this.poles = []
    /** @type {number[]} */
    const largest = []
    segments.forEach((segment, leaf) => {
      const area = hierarchy.areas[leaf]
      this.areas[segment] = (this.areas[segment] ?? 0) + area
      if (area > (largest[segment] ?? -1)) {
        largest[segment] = area
        this.poles[segment] = hierarchy.poles[leaf]
      }
    })
  }

  /** Number of segments. */
  get count() {
    return this.areas.length
  }

  /**
   * The segment under a point, or NO_SEGMENT.
   * @param {Point} point
   */
  at(point) {
    const leaf = this.hierarchy.contains(point) ? this.hierarchy.leafAt(point) : NO_SEGMENT
    return leaf === NO_SEGMENT ? NO_SEGMENT : this.segments[leaf]
  }

  /**
   * A segment's share of the image, in percent.
   * @param {number} segment
   */
  share(segment) {
    return (100 * this.areas[segment]) / (this.hierarchy.width * this.hierarchy.height)
  }
}
