"""Attention aggregation (paper, section 3.2): one map per token out of all resolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F

from ..grid import GridSize
from .key_pooling import pool_keys

# Values added at a time. A processor's cache holds a small chunk; elsewhere fewer, larger ones are faster.
CHUNK_VALUES_CPU = 2**18  # 1 MB of float32
CHUNK_VALUES = 2**23  # 32 MB of float32
HALF_FLOOR = 2.0**-24  # smallest positive float16: a zero in a half-precision map means "below this"


def aggregate(
    maps: Mapping[GridSize, torch.Tensor], key_grids: Mapping[GridSize, GridSize], target: GridSize
) -> torch.Tensor:
    """Weighted sum of all resolutions on the target grid, float32 ``[B, h*w, kh*kw]``, rows sum to 1.

    For each resolution the keys are upsampled bilinearly (half-pixel centres) to the target's, every row
    is normalised to sum 1, the queries are repeated to the target grid (nearest), and the result is
    weighted in proportion to the side length (for 64², 32², 16², 8²: .533, .267, .133, .067). Grids that
    are not square count with √(h·w).

    In the paper keys lie on the same grid as queries. Where they are pooled, the target's keys are those of
    its own map, and what is finer still in another map is pooled to them.

    Args:
        maps: ``{grid: Tensor [B, h*w, kh*kw]}``, rows summing to 1.
        key_grids: the kh and kw of each.
        target: one of the grids; the largest in the paper.
    """
    finest, keys = maps[target], key_grids[target]
    total_side = sum(grid.side for grid in maps)
    weights = {grid: grid.side / total_side for grid in maps}
    values = CHUNK_VALUES_CPU if finest.device.type == "cpu" else CHUNK_VALUES
    lines = max(1, values // (target.width * keys.tokens))  # of queries
    chunks = [range(target.height)[first : first + lines] for first in range(0, target.height, lines)]
    out = torch.empty(finest.shape, device=finest.device)
    for image_index in range(len(finest)):
        coarser = [
            _repeated(
                maps[grid][image_index],
                grid,
                target,
                chunks,
                partial(_resized_keys, grid=key_grids[grid], target=keys, weight=weights[grid]),
            )
            for grid in maps
            if grid != target
        ]
        for chunk, *rows in zip(chunks, *coarser, strict=True):
            tokens = slice(chunk.start * target.width, chunk.stop * target.width)
            attention = _positive(finest[image_index, tokens])
            share = weights[target] / attention.sum(1, keepdim=True)
            torch.mul(attention, share, out=out[image_index, tokens])
            for attention in rows:
                out[image_index, tokens] += attention
    return out


def _repeated(
    attention: torch.Tensor,
    grid: GridSize,
    target: GridSize,
    chunks: Sequence[range],
    prepare: Callable[[torch.Tensor], torch.Tensor],
) -> Iterator[torch.Tensor]:
    """For every chunk of lines of the target grid the rows of the nearest queries, prepared.

    No more prepared rows are held than a chunk needs: at the target's number of keys they are large.
    """
    # Twice, so that nothing is moved between host and device, for which either would wait.
    lines = _nearest(grid.height, target.height).tolist()
    starts = _nearest(grid.height, target.height, attention.device) * grid.width
    columns = _nearest(grid.width, target.width, attention.device)
    held, rows = range(0), attention[:0]
    for chunk in chunks:
        needed = range(lines[chunk.start] * grid.width, (lines[chunk.stop - 1] + 1) * grid.width)
        if needed != held:
            held, rows = needed, prepare(attention[needed.start : needed.stop])
        yield rows[(starts[chunk.start : chunk.stop, None] + columns - needed.start).flatten()]


def _resized_keys(attention: torch.Tensor, grid: GridSize, target: GridSize, weight: float) -> torch.Tensor:
    """Rows of attention, ``[rows, kh*kw]``, with keys on the target's grid, and ``weight`` as their sum."""
    coarser = GridSize(min(grid.height, target.height), min(grid.width, target.width))
    keys = pool_keys(_positive(attention), grid, coarser).view(-1, 1, *coarser)
    keys = F.interpolate(keys, size=tuple(target), mode="bilinear", align_corners=False).flatten(1)
    return keys.div_(keys.sum(1, keepdim=True)).mul_(weight)


def _positive(attention: torch.Tensor) -> torch.Tensor:
    """The attention in float32; a float16 zero becomes the smallest number that float16 knows."""
    if attention.dtype == torch.float16:
        return attention.float().clamp_min_(HALF_FLOOR)
    return attention.float()


def _nearest(size: int, target_size: int, device: torch.device | None = None) -> torch.Tensor:
    """Along one side the nearest place of a grid for every place of the target: int64 ``[target_size]``."""
    centres = torch.arange(target_size, device=device) * 2 + 1
    return centres * size // (2 * target_size)
