"""The size of a grid of tokens or pixels, by name instead of by position."""

from __future__ import annotations

import math
from typing import NamedTuple


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
