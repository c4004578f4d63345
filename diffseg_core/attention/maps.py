"""The self-attention of one denoising step, head-averaged: the input of every segmentation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import torch

from ..checks import either
from ..errors import InvalidAttentionError
from ..grid import GridSize
from .aggregation import aggregate
from .capture_settings import ModelInputs
from .key_pooling import key_grid_of, pooled_grid
from .text import LayerQueries

Evidence = Literal["attention", "features", "both"]
"""What tells segments apart."""
ROW_SUM_TOLERANCE = 0.02  # half-precision rows of 4096 entries stay well inside


class AttentionMaps:
    """Self-attention maps of one or more images, one tensor per resolution.

    Args:
        self_maps: ``{(h, w): Tensor [B, h*w, h*w]}``: for every captured resolution the mean over
            heads and layers. Row ``i`` is the probability with which token ``i`` (row-major) attends
            to every other token: entries 0..1, rows sum to 1. float32, float16 or bfloat16, all on one
            device. The tensors are kept, not copied. Keys may be pooled by a whole factor f, as they are
            where a grid beyond 64×64 is captured: ``[B, h*w, kh*kw]`` with kh = ⌈h/f⌉ and kw = ⌈w/f⌉, the
            probabilities within each of the kh×kw equal cells of the image added up.
        features: ``[B, C, h, w]``, a layer's output at the same step, of any grid; None where it was not
            kept.
        evidence: of the two, what is better known to tell segments apart in the model that they come from.
        queries: of layers of cross-attention, for words that come later; see `attention_to_text`.
        inputs: what the model was given, for words that come later.

    Raises:
        InvalidAttentionError: no map, an empty batch, a shape that does not fit its grid, batches or
            devices that differ, entries that are negative or not finite, rows that do not sum to 1;
            features of another shape, batch or device, or that are not finite.

    Example:
        >>> import torch
        >>> maps = AttentionMaps({(4, 4): torch.full((1, 16, 16), 1 / 16)})
        >>> maps.grid, maps.batch_size
        (GridSize(height=4, width=4), 1)
    """

    def __init__(
        self,
        self_maps: Mapping[tuple[int, int], torch.Tensor],
        features: torch.Tensor | None = None,
        *,
        evidence: Evidence = "attention",
        queries: Sequence[LayerQueries] = (),
        inputs: ModelInputs | None = None,
    ) -> None:
        if not isinstance(self_maps, Mapping) or not all(isinstance(grid, tuple) for grid in self_maps):
            raise InvalidAttentionError(
                "Expected attention maps by their grids, such as {(64, 64): tensor}, got "
                f"{type(self_maps).__name__}."
            )
        self._maps = {GridSize(*grid): tensor for grid, tensor in self_maps.items()}
        self._key_grids = _checked_key_grids(self._maps)
        _check_probabilities(self._maps)
        if features is not None:
            _check_features(features, self.batch_size, self.device)
        self.features = features
        if evidence not in get_args(Evidence):
            raise InvalidAttentionError(
                f"Expected evidence to be {either(get_args(Evidence))}, got {evidence!r:.60}."
            )
        self.evidence: Evidence = evidence
        self.queries = tuple(queries)
        self.inputs = inputs
        self._aggregate: torch.Tensor | None = None
        self._kept: dict[Hashable, tuple[Hashable, Any]] = {}
        # All that is held: maps, features, what words need, the aggregate once used, what is kept.
        self.tensors = list(self._maps.values())
        if features is not None:
            self.tensors.append(features)
        self.tensors.extend(layer.queries for layer in self.queries)
        if inputs is not None:
            self.tensors.extend(inputs.tensors)

    def keep(self, name: Hashable, settings: Hashable, make: Callable[[], Any]) -> Any:
        """What was worked out of these maps and may serve again, as long as it is asked for with one setting.

        Args:
            name: of what it is.
            settings: on which it depends.
            make: begins it; ``tensor`` of what it gives is the memory that this takes.
        """
        if name in self._kept:
            made_for, kept = self._kept[name]
            if made_for == settings:
                return kept
            self.tensors[:] = [tensor for tensor in self.tensors if tensor is not kept.tensor]
        made = make()
        self._kept[name] = settings, made
        self.tensors.append(made.tensor)
        return made

    @property
    def grids(self) -> tuple[GridSize, ...]:
        """Captured resolutions, largest first."""
        return tuple(sorted(self._maps, key=lambda grid: -grid.tokens))

    @property
    def grid(self) -> GridSize:
        """The largest captured resolution: the grid of the aggregate's queries, and of the anchors."""
        return self.grids[0]

    @property
    def key_grid(self) -> GridSize:
        """The grid of the aggregate's keys, and of the proposals: ``grid`` itself unless keys are pooled."""
        return self._key_grids[self.grid]

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return self._maps[self.grid].shape[0]

    @property
    def device(self) -> torch.device:
        """Where the maps lie."""
        return self._maps[self.grid].device

    def __getitem__(self, grid: tuple[int, int]) -> torch.Tensor:
        """The map of one resolution, ``[B, h*w, h*w]``, or with fewer keys where they are pooled."""
        return self._maps[GridSize(*grid)]

    def __iter__(self) -> Iterator[GridSize]:
        return iter(self.grids)

    def __repr__(self) -> str:
        grids = ", ".join(str(grid) for grid in self.grids)
        dtype = str(self._maps[self.grid].dtype).removeprefix("torch.")
        return f"AttentionMaps({self.batch_size} image(s), grids {grids}, {dtype}, {self.device})"

    def aggregate(self) -> torch.Tensor:
        """The paper's aggregated attention (section 3.2), float32 ``[B, h*w, kh*kw]``, rows sum to 1.

        Queries are those of ``grid``, keys those of ``key_grid``, which is the same unless keys are pooled.
        Computed at the first call and kept: segmenting the same maps again at another threshold
        does not compute it again.
        """
        if self._aggregate is None:
            self._aggregate = aggregate(self._maps, self._key_grids, self.grid)
            self.tensors.append(self._aggregate)
        return self._aggregate


def _checked_key_grids(maps: Mapping[GridSize, torch.Tensor]) -> dict[GridSize, GridSize]:
    """The grid of every map's keys, once all shapes are found right."""
    if not maps:
        raise InvalidAttentionError("Expected attention maps of at least one resolution, got none.")
    first = next(iter(maps.values()))
    key_grids = {}
    for grid, tensor in maps.items():
        if grid.height < 1 or grid.width < 1:
            raise InvalidAttentionError(f"Expected a grid of at least 1×1 tokens, got {grid}.")
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            raise InvalidAttentionError(f"Expected a floating-point tensor for the {grid} grid, got {kind}.")
        key_grid = key_grid_of(grid, tensor.shape[2]) if tensor.ndim == 3 else None
        if key_grid is None or tensor.shape[1] != grid.tokens or not len(tensor):
            pooled = ", ".join(str(pooled_grid(grid, factor).tokens) for factor in (2, 3, 4))
            raise InvalidAttentionError(
                f"Expected attention of one or more images, [batch, {grid.tokens}, {grid.tokens}], for the "
                f"{grid} grid (or, with keys pooled by 2, 3, 4 …, {pooled} … of them), got "
                f"{'×'.join(map(str, tensor.shape))}. Average over heads and layers first."
            )
        key_grids[grid] = key_grid
        if tensor.shape[0] != first.shape[0] or tensor.device != first.device:
            raise InvalidAttentionError(
                f"Expected every resolution to hold {first.shape[0]} image(s) on {first.device}, "
                f"got {tensor.shape[0]} on {tensor.device} for the {grid} grid."
            )
    return key_grids


def _check_features(features: torch.Tensor, batch: int, device: torch.device) -> None:
    shape = "×".join(str(size) for size in features.shape)
    if features.ndim != 4 or len(features) != batch or not features.numel() or features.device != device:
        raise InvalidAttentionError(
            f"Expected features of [{batch}, channels, height, width] on {device}, as the maps are, "
            f"got {shape} on {features.device}."
        )
    if not features.is_floating_point() or not bool(torch.isfinite(features).all()):
        raise InvalidAttentionError(
            f"Expected features of finite floating-point numbers, got others in {features.dtype}. "
            "A model that overflows in half precision gives these: run it in float32 or bfloat16."
        )


def _check_probabilities(maps: Mapping[GridSize, torch.Tensor]) -> None:
    """Check all maps with one transfer from the device: lowest entry, lowest and highest row sum."""
    bounds = []
    for tensor in maps.values():
        sums = tensor.sum(-1, dtype=torch.float32)
        bounds.append(torch.stack((tensor.amin().float(), sums.amin(), sums.amax())))
    for grid, (lowest, least, most) in zip(maps, torch.stack(bounds).tolist(), strict=True):
        if not (lowest == lowest and least == least and most < float("inf")):
            raise InvalidAttentionError(
                f"Expected finite attention for the {grid} grid, got NaN or infinite entries. "
                "A model that overflows in half precision gives these: run it in float32 or bfloat16."
            )
        if lowest < 0:
            raise InvalidAttentionError(
                f"Expected attention from 0 to 1 for the {grid} grid, got a lowest entry of {lowest:.3g}."
            )
        if least < 1 - ROW_SUM_TOLERANCE or most > 1 + ROW_SUM_TOLERANCE:
            raise InvalidAttentionError(
                f"Expected every row of the {grid} grid to sum to 1, "
                f"got sums from {least:.4g} to {most:.4g}. "
                "Pass probabilities (after the softmax), averaged over heads, not summed."
            )
