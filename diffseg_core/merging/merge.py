"""Anchors and iterative attention merging (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..grid import GridSize
from .anchor_distances import AnchorDistances
from .divergence import floored_log, symmetric_divergence


def anchor_tokens(grid: GridSize, per_side: int) -> torch.Tensor:
    """Tokens of a centred, evenly spaced ``per_side`` × ``per_side`` grid of anchors, row-major.

    With n the side's length the step is (n − 1) // (per_side − 1), as in the reference; each side has
    its own step where the grid is not square.

    Returns:
        int64 ``[per_side²]``.

    >>> anchor_tokens(GridSize(5, 5), 2).tolist()
    [0, 4, 20, 24]
    """

    def positions(length: int) -> torch.Tensor:
        span = (length - 1) // (per_side - 1) * (per_side - 1)
        step = span // (per_side - 1)
        return torch.arange(per_side) * step + (length - 1 - span) // 2

    return (positions(grid.height)[:, None] * grid.width + positions(grid.width)).flatten()


def merge(
    maps: torch.Tensor,
    anchors: torch.Tensor,
    thresholds: Sequence[float],
    distances: AnchorDistances | None = None,
) -> torch.Tensor:
    """Iterative attention merging of one image.

    Pass 1: each anchor becomes the mean of all maps with D < τ₁. Passes 2…N: proposals are walked in
    order; one that is not yet matched is averaged with every proposal (matched earlier or not) with
    D < τ into a new one, and all of them are marked matched.

    Args:
        maps: float32 ``[n, keys]``, the aggregated attention.
        anchors: int64 ``[M²]``, the anchors' tokens.
        thresholds: one merge threshold for each pass, in nats.
        distances: those of the maps and anchors, where they are kept for other thresholds.

    Returns:
        proposals, float32 ``[K, keys]``, 1 ≤ K ≤ M², rows sum to 1.
    """
    distances = distances or AnchorDistances(maps, anchors)
    proposals = distances.means(thresholds[0])
    for threshold in thresholds[1:]:
        proposals = _merge_proposals(proposals, threshold)
    return proposals


def _merge_proposals(proposals: torch.Tensor, threshold: float) -> torch.Tensor:
    """One further pass over the proposals, ``[K, keys]`` to ``[K' ≤ K, keys]``."""
    logs = floored_log(proposals)
    near = symmetric_divergence(proposals, proposals, logs, logs) < threshold
    near.fill_diagonal_(True)
    rows = near.cpu().numpy()  # the walk below is sequential: one transfer, then no more
    matched = rows[0] & False
    chosen = []
    for index, row in enumerate(rows):
        if not matched[index]:
            chosen.append(index)
            matched |= row
    weights = near[chosen].to(proposals.dtype)
    return (weights @ proposals).div_(weights.sum(1, keepdim=True))
