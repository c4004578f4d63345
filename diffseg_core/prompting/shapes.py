"""Boxes and lines in pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..grid import GridSize

Bitmap = npt.NDArray[np.bool_]


def rectangle(size: GridSize, x1: int, y1: int, x2: int, y2: int) -> Bitmap:
    """The pixels of a box: bool of the size; ``x2`` and ``y2`` are exclusive."""
    pixels = np.zeros(tuple(size), dtype=bool)
    pixels[y1:y2, x1:x2] = True
    return pixels


def box_iou(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Intersection over union of two boxes, int64 ``[4]`` each: x1, y1, x2, y2."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.maximum(sides, 0).prod())
    whole = float((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod()) - shared
    return shared / whole


def line_pixels(first: tuple[int, int], second: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The pixels of a straight line: int64 ``[n, 2]``, column and row."""
    count = max(abs(second[0] - first[0]), abs(second[1] - first[1])) + 1
    return np.rint(np.linspace(first, second, count)).astype(np.int64)
