"""Boxes and lines in pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def box_iou(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Intersection over union of two boxes, int64 ``[4]`` each: x1, y1, x2, y2."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = int(np.maximum(sides, 0).prod())
    whole = int((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod()) - shared
    return shared / whole


def line_pixels(first: tuple[int, int], second: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The pixels of a straight line: int64 ``[n, 2]``, column and row. Halves go to the higher pixel."""
    steps = max(abs(second[0] - first[0]), abs(second[1] - first[1]), 1)
    start, along = np.array(first), np.subtract(second, first)
    return start + (2 * np.arange(steps + 1)[:, None] * along + steps) // (2 * steps)
