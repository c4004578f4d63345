"""Bounding boxes of segments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bounds = tuple[slice, slice]
"""The rows and the columns of a box."""


def bounding_boxes(labels: npt.NDArray[np.integer], count: int) -> list[Bounds]:
    """The smallest box around every segment, islands included.

    Args:
        labels: int ``[H, W]``; entries below 0 belong to no segment.
        count: K, the number of segments.

    Returns:
        one box for each of 0..K-1; that of a segment without a pixel begins at the far ends and stops at 0.
    """
    from scipy import ndimage

    nowhere = (slice(labels.shape[0], 0), slice(labels.shape[1], 0))
    boxes = ndimage.find_objects(labels + 1, max_label=count) if count else []
    return [box or nowhere for box in boxes]


def corners(bounds: Bounds) -> list[int]:
    """``[x1, y1, x2, y2]`` in pixels, exclusive at x2 and y2."""
    rows, columns = bounds
    return [columns.start, rows.start, columns.stop, rows.stop]
