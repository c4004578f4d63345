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
    from scipy import ndimage

    stride = -(-max(labels.shape) // WORKING_SIDE)
    top, left = ((length - 1) % stride // 2 for length in labels.shape)
    thin = np.pad(labels[top::stride, left::stride], 1, constant_values=-1)
    poles = []
    for label, box in enumerate(ndimage.find_objects(thin + 1, max_label=int(labels.max()) + 1)):
        if box is None:  # thinner than the stride: its middle pixel in reading order
            pixels = np.flatnonzero(labels.ravel() == label)
            y, x = divmod(int(pixels[len(pixels) // 2]), labels.shape[1])
            poles.append(Pole(x, y, 0.5))
            continue
        rows, columns = (slice(side.start - 1, side.stop + 1) for side in box)
        distance = ndimage.distance_transform_edt(thin[rows, columns] == label)
        y, x = np.unravel_index(int(distance.argmax()), distance.shape)
        place = int(columns.start + x - 1) * stride + left, int(rows.start + y - 1) * stride + top
        poles.append(Pole(*place, float(distance[y, x]) * stride))
    return poles
