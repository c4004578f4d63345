"""Large grids: every query keeps its row, but the keys of a row are pooled, so that memory grows linearly."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch

from ..grid import GridSize

MAX_KEYS = 64 * 64  # of an attention map; grids of more tokens have their keys pooled


def pooled_grid(grid: GridSize, factor: int) -> GridSize:
    """The grid pooled by a whole factor in both directions, rounded up where a side does not divide.

    Its cells are equal all the same: of 5 tokens pooled by 2, each of the 3 cells takes 5/3.

    >>> pooled_grid(GridSize(128, 128), 2)
    GridSize(height=64, width=64)
    """
    return GridSize(-(-grid.height // factor), -(-grid.width // factor))


def key_grid_for(grid: GridSize) -> GridSize:
    """The grid of the keys for a grid of queries: pooled by the smallest factor that leaves at most 64×64.

    It is the number of keys that counts, not the sides, so that long images fare as square ones do.

    >>> key_grid_for(GridSize(64, 64)), key_grid_for(GridSize(256, 64))
    (GridSize(height=64, width=64), GridSize(height=128, width=32))
    """
    return next(keys for keys in _pooled_grids(grid) if keys.tokens <= MAX_KEYS)


def key_grid_of(grid: GridSize, keys: int) -> GridSize | None:
    """Which pooled grid has that many cells; None if there is none. There is never more than one."""
    key_grid = next(pooled for pooled in _pooled_grids(grid) if pooled.tokens <= max(1, keys))
    return key_grid if key_grid.tokens == keys else None


def _pooled_grids(grid: GridSize) -> Iterator[GridSize]:
    """Pooled by 1, 2, 3 …: never-ending, from the grid itself down to a single cell."""
    return (pooled_grid(grid, factor) for factor in count(1))


def pool_keys(attention: torch.Tensor, grid: GridSize, key_grid: GridSize) -> torch.Tensor:
    """Add up the probabilities within every cell of the key grid, so that rows still sum to 1.

    A token that lies across a border of cells is divided between them, by its share in each. So a key grid
    covers the image evenly whether its sides divide the grid's or not, and nothing is shifted.

    Args:
        attention: float32 ``[rows, h*w]``.
        grid: its h and w.
        key_grid: kh ≤ h and kw ≤ w.

    Returns:
        float32 ``[rows, kh*kw]``; ``attention`` itself where the grids are the same.
    """
    if key_grid == grid:
        return attention
    down = _shares(grid.height, key_grid.height, attention.device)
    across = _shares(grid.width, key_grid.width, attention.device)
    return (down @ (attention.view(-1, *grid) @ across.T)).flatten(1)


def _shares(length: int, cells: int, device: torch.device) -> torch.Tensor:
    """How much of every token lies in every cell along one side: float32 ``[cells, length]``, 0..1."""
    # In whole parts of which a token has as many as there are cells: exact, and without float64, which
    # Apple's graphics processors do not know.
    borders = torch.arange(cells + 1, device=device) * length
    tokens = torch.arange(length, device=device) * cells
    ends = torch.minimum(borders[1:, None], tokens + cells)
    return (ends - torch.maximum(borders[:-1, None], tokens)).clamp_min_(0).float() / cells
