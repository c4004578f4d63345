"""Means of maps over leaves, as if the maps were resized to the pixels."""

from __future__ import annotations

import torch

from ..grid import GridSize

CHUNK_PIXELS = 2**22  # worked out at a time, some 100 MB


def leaf_means(maps: torch.Tensor, leaves: torch.Tensor, count: int) -> torch.Tensor:
    """The mean of each map over each leaf's pixels, the maps resized bilinearly to the image.

    No map is resized: how much each cell counts in each leaf is the same for all of them.

    Args:
        maps: float32 ``[n, h, w]``.
        leaves: int ``[H, W]``, 0..count-1, −1 for pixels that belong to none.
        count: number of leaves; each has a pixel.

    Returns:
        float32 ``[count, n]``.
    """
    grid = GridSize(*maps.shape[1:])
    rows, columns = (
        _neighbours(cells, pixels, maps.device) for cells, pixels in zip(grid, leaves.shape, strict=True)
    )
    weights = torch.zeros((count + 1) * grid.tokens, device=maps.device)  # the first row: of no leaf
    lines = max(1, CHUNK_PIXELS // leaves.shape[1])
    for start in range(0, leaves.shape[0], lines):
        chunk = slice(start, start + lines)
        first = (leaves[chunk].to(maps.device).long() + 1) * grid.tokens
        for row, row_weight in rows:
            for column, column_weight in columns:
                places = first + row[chunk, None] * grid.width + column
                weights.index_add_(0, places.flatten(), (row_weight[chunk, None] * column_weight).flatten())
    table = weights.view(count + 1, grid.tokens)[1:]
    return (table @ maps.flatten(1).T) / table.sum(1, keepdim=True)


def _neighbours(
    cells: int, pixels: int, device: torch.device
) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Along one side the two cells that each pixel lies between, and how much each counts: ``[pixels]``."""
    places = ((torch.arange(pixels, device=device) + 0.5) * (cells / pixels) - 0.5).clamp(0, cells - 1)
    before = places.long()
    share = places - before
    return (before, 1.0 - share), ((before + 1).clamp_max(cells - 1), share)
