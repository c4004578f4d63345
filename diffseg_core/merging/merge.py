"""Anchors and iterative attention merging (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from ..grid import GridSize
from .divergence import floored_log, symmetric_divergence

# Of the maps, what is compared with the anchors at a time: what fits a processor's cache; elsewhere more.
CHUNK_VALUES_CPU = 2**19  # 2 MB of float32
CHUNK_VALUES = 2**24  # 64 MB of float32
BOUND_ROWS = 4096  # maps that are seen from afar at a time
BIN = 16  # entries of a map that are added up to see from afar whether two maps can be near
Chunks = Iterator[tuple[torch.Tensor, torch.Tensor]]  # tokens, and indices among the anchors
MARGIN = 1e-3  # far above the rounding of a divergence


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


def merge(maps: torch.Tensor, anchors: torch.Tensor, thresholds: Sequence[float]) -> torch.Tensor:
    """Iterative attention merging of one image.

    Pass 1: each anchor becomes the mean of all maps with D < τ₁. Passes 2…N: proposals are walked in
    order; one that is not yet matched is averaged with every proposal (matched earlier or not) with
    D < τ into a new one, and all of them are marked matched.

    Args:
        maps: float32 ``[n, keys]``, the aggregated attention.
        anchors: int64 ``[M²]``, the anchors' tokens.
        thresholds: one merge threshold for each pass, in nats.

    Returns:
        proposals, float32 ``[K, keys]``, 1 ≤ K ≤ M², rows sum to 1.
    """
    proposals = _first_pass(maps, anchors.to(maps.device), thresholds[0])
    for threshold in thresholds[1:]:
        proposals = _merge_proposals(proposals, threshold)
    return proposals


def _first_pass(
    maps: torch.Tensor, anchors: torch.Tensor, threshold: float, sift: bool | None = None
) -> torch.Tensor:
    """The mean of all maps near each anchor: ``[n, keys]`` and ``[M²]`` to ``[M², keys]``.

    Sifting leaves out pairs that cannot be near before they are compared. It is the default on the CPU
    only: an accelerator has compared everything before the host would learn what to leave out.
    """
    sift = maps.device.type == "cpu" if sift is None else sift
    p = maps[anchors]
    log_p = floored_log(p)
    sums, counts = torch.zeros_like(p), p.new_zeros(len(p), 1)
    for tokens, some in (_sifted_chunks if sift else _chunks)(maps, anchors, threshold):
        q = maps[tokens]
        near = symmetric_divergence(p[some], q, log_p[some], floored_log(q)) < threshold
        # An anchor is at distance 0 from itself; rounding must not drop it from its own neighbourhood.
        members = (near | (anchors[some, None] == tokens)).to(maps.dtype)
        sums.index_add_(0, some, members @ q)
        counts.index_add_(0, some, members.sum(1, keepdim=True))
    return sums.div_(counts)


def _chunks(maps: torch.Tensor, anchors: torch.Tensor, threshold: float) -> Chunks:
    """All tokens a chunk at a time, each with all anchors."""
    every = torch.arange(len(anchors), device=maps.device)
    tokens = torch.arange(maps.shape[0], device=maps.device)
    for chunk in tokens.split(max(1, CHUNK_VALUES // maps.shape[1])):
        yield chunk, every


def _sifted_chunks(maps: torch.Tensor, anchors: torch.Tensor, threshold: float) -> Chunks:
    """All tokens a chunk at a time, each with the anchors that any of its maps can be near."""
    possible = _possibly_near(maps, anchors, threshold)
    # Maps that may be near the same anchors go side by side, so that a chunk concerns few anchors.
    order = possible.view(torch.uint8).argmax(0).argsort()
    for chunk in order.split(max(1, CHUNK_VALUES_CPU // maps.shape[1])):
        yield chunk, possible[:, chunk].any(1).nonzero().squeeze(1)


def _possibly_near(maps: torch.Tensor, anchors: torch.Tensor, threshold: float) -> torch.Tensor:
    """Which maps can be near which anchors at all: bool ``[M², n]``, true wherever D < τ.

    Adding up entries of two maps never increases the divergence between them (data processing), nor does
    leaving entries out, for every term of (p − q)(log p − log q) is ≥ 0. So the divergence between maps of
    a sixteenth of the entries is a lower bound, at a sixteenth of the cost.
    """
    binned = maps.shape[1] // BIN * BIN

    def added_up(some: torch.Tensor) -> torch.Tensor:
        return some[:, :binned].unflatten(1, (-1, BIN)).sum(2)

    p = added_up(maps[anchors])
    log_p = floored_log(p)
    possible = []
    for some in maps.split(BOUND_ROWS):
        q = added_up(some)
        bound = symmetric_divergence(p, q, log_p, floored_log(q))
        possible.append(bound < threshold * (1.0 + MARGIN) + MARGIN)
    return torch.cat(possible, 1)


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
    return _means(near[chosen], proposals)


def _means(members: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Unweighted means of the maps that each row of ``members`` (bool ``[K, n]``) marks."""
    weights = members.to(maps.dtype)
    return (weights @ maps).div_(weights.sum(1, keepdim=True))
