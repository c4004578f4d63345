"""Bounding boxes of segments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Box(NamedTuple):
    """Columns ``x1`` to ``x2`` and rows ``y1`` to ``y2`` in pixels, both ends exclusive at ``x2`` and ``y2``.

    >>> Box(10, 20, 40, 50).width
    30
    """

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.y2 - self.y1


def bounding_boxes(labels: npt.NDArray[np.integer], count: int) -> list[Box]:
    """The smallest box around every segment, islands included.

    Args:
        labels: int ``[H, W]``; entries below 0 belong to no segment.
        count: K, the number of segments, each of one pixel at least.

    Returns:
        one box for each of 0..K-1.
    """
    rows, columns = np.nonzero(labels >= 0)
    owners = labels[rows, columns]
    boxes = np.tile(np.array([*labels.shape[::-1], 0, 0]), (count, 1))
    np.minimum.at(boxes[:, 0], owners, columns)
    np.minimum.at(boxes[:, 1], owners, rows)
    np.maximum.at(boxes[:, 2], owners, columns + 1)
    np.maximum.at(boxes[:, 3], owners, rows + 1)
    return [Box(*box) for box in boxes.tolist()]
