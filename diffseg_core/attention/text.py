"""What the places of images attend to in a text: a cross-attention that is read, and changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..errors import CaptureError, InvalidSettingError
from ..grid import GridSize
from ..images import finite_range
from .key_pooling import pool_keys

NO_QUERIES = (
    "Expected queries to the text in the captured attention, got none. Patches that run a layer twice, with "
    "other tokens or not at all do this, and the log names it: capture again without them."
)
HIDDEN = (
    "Expected the model to see every word, got a mask over some tokens. Read the words from a prompt that is "
    "not filled up: in ComfyUI connect the CLIP and the model before the node that masks them."
)
COARSE = 0.7  # weight of the coarser of two resolutions; the finer has the rest (iSeg)
CHUNK_VALUES = 2**22  # probabilities worked out at a time, 16 MB of float32


@dataclass(frozen=True, eq=False)
class LayerQueries:
    """The queries with which the places of one cross-attention layer ask what the text says.

    Attributes:
        layer: its name, by which the host finds the layer's keys again.
        grid: the layer's h and w.
        heads: their number.
        queries: ``[B, h*w, heads*d]``, float16 (bfloat16 of a bfloat16 model), as projected.
    """

    layer: str
    grid: GridSize
    heads: int
    queries: torch.Tensor


@dataclass(frozen=True, eq=False)
class TextAttention:
    """How much every place of the images attends to each token of a text, heads and layers averaged.

    Attributes:
        grid: h and w.
        maps: float32 ``[B, h*w, T]``, entries 0..1. Rows sum to 1 where attention is to the text alone,
            and to less where it is to the image too.
    """

    grid: GridSize
    maps: torch.Tensor

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return len(self.maps)

    @property
    def tokens(self) -> int:
        """Number of tokens of the encoded text, T: start, end and padding are among them."""
        return self.maps.shape[2]


def check_embedding(
    values: object, width: int | None, what: str, advice: str, *, is_pooled: bool = False
) -> None:
    """Refuse the embedding of a text that is not of one prompt, or is another model's.

    Args:
        values: ``[1, tokens, width]``, or pooled ``[1, width]``.
        width: that the model takes; None for any.
        what: it is called in messages.
        advice: what to do where the shape is another.
        is_pooled: whether it is of the whole text instead of its tokens.

    Raises:
        InvalidSettingError: another shape or width, or numbers that are not finite.
    """
    expected = [1, width or "width"] if is_pooled else [1, "tokens", width or "width"]
    shape = list(values.shape) if isinstance(values, torch.Tensor) else []
    fits = len(shape) == len(expected) and all(
        length == wanted if isinstance(wanted, int) else length > 0
        for length, wanted in zip(shape, expected, strict=True)
    )
    if not isinstance(values, torch.Tensor) or not fits:
        got = shape if isinstance(values, torch.Tensor) else type(values).__name__
        raise InvalidSettingError(
            f"Expected {what} of one prompt, [{', '.join(map(str, expected))}] as the model has, got {got}. "
            f"{advice}"
        )
    finite_range(values, what)


def attention_to_text(queries: Sequence[LayerQueries], keys: Mapping[str, torch.Tensor]) -> TextAttention:
    """The cross-attention that kept queries pay to a text: softmax over **all** of its tokens.

    Layers of one resolution are averaged; of two, the coarser one counts 0.7 and the finer 0.3 (iSeg's
    weights of 16² and 32²). Of more, as where a patch shrinks a layer, all but the finest share the 0.7 by
    their layers. The result is on the finest grid, resized bilinearly.

    Args:
        queries: as a capture keeps them.
        keys: of each of these layers, by its name: ``[1 or B, T, heads*d]``, on any device.

    Raises:
        CaptureError: no queries, a layer without keys, or keys of another width.
    """
    if not queries:
        raise CaptureError(NO_QUERIES)
    sums: dict[GridSize, torch.Tensor] = {}
    layers: dict[GridSize, int] = {}
    for layer in queries:
        if layer.layer not in keys:
            raise CaptureError(
                f"Expected a model with the layer {layer.layer}, whose queries were kept, got one without. "
                "Take the model that the attention was captured from."
            )
        mean = _layer_attention(layer, keys[layer.layer])
        sums[layer.grid] = mean if layer.grid not in sums else sums[layer.grid].add_(mean)
        layers[layer.grid] = layers.get(layer.grid, 0) + 1
    finest, *coarser = sorted(sums, key=lambda grid: -grid.tokens)
    coarse = COARSE if coarser else 0.0
    weights = {grid: coarse * layers[grid] / sum(layers[other] for other in coarser) for grid in coarser}
    weights[finest] = 1.0 - coarse
    maps = []
    for grid, weight in weights.items():
        images = (sums[grid] / layers[grid]).transpose(1, 2).unflatten(2, tuple(grid))
        maps.append(on_grid(images, finest).flatten(2).transpose(1, 2) * weight)
    return TextAttention(finest, torch.stack(maps).sum(0))


def on_grid(maps: torch.Tensor, target: GridSize) -> torch.Tensor:
    """Maps ``[B, n, h, w]`` on another grid: means of its cells where it is coarser, bilinear where finer."""
    grid = GridSize(*maps.shape[2:])
    coarser = GridSize(min(grid.height, target.height), min(grid.width, target.width))
    if coarser != grid:
        sums = pool_keys(maps.flatten(0, 1).flatten(1).contiguous(), grid, coarser)
        maps = (sums * (coarser.tokens / grid.tokens)).view(*maps.shape[:2], *coarser)
    if coarser == target:
        return maps
    return F.interpolate(maps, size=tuple(target), mode="bilinear", align_corners=False)


class TextAccumulator:
    """Gathers what the image's tokens pay to the text in layers of joint attention over both."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | None = None
        self._grid = GridSize(0, 0)
        self._layers = 0

    @torch.no_grad()
    def gather(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        grid: GridSize,
        text: slice,
        mask: torch.Tensor | None = None,
    ) -> None:
        """Add a layer: the text's columns of softmax(QKᵀ/√d) over all keys, heads averaged.

        Args:
            query: of the image's tokens, ``[B, heads, n, d]`` with n = h·w.
            key: of all tokens, ``[B, heads, tokens, d]``, or with fewer heads, each of which serves several
                of the query's in a row.
            grid: h and w.
            text: which of the keys are the text's.
            mask: with which the model attends to the keys: of bool, False where one is hidden; else added to
                the scores. One that hides nothing is as good as none.

        Raises:
            CaptureError: the queries are not those of the grid; another grid, number of images or length
                of the text than of the layers before; or a mask that hides tokens.
        """
        if mask is not None and bool((~mask if mask.dtype == torch.bool else mask != 0).any()):
            raise CaptureError(HIDDEN)
        if query.shape[2] != grid.tokens:
            raise CaptureError(f"Expected queries of {grid.tokens} tokens ({grid}), got {query.shape[2]}.")
        if key.shape[1] != query.shape[1]:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        width = len(range(*text.indices(key.shape[2])))
        if self._sum is None:
            self._sum = torch.zeros(len(query), grid.tokens, width, device=query.device)
            self._grid = grid
        if grid != self._grid or (len(query), width) != (len(self._sum), self._sum.shape[2]):
            raise CaptureError(
                f"Expected {len(self._sum)} image(s) and {self._sum.shape[2]} tokens of text on the "
                f"{self._grid} grid, as in the layers before, got {len(query)} and {width} on {grid}."
            )
        for image, rows, weights in _probabilities(query, key):
            self._sum[image, rows] += weights[:, :, text].mean(0)
        self._layers += 1

    def finish(self) -> TextAttention:
        """The mean over the layers gathered.

        Raises:
            CaptureError: no layer was gathered.
        """
        if self._sum is None:
            raise CaptureError("Expected at least one layer of attention to the text, got none.")
        return TextAttention(self._grid, self._sum / self._layers)


def _layer_attention(layer: LayerQueries, keys: torch.Tensor) -> torch.Tensor:
    """softmax(QKᵀ/√d) of one layer, heads averaged: float32 ``[B, n, T]``."""
    queries = layer.queries
    if keys.ndim != 3 or keys.shape[2] != queries.shape[2] or keys.shape[0] not in (1, len(queries)):
        raise CaptureError(
            f"Expected keys of [1, tokens, {queries.shape[2]}] at {layer.layer}, got "
            f"{'×'.join(map(str, keys.shape))}. Connect the model that the attention was captured from."
        )
    query, key = (
        tensor.to(queries.device).unflatten(2, (layer.heads, -1)).transpose(1, 2)
        for tensor in (queries, keys)
    )
    mean = torch.empty(*queries.shape[:2], keys.shape[1], device=queries.device)
    for image, rows, weights in _probabilities(query, key.expand(len(query), -1, -1, -1)):
        mean[image, rows] = weights.mean(0)
    return mean


def _probabilities(query: torch.Tensor, key: torch.Tensor) -> Iterator[tuple[int, slice, torch.Tensor]]:
    """softmax(QKᵀ/√d) in float32, ``[heads, rows, keys]``, image by image in chunks of rows."""
    _, heads, tokens, width = query.shape
    scale = 1.0 / math.sqrt(width)
    step = max(1, CHUNK_VALUES // (heads * key.shape[2]))
    for image in range(len(query)):
        keys = key[image].float().transpose(1, 2) * scale
        for start in range(0, tokens, step):
            rows = slice(start, start + step)
            yield image, rows, torch.softmax(query[image, :, rows].float() @ keys, dim=-1)
