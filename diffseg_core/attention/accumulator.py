"""Capturing attention while a model runs: one accumulator, whatever host calls it."""

from __future__ import annotations

import math

import torch

from ..errors import CaptureError
from ..grid import GridSize
from .key_pooling import key_grid_for, pool_keys
from .maps import AttentionMaps

# Attention weights computed at a time. What fits a processor's cache is twice as fast there as what does not;
# elsewhere fewer, larger chunks are.
CHUNK_VALUES_CPU = 2**20  # 4 MB of float32
CHUNK_VALUES = 2**23  # 32 MB of float32
HALF_ABOVE_BYTES = 2**30  # where all maps would take more than this, float32 ones are kept in float16


class AttentionAccumulator:
    """Computes self-attention layers and gathers their mean over heads and layers.

    The host's attention hook hands over a layer's query, key and value and takes back the layer's
    output, which is computed from the very probabilities that are gathered. Heads and queries go in
    chunks, so no tensor of heads × n × n entries ever exists: beside one accumulator per resolution a
    chunk's scores and their softmax are held, 8 MB on the CPU and 64 MB elsewhere (more only where a
    single query row of one head is larger).

    An accumulator is float32 ``[B, n, n]`` up to 64×64 tokens. On a larger grid the keys are pooled chunk
    by chunk (see ``key_pooling``) and it is float16 ``[B, n, ≤ 4096]``, so that memory grows linearly with
    the tokens: 134 MB for each image at 128×128, 537 MB at 256×256.
    """

    def __init__(self) -> None:
        self._sums: dict[GridSize, torch.Tensor] = {}
        self._layers: dict[GridSize, int] = {}

    @torch.no_grad()
    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, grid: GridSize
    ) -> torch.Tensor:
        """Compute softmax(QKᵀ/√d)·V and add the probabilities to the accumulator of ``grid``.

        Args:
            query, key, value: ``[B, heads, n, d]`` with n = h·w, any floating-point type. Scores and
                softmax are computed in float32, so half-precision models do not overflow.
            grid: the layer's h and w.

        Returns:
            the layer's output, ``[B, heads, n, d]``, in the type of ``value``.

        Raises:
            CaptureError: the tokens are not those of the grid.
        """
        batch, heads, tokens, width = query.shape
        if tokens != grid.tokens or key.shape != query.shape:
            raise CaptureError(
                f"Expected {grid.tokens} query and key tokens for the {grid} grid, got {tokens} and "
                f"{key.shape[2]} (batch {batch} and {key.shape[0]})."
            )
        total = self._sum_for(grid, batch, query.device)
        key_grid = key_grid_for(grid)
        output = torch.empty_like(value)
        values = CHUNK_VALUES_CPU if query.device.type == "cpu" else CHUNK_VALUES
        rows = min(tokens, max(1, values // tokens))
        together = max(1, values // (rows * tokens))  # heads
        for image_index in range(batch):
            queries = query[image_index].float()  # [heads, n, d]
            keys = key[image_index].float().transpose(1, 2) / math.sqrt(width)  # [heads, d, n]
            for start in range(0, tokens, rows):
                chunk = slice(start, start + rows)
                mean = total[image_index, chunk]
                if key_grid != grid:
                    mean = torch.zeros(len(mean), tokens, device=query.device)
                for first in range(0, heads, together):
                    some = slice(first, first + together)
                    weights = torch.softmax(queries[some, chunk] @ keys[some], dim=-1)
                    for head in weights:  # faster than their sum, which would be written first
                        mean.add_(head, alpha=1.0 / heads)
                    output[image_index, some, chunk] = weights.to(value.dtype) @ value[image_index, some]
                if key_grid != grid:
                    total[image_index, chunk] += pool_keys(mean, grid, key_grid)
        self._layers[grid] += 1
        return output

    def _sum_for(self, grid: GridSize, batch: int, device: torch.device) -> torch.Tensor:
        total = self._sums.get(grid)
        if total is None:
            keys = key_grid_for(grid)
            dtype = torch.float32 if keys == grid else torch.float16
            total = torch.zeros(batch, grid.tokens, keys.tokens, device=device, dtype=dtype)
            self._sums[grid] = total
            self._layers[grid] = 0
        if total.shape[0] != batch:
            raise CaptureError(
                f"Expected a batch of {total.shape[0]} in every layer, got {batch} at {grid}: "
                "the model was called more than once, or its batch was split."
            )
        return total

    @property
    def layers(self) -> int:
        """Number of layers gathered so far."""
        return sum(self._layers.values())

    def finish(self, device: torch.device | None = None) -> AttentionMaps:
        """Means over the layers gathered; float16 where keys are pooled, or all would take over 1 GB.

        Args:
            device: where the maps shall lie; where they were computed if None.

        Raises:
            CaptureError: no layer was gathered.
        """
        if not self._sums:
            raise CaptureError("Expected at least one captured self-attention layer, got none.")
        size = sum(total.nbytes for total in self._sums.values())
        maps: dict[tuple[int, int], torch.Tensor] = {}
        while self._sums:
            grid, total = self._sums.popitem()
            dtype = torch.float16 if size > HALF_ABOVE_BYTES else total.dtype
            maps[grid] = total.div_(self._layers[grid]).to(dtype=dtype, device=device or total.device)
        return AttentionMaps(maps)
