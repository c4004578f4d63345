"""What prompts are measured on: the pixels that the picker in the browser has, of large images not all."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from ..grid import GridSize
from ..image.pyramid import eight_bits, sampled, shown_size
from .points import Point

Integers = npt.NDArray[np.int64]

MAX_COLOURS = 2**21  # pixels of the colours that divide a leaf


Place = TypeVar("Place", int, Integers)


def _cell(pixel: Place, pixels: int, cells: int) -> Place:
    """The one of some cells side by side that a pixel lies in, as `web/PROTOCOL.md` has it."""
    return (2 * pixel + 1) * cells // (2 * pixels)


class ShownPixels:
    """The leaves of an image where they are shown.

    Args:
        leaves: int ``[H, W]``, −1 where none is.
        count: of leaves, S.

    Attributes:
        size: of the image.
        leaves: those at the cells that are shown, ``[h, w]``.
        counts: how many cells each leaf has, int64 ``[S]``.
    """

    def __init__(self, leaves: npt.NDArray[np.int32], count: int) -> None:
        self.size = GridSize(*leaves.shape)
        self.leaves = sampled(leaves, shown_size(self.size))
        self.counts = np.zeros(count, dtype=np.int64)
        self.counts = self.counts_in(np.s_[:, :])

    def cell(self, point: Point) -> tuple[int, int]:
        """Column and row of the cell that a pixel lies in; those outside the image give cells outside."""
        (height, width), (rows, columns) = self.size, self.leaves.shape
        return _cell(point.x, width, columns), _cell(point.y, height, rows)

    def shares(self, x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[np.float64]:
        """How much of each leaf a box of cells covers, 0..1; ``x2`` and ``y2`` are exclusive."""
        shares: npt.NDArray[np.float64] = self.counts_in(np.s_[y1:y2, x1:x2]) / np.maximum(self.counts, 1)
        return shares

    def counts_in(self, cells: tuple[slice, slice] | tuple[Integers, Integers]) -> Integers:
        """How many of some cells, by rows and columns, each leaf has: int64 ``[S]``."""
        return np.bincount(self.leaves[cells].ravel() + 1, minlength=len(self.counts) + 1)[1:]


class Colours:
    """An image's colours in 8 bits, of large images the mean of several pixels.

    Args:
        image: float32 ``[H, W, 3]`` in 0..1; None for no colours.
        size: of the image.

    Attributes:
        values: uint8 ``[h, w, 3]``.
    """

    def __init__(self, image: torch.Tensor | None, size: GridSize) -> None:
        self._size = size
        if image is None:
            self.values = np.zeros((1, 1, 3), np.uint8)
            return
        self.values = eight_bits(image, shown_size(size, MAX_COLOURS))

    def at(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Integers:
        """Colours of some pixels of the image: int64 ``[n, 3]``, 0..255."""
        (height, width), (h, w) = self._size, self.values.shape[:2]
        y, x = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
        found = self.values[_cell(y, height, h), _cell(x, width, w)]
        return found.astype(np.int64)


def line_pixels(first: tuple[int, int], second: tuple[int, int]) -> Integers:
    """The pixels of a straight line: int64 ``[n, 2]``, column and row. Halves go to the higher pixel."""
    steps = max(abs(second[0] - first[0]), abs(second[1] - first[1]), 1)
    start, along = np.array(first), np.subtract(second, first)
    return start + (2 * np.arange(steps + 1)[:, None] * along + steps) // (2 * steps)
