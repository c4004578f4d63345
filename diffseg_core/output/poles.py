"""Poles of inaccessibility: where in a segment there is most room, for a number or a colour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..segments import Segments

WORKING_SIDE = 256  # label maps are thinned out to at most this many pixels a side


class Pole(NamedTuple):
    """A segment's innermost pixel, and its distance in pixels to the nearest pixel outside."""

    x: int
    y: int
    radius: float


def segment_poles(segments: Segments, image_index: int = 0) -> tuple[Pole, ...]:
    """The pole of every segment of one image, found once and kept with the segments.

    Raises:
        InvalidSettingError: there is no such image.
    """
    labels = segments.labels_of(image_index)
    return segments.keep(
        ("poles", image_index), lambda: tuple(poles_of_inaccessibility(labels.cpu().numpy()))
    )


def poles_of_inaccessibility(labels: npt.NDArray[np.integer]) -> list[Pole]:
    """The pole of every segment, to a few pixels (the map is thinned out to 256 pixels a side).

    What lies beyond the image counts as outside. The pole depends on the segment's own pixels alone:
    the same segment in another segmentation has the same pole.

    Args:
        labels: ``[H, W]``, segments 0..K-1, −1 where no segment is.

    Returns:
        one pole for each of 0..K-1.
    """
    stride = -(-max(labels.shape) // WORKING_SIDE)
    offset = [(length - 1) % stride // 2 for length in labels.shape]
    thin = labels[offset[0] :: stride, offset[1] :: stride]
    distance = np.sqrt(inner_distance_squared(thin)).ravel()
    flat = thin.ravel()
    count = int(labels.max()) + 1
    order = np.lexsort((np.arange(flat.size), -distance, flat))  # by label, farthest in first
    first = order[np.append(True, np.diff(flat[order]) != 0)]
    poles: dict[int, Pole] = {}
    for position in first.tolist():
        y, x = divmod(position, thin.shape[1])
        radius = float(distance[position]) * stride
        poles[int(flat[position])] = Pole(x * stride + offset[1], y * stride + offset[0], radius)
    for label in range(count):  # thinner than the stride: its middle pixel in reading order
        if label not in poles:
            pixels = np.flatnonzero(labels.ravel() == label)
            y, x = divmod(int(pixels[len(pixels) // 2]), labels.shape[1])
            poles[label] = Pole(x, y, 0.5)
    return [poles[label] for label in range(count)]


def inner_distance_squared(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Squared Euclidean distance from every pixel to the nearest pixel of another label, or outside.

    Exact, for all segments at once: distances within rows first, then rows above and below are looked
    at for as long as they can still be nearer.
    """
    height, width = labels.shape
    rows = _row_distance(labels).astype(np.int64) ** 2
    best = rows.copy()
    for step in range(1, height + 1):
        if step * step >= best.max():
            break
        for sign in (-1, 1):
            other = np.full((height, width), step * step)  # beyond the image, or another label
            if sign > 0:
                here, there = slice(0, height - step), slice(step, None)
            else:
                here, there = slice(step, None), slice(0, height - step)
            same = labels[here] == labels[there]
            other[here] += np.where(same, rows[there], 0)
            np.minimum(best, other, out=best)
    return best


def _row_distance(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Distance to the nearest pixel of another label in the same row, or beyond its ends."""
    height, width = labels.shape
    columns = np.broadcast_to(np.arange(width), (height, width))
    change = labels[:, 1:] != labels[:, :-1]
    starts = np.zeros((height, width), dtype=np.intp)
    starts[:, 1:] = np.where(change, columns[:, 1:], 0)
    starts = np.maximum.accumulate(starts, axis=1)
    ends = np.full((height, width), width, dtype=np.intp)
    ends[:, :-1] = np.where(change, columns[:, 1:], width)
    ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(columns - starts + 1, ends - columns)
