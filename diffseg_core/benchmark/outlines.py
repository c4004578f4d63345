"""From outlines drawn by hand to masks: a pixel belongs to an object when its centre does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..grid import GridSize

Bitmap = npt.NDArray[np.bool_]
Outline = Sequence[Sequence[float]]
"""Corners ``[x, y]`` in pixels: (0, 0) is the left upper corner of the image, (width, height) the other one,
and the centre of pixel (column, row) is (column + 0.5, row + 0.5)."""


def fill(outline: Outline, size: GridSize) -> Bitmap:
    """The pixels whose centres lie inside an outline, by the even-odd rule: bool ``[H, W]``.

    Of a centre on the outline itself: on a left or upper edge it is inside, on a right or lower one outside,
    so that outlines which share an edge share no pixel.

    Args:
        outline: corners, the last joined to the first; parts outside the image are cut off.
        size: height and width of the image in pixels.

    >>> fill([[0, 0], [2, 0], [2, 1], [0, 1]], GridSize(2, 3)).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    corners = np.asarray(outline, np.float64).reshape(-1, 2)
    # Entry c of a row: how many edges are crossed between the centres of columns c − 1 and c.
    crossed = np.zeros((size.height, size.width + 1), np.int64)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        first, stop = np.clip(np.ceil(np.array(sorted((y1, y2))) - 0.5), 0, size.height).astype(np.int64)
        rows = np.arange(first, stop)
        if rows.size:
            across = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
            columns = np.clip(np.ceil(across - 0.5), 0, size.width).astype(np.int64)
            np.add.at(crossed, (rows, columns), 1)
    inside: Bitmap = crossed.cumsum(axis=1)[:, :-1] % 2 == 1
    return inside


def mask_of(polygons: Sequence[Outline], holes: Sequence[Outline], size: GridSize) -> Bitmap:
    """The pixels whose centres lie in one of the polygons and in none of the holes: bool ``[H, W]``."""
    mask = np.zeros(size, bool)
    for polygon in polygons:
        mask |= fill(polygon, size)
    for hole in holes:
        mask &= ~fill(hole, size)
    return mask
