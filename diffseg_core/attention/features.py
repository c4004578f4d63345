"""Features of a layer as evidence: what is alike in them, as maps of the kind that attention gives."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from ..errors import InvalidSettingError
from ..grid import GridSize
from ..settings import CUT_POWER
from .maps import AttentionMaps

CHUNK_VALUES = 2**24  # of an enlarged map
CHUNK_PIXELS = 2**22  # whose weights are worked out at a time, some 100 MB


def features_of(maps: AttentionMaps) -> torch.Tensor:
    """The features of a capture, ``[B, C, h, w]``.

    Raises:
        InvalidSettingError: it has none.
    """
    if maps.features is None:
        raise InvalidSettingError(
            "Expected attention with features, got one without. Capture it anew: those captured by earlier "
            "versions, or put together by hand, have none."
        )
    return maps.features


def directions(features: torch.Tensor) -> torch.Tensor:
    """An image's features at length 1: ``[C, h, w]`` to float32 ``[h*w, C]``; 0 stays 0."""
    return F.normalize(features.flatten(1).T.float(), dim=1)


def likeness(concepts: torch.Tensor, tokens: torch.Tensor, power: float = CUT_POWER.default) -> torch.Tensor:
    """How like each token is to each concept, as probabilities over the tokens.

    DiffCut's affinity: the cosine, scaled to 0..1 over all pairs of tokens, to a power.

    Args:
        concepts: float32 ``[S, C]``, of length 1.
        tokens: float32 ``[n, C]``, of length 1.
        power: above 0.

    Returns:
        float32 ``[S, n]``; rows sum to 1.
    """
    rows = max(1, CHUNK_VALUES // len(tokens))
    bounds = torch.stack([torch.stack((some @ tokens.T).aminmax()) for some in tokens.split(rows)])
    lowest, highest = bounds[:, 0].min(), bounds[:, 1].max()
    span = (highest - lowest).clamp_min(1e-12)
    affinity = ((concepts @ tokens.T - lowest) / span).clamp(1e-4, 1.0) ** power
    return affinity / affinity.sum(1, keepdim=True)


def feature_maps(features: torch.Tensor, leaves: torch.Tensor, count: int) -> torch.Tensor:
    """What stands for the mean attention map of every leaf where features are the evidence.

    Args:
        features: ``[C, h, w]`` of an image.
        leaves: int ``[H, W]``, 0..count-1.
        count: number of leaves.

    Returns:
        float32 ``[count, h*w]``: how like each token is to the mean of the leaf's features, enlarged
        bilinearly to the image; rows sum to 1.
    """
    tokens = directions(features)
    grid = GridSize(*features.shape[1:])
    means = mean_over_leaves(tokens, grid, leaves, count)
    return likeness(F.normalize(means, dim=1), tokens)


def mean_over_leaves(values: torch.Tensor, grid: GridSize, leaves: torch.Tensor, count: int) -> torch.Tensor:
    """Every leaf's mean of what tokens have, enlarged bilinearly to the image.

    The enlargement is a weighted mean of tokens, so that only its weights go over the image.

    Args:
        values: float32 ``[h*w, C]``.
        grid: h and w.
        leaves: int ``[H, W]``, 0..count-1, −1 for pixels that belong to none.
        count: number of leaves; each has a pixel.

    Returns:
        float32 ``[count, C]``, on the device of ``values``.
    """
    device = values.device
    left, right, across = (part.to(device) for part in _between(leaves.shape[1], grid.width))
    above, below, down = (part.to(device)[:, None] for part in _between(leaves.shape[0], grid.height))
    weights = torch.zeros((count + 1) * grid.tokens, device=device)  # the first row: of no leaf
    step = max(1, CHUNK_PIXELS // leaves.shape[1])
    for start in range(0, leaves.shape[0], step):
        rows = slice(start, start + step)
        first = (leaves[rows].to(device).long() + 1) * grid.tokens
        for lines, share_of_line in ((above, 1.0 - down), (below, down)):
            for columns, share_of_column in ((left, 1.0 - across), (right, across)):
                where = first + lines[rows] * grid.width + columns
                weights.index_add_(0, where.flatten(), (share_of_line[rows] * share_of_column).flatten())
    shares = weights.view(count + 1, grid.tokens)[1:]
    return (shares / shares.sum(1, keepdim=True)) @ values


def bands(values: torch.Tensor, grid: GridSize, size: GridSize) -> Iterator[tuple[slice, torch.Tensor]]:
    """What tokens have, enlarged bilinearly (half-pixel centres) to an image, some rows at a time.

    Args:
        values: float32 ``[h*w, C]``.
        grid: h and w.
        size: height and width of the image.

    Yields:
        which rows of the image, and float32 ``[rows*W, C]``.
    """
    device, (height, width) = values.device, size
    lines = values.view(*grid, -1)
    left, right, across = (part.to(device) for part in _between(width, grid.width))
    above, below, down = (part.to(device) for part in _between(height, grid.height))
    wide = lines[:, left] * (1.0 - across)[None, :, None] + lines[:, right] * across[None, :, None]
    step = max(1, CHUNK_VALUES // (width * values.shape[1]))
    for first in range(0, height, step):
        rows = slice(first, min(first + step, height))
        share = down[rows, None, None]
        yield rows, (wide[above[rows]] * (1.0 - share) + wide[below[rows]] * share).flatten(0, 1)


def _between(length: int, cells: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For every pixel along a side the two nearest tokens, and the share of the second."""
    place = ((torch.arange(length) + 0.5) * cells / length - 0.5).clamp(0.0, cells - 1.0)
    first = place.floor().long()
    return first, (first + 1).clamp_max(cells - 1), place - first
