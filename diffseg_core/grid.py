"""The size of a grid of tokens or pixels, by name instead of by position."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class GridSize(NamedTuple):
    """Height and width of a grid, in cells; equal to the plain tuple ``(height, width)``.

    >>> GridSize(48, 64).tokens
    3072
    >>> str(GridSize(48, 64))
    '48×64'
    """

    height: int
    width: int

    @property
    def tokens(self) -> int:
        """Number of cells."""
        return self.height * self.width

    @property
    def side(self) -> float:
        """Side of the square of the same area, in cells."""
        return math.sqrt(self.tokens)

    def __str__(self) -> str:
        return f"{self.height}×{self.width}"


def nearest_cells(grid: GridSize, wanted: GridSize) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The rows and the columns of a grid in which the centres of another one's rows and columns lie.

    >>> [places.tolist() for places in nearest_cells(GridSize(2, 3), GridSize(4, 3))]
    [[0, 0, 1, 1], [0, 1, 2]]
    """
    rows, columns = (
        (2 * np.arange(other) + 1) * side // (2 * other) for side, other in zip(grid, wanted, strict=True)
    )
    return rows, columns
