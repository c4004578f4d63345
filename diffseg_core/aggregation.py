"""Attention aggregation (paper, section 3.2): one map per token out of all resolutions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F

from .grid import GridSize

CHUNK_VALUES = 2**18  # values added at a time: 1 MB of float32, which a processor's cache holds
HALF_FLOOR = 2.0**-24  # smallest positive float16: a zero in a half-precision map means "below this"


def aggregate(maps: Mapping[GridSize, torch.Tensor], target: GridSize) -> torch.Tensor:
    """Weighted sum of all resolutions on the target grid, float32 ``[B, h*w, h*w]``, rows sum to 1.

    For each resolution the keys are upsampled bilinearly (half-pixel centres) to the target grid,
    every row is normalised to sum 1, the queries are repeated to the target grid (nearest), and the
    result is weighted in proportion to the side length (for 64², 32², 16², 8²: .533, .267, .133,
    .067). Grids that are not square count with √(h·w).

    Args:
        maps: ``{grid: Tensor [B, h*w, h*w]}``, rows summing to 1.
        target: the grid of the result; the largest of ``maps`` in the paper.
    """
    first = next(iter(maps.values()))
    total_side = sum(grid.side for grid in maps)
    weights = {grid: grid.side / total_side for grid in maps}
    queries = {grid: _nearest_tokens(grid, target, first.device) for grid in maps if grid != target}
    out = torch.zeros(first.shape[0], target.tokens, target.tokens, device=first.device)
    rows = max(1, CHUNK_VALUES // target.tokens)
    for image in range(first.shape[0]):
        keys = {
            grid: _upsampled_keys(maps[grid][image], grid, target).mul_(weights[grid]) for grid in queries
        }
        for start in range(0, target.tokens, rows):
            chunk = slice(start, start + rows)
            if target in maps:
                finest = _positive(maps[target][image, chunk])
                out[image, chunk].addcmul_(finest, weights[target] / finest.sum(1, keepdim=True))
            for grid, nearest in queries.items():
                out[image, chunk] += keys[grid][nearest[chunk]]
    return out


def _upsampled_keys(attention: torch.Tensor, grid: GridSize, target: GridSize) -> torch.Tensor:
    """One image's attention at one resolution, ``[n, n]``, with keys on the target grid: ``[n, N]``."""
    keys = _positive(attention).view(-1, 1, *grid)
    keys = F.interpolate(keys, size=tuple(target), mode="bilinear", align_corners=False).flatten(1)
    return keys.div_(keys.sum(1, keepdim=True))


def _positive(attention: torch.Tensor) -> torch.Tensor:
    """The attention in float32; a float16 zero becomes the smallest number that float16 knows."""
    if attention.dtype == torch.float16:
        return attention.float().clamp_min_(HALF_FLOOR)
    return attention.float()


def _nearest_tokens(grid: GridSize, target: GridSize, device: torch.device) -> torch.Tensor:
    """For every token of the target grid the nearest token of ``grid``: int64 ``[N]``."""

    def nearest(size: int, target_size: int) -> torch.Tensor:
        centres = torch.arange(target_size, device=device) * 2 + 1
        return centres * size // (2 * target_size)

    rows = nearest(grid.height, target.height)
    columns = nearest(grid.width, target.width)
    return (rows[:, None] * grid.width + columns).flatten()
