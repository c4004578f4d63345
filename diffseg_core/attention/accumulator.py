"""Capturing attention while a model runs: one accumulator, whatever host calls it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from ..errors import CaptureError
from ..grid import GridSize
from .capture_settings import ModelInputs
from .key_pooling import key_grid_for, pool_keys
from .maps import AttentionMaps, Evidence
from .text import LayerQueries

# Attention weights computed at a time. What fits a processor's cache is twice as fast there as what does not;
# elsewhere fewer, larger chunks are.
CHUNK_VALUES_CPU = 2**20  # 4 MB of float32
CHUNK_VALUES = 2**23  # 32 MB of float32
HALF_ABOVE_BYTES = 2**30  # where all maps would take more than this, float32 ones are kept in float16


class AttentionAccumulator:
    """Computes self-attention layers and gathers their mean over heads and layers.

    The host's attention hook hands over a layer's query, key and value and takes back the layer's
    output, which is computed from the very probabilities that are gathered (`attend`); or it hands over
    query and key alone and leaves the output to the host (`gather`). Heads and queries go in
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
        self._features: torch.Tensor | None = None
        self._features_are_finite = torch.tensor(True)
        self._queries: list[LayerQueries] = []

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
        output = torch.empty_like(value)
        for image, heads, rows, weights in self._gathered(query, key, grid):
            output[image, heads, rows] = weights.to(value.dtype) @ value[image, heads]
        return output

    @torch.no_grad()
    def gather(self, query: torch.Tensor, key: torch.Tensor, grid: GridSize) -> None:
        """Add softmax(QKᵀ/√d) to the accumulator of ``grid``, for a layer that computes its output itself.

        For joint attention over text and image: handed the image's tokens alone, it gives what they pay
        to one another, each head's rows summing to 1. (To take that out of the whole softmax and normalise
        it afterwards would fail where a head pays all to the text.)

        Args:
            query: ``[B, heads, n, d]`` with n = h·w, any floating-point type.
            key: the same, or with fewer heads, each of which serves several of the query's in a row.
            grid: the layer's h and w.

        Raises:
            CaptureError: the tokens are not those of the grid.
        """
        if key.shape[1] != query.shape[1] and key.shape[1] > 0:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        for _ in self._gathered(query, key, grid):
            pass

    def keep_features(self, tokens: torch.Tensor, grid: GridSize) -> None:
        """Keep a layer's output as the features of the images, in half precision.

        Where it is not finite, as where a model overflows, `finish` gives no features.

        Args:
            tokens: ``[B, n, C]`` with n = h·w.
            grid: the layer's h and w.

        Raises:
            CaptureError: the tokens are not those of the grid.
        """
        if tokens.shape[1] != grid.tokens:
            raise CaptureError(f"Expected features of {grid.tokens} tokens ({grid}), got {tokens.shape[1]}.")
        self._features_are_finite = torch.isfinite(tokens).all()  # looked at when all has run
        features = tokens.transpose(1, 2).unflatten(2, tuple(grid))
        self._features = _in_half_precision(features)

    def keep_queries(self, layer: str, queries: torch.Tensor, heads: int, grid: GridSize) -> None:
        """Keep the queries of a cross-attention layer, in half precision.

        Args:
            layer: its name, by which the host finds its keys again.
            queries: ``[B, n, heads*d]`` with n = h·w, as projected.
            heads: their number.
            grid: the layer's h and w.
        """
        self._queries.append(LayerQueries(layer, grid, heads, _in_half_precision(queries)))

    def drop_queries(self) -> None:
        """Keep none of the queries."""
        self._queries.clear()

    def _gathered(
        self, query: torch.Tensor, key: torch.Tensor, grid: GridSize
    ) -> Iterator[tuple[int, slice, slice, torch.Tensor]]:
        """The probabilities ``[heads, rows, n]`` as they are gathered: image, heads, rows, and these."""
        batch, heads, tokens, width = query.shape
        if tokens != grid.tokens or key.shape != query.shape:
            raise CaptureError(
                f"Expected {grid.tokens} query and key tokens for the {grid} grid, got {tokens} and "
                f"{key.shape[2]} (batch {batch} and {key.shape[0]})."
            )
        total = self._sum_for(grid, batch, query.device)
        key_grid = key_grid_for(grid)
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
                    yield image_index, some, chunk, weights
                if key_grid != grid:
                    total[image_index, chunk] += pool_keys(mean, grid, key_grid)
        self._layers[grid] += 1

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

    def finish(
        self,
        device: torch.device | None = None,
        *,
        evidence: Evidence = "attention",
        inputs: ModelInputs | None = None,
    ) -> AttentionMaps:
        """Means over the layers gathered; float16 where keys are pooled, or all would take over 1 GB.

        Args:
            device: where the maps shall lie; where they were computed if None.
            evidence: of the maps and the features, what is better known to tell segments apart in the model.
            inputs: what the model was given, for words that have to be given together with it.

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
            mean = total.div_(self._layers[grid])
            maps[grid] = mean.to(dtype=dtype, device=device or mean.device)
        features = self._features
        if features is not None and not bool(self._features_are_finite):
            features = None
        queries = self._queries
        if device is not None:
            features = None if features is None else features.to(device)
            queries = [replace(layer, queries=layer.queries.to(device)) for layer in queries]
        return AttentionMaps(
            maps,
            features,
            evidence=evidence if features is not None else "attention",
            queries=queries,
            inputs=inputs,
        )


def _in_half_precision(values: torch.Tensor) -> torch.Tensor:
    """A copy in float16, beyond whose range values are clamped; bfloat16 stays."""
    if values.dtype == torch.bfloat16:  # whose range float16 does not have
        return values.clone()
    most = torch.finfo(torch.float16).max
    return values.clamp(-most, most).to(torch.float16, copy=True)
