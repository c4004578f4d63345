"""Position bias: what attention owes to where a place lies, taken out of it."""

from __future__ import annotations

import torch

from ..grid import GridSize

CHUNK_VALUES = 2**22
USUAL = 16.0
"""So many observations of even attention stand beside those of each displacement: of a displacement that few
pairs of places have, one pair's content would else be taken for what is usual there."""


def without_position(attention: torch.Tensor, grid: GridSize, key_grid: GridSize) -> torch.Tensor:
    """Divide by the mean attention over each displacement, and normalise rows again.

    A transformer's attention says where a place looks as well as at what: near places, its own line, a fixed
    pattern. That part depends on the displacement from query to key alone, so its mean over the image tells
    it, as far as the content does not depend on displacement too: things are compact, so that some of what
    belongs to them goes with it.

    Args:
        attention: ``[B, h*w, kh*kw]``, rows summing to 1; each image is its own measure.
        grid: h and w of the queries.
        key_grid: kh and kw of the keys.

    Returns:
        the same shape and type, rows summing to 1.
    """
    device = attention.device
    down, lines = _displacements(grid.height, key_grid.height, device)
    across, columns = _displacements(grid.width, key_grid.width, device)
    cells = lines * columns
    rows = max(1, CHUNK_VALUES // (key_grid.tokens * grid.width))  # lines of the grid at a time
    chunks = [slice(first, first + rows) for first in range(0, grid.height, rows)]

    def displaced(chunk: slice) -> torch.Tensor:
        both = down[chunk, None, :, None] * columns + across[None, :, None, :]
        return both.flatten(2).flatten(0, 1)  # [queries, keys]

    def tokens(chunk: slice) -> slice:
        return slice(chunk.start * grid.width, chunk.stop * grid.width)

    out = torch.empty_like(attention)
    counts = torch.zeros(cells, device=device)
    for chunk in chunks:
        where = displaced(chunk).flatten()
        counts.index_add_(0, where, torch.ones_like(where, dtype=torch.float32))
    for image, result in zip(attention, out, strict=True):
        sums = torch.zeros(cells, device=device)
        for chunk in chunks:
            sums.index_add_(0, displaced(chunk).flatten(), image[tokens(chunk)].float().flatten())
        usual = (sums + USUAL / key_grid.tokens) / (counts + USUAL)
        for chunk in chunks:
            share = image[tokens(chunk)].float() / usual[displaced(chunk)]
            result[tokens(chunk)] = share / share.sum(1, keepdim=True)
    return out


def _displacements(length: int, cells: int, device: torch.device) -> tuple[torch.Tensor, int]:
    """From each place to each cell along one side: int64 ``[length, cells]`` from 0, and their number."""
    starts = torch.arange(cells, device=device) * length // cells
    return starts[None] - torch.arange(length, device=device)[:, None] + length - 1, 2 * length - 1
