/** The chosen segments: points, each naming the segment under it, and whether the choice is inverted. */

import { NO_SEGMENT } from './label_map.mjs'

/** @import { LabelMap, Point } from './label_map.mjs' */

/**
 * Which segments are chosen: 1 or 0 for each.
 * @param {LabelMap} map
 * @param {Point[]} points
 * @param {boolean} invert
 * @param {Point[]} against whose segments are not among those that points name
 */
export function chosenSegments(map, points, invert, against = []) {
  const chosen = new Uint8Array(map.count).fill(invert ? 1 : 0)
  for (const [some, isNamed] of /** @type {[Point[], boolean][]} */ ([[points, true], [against, false]])) {
    for (const segment of some.map((point) => map.at(point))) {
      if (segment !== NO_SEGMENT) chosen[segment] = isNamed === invert ? 0 : 1
    }
  }
  return chosen
}

/**
 * The points with or without a segment: one more where it has none yet, or all of its own taken away.
 * @param {LabelMap} map
 * @param {Point[]} points
 * @param {Point} at a pixel of the segment
 * @param {boolean} named whether the segment shall have a point
 */
export function setPoint(map, points, at, named) {
  const segment = map.at(at)
  if (segment === NO_SEGMENT) return points
  if (!named) return points.filter((point) => map.at(point) !== segment)
  return hasPoint(map, points, segment) ? points : [...points, map.hierarchy.sampled(at)]
}

/**
 * Whether a segment has a point.
 * @param {LabelMap} map
 * @param {Point[]} points
 * @param {number} segment
 */
export function hasPoint(map, points, segment) {
  return points.some((point) => map.at(point) === segment)
}

/**
 * The pixels from one place to another, without a gap.
 * @param {Point} from
 * @param {Point} to
 * @returns {Point[]}
 */
export function pixelsBetween(from, to) {
  const steps = Math.max(1, Math.ceil(Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y))))
  return Array.from({ length: steps + 1 }, (_, step) => ({
    x: Math.round(from.x + ((to.x - from.x) * step) / steps),
    y: Math.round(from.y + ((to.y - from.y) * step) / steps)
  }))
}

/**
 * The segment that lies next in a direction, by the places where the segments have most room; the same
 * segment where there is none.
 * @param {LabelMap} map
 * @param {number} from
 * @param {Point} direction one of (±1, 0) and (0, ±1)
 */
export function nextSegment(map, from, direction) {
  if (from === NO_SEGMENT) return map.count ? 0 : NO_SEGMENT
  const start = map.poles[from]
  let best = from
  let least = Infinity
  map.poles.forEach((pole, segment) => {
    const ahead = (pole.x - start.x) * direction.x + (pole.y - start.y) * direction.y
    const aside = Math.abs((pole.x - start.x) * direction.y) + Math.abs((pole.y - start.y) * direction.x)
    if (segment === from || ahead <= 0) return
    if (ahead + 2 * aside < least) {
      least = ahead + 2 * aside
      best = segment
    }
  })
  return best
}
