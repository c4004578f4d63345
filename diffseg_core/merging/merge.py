"""Anchors and iterative attention merging (paper, section 3.3), and the optional refinement by k-means.

The distance between attention maps is two matrix products (equation 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from .. import progress
from ..grid import GridSize

FLOOR = torch.finfo(torch.float32).tiny
CHUNK_VALUES = 2**24  # of the maps, what is compared with the anchors at a time: 64 MB of float32
MAX_ITERATIONS = 300
RELATIVE_TOLERANCE = 1e-4


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


def floored_log(maps: torch.Tensor) -> torch.Tensor:
    """Natural logarithm of float32 probabilities, finite where they are zero."""
    return maps.clamp_min(FLOOR).log_()


def symmetric_divergence(
    p: torch.Tensor, q: torch.Tensor, log_p: torch.Tensor, log_q: torch.Tensor
) -> torch.Tensor:
    """D(p, q) = ½(KL(p‖q) + KL(q‖p)) = ½ Σ (p − q)(log p − log q) between all pairs.

    Args:
        p, q: float32 ``[P, n]`` and ``[Q, n]``, rows sum to 1.
        log_p, log_q: their ``floored_log``.

    Returns:
        float32 ``[P, Q]``, in nats, ≥ 0 up to rounding.

    Unlike the reference, which computes the first pass in float16 without a floor (zeros give NaN and
    an anchor silently disappears), this computes in float32 and floors at its smallest normal number.
    """
    cross = p @ log_q.T  # Σ p log q
    cross.addmm_(log_p, q.T)  # + Σ q log p
    entropy_p, entropy_q = torch.linalg.vecdot(p, log_p), torch.linalg.vecdot(q, log_q)  # Σ p log p
    return cross.neg_().add_(entropy_p[:, None]).add_(entropy_q).mul_(0.5)


class AnchorDistances:
    """The divergences between anchors and maps, worked out once for all thresholds.

    Args:
        maps: float32 ``[n, keys]``, the aggregated attention of one image.
        anchors: int64 ``[M²]``, the anchors' tokens.

    Attributes:
        tensor: the divergences, float32 ``[M², n]``.
    """

    def __init__(self, maps: torch.Tensor, anchors: torch.Tensor) -> None:
        self._maps, self._anchors = maps, anchors.to(maps.device)
        p = maps[self._anchors]
        log_p = floored_log(p)
        columns = []
        for q in maps.split(max(1, CHUNK_VALUES // maps.shape[1])):
            progress.step()
            columns.append(symmetric_divergence(p, q, log_p, floored_log(q)))
        self.tensor = torch.cat(columns, 1)

    def near(self, threshold: float) -> torch.Tensor:
        """Which maps have a divergence below the threshold from which anchors: bool ``[M², n]``."""
        near = self.tensor < threshold
        # An anchor is at distance 0 from itself; rounding must not drop it from its own neighbourhood.
        return near.scatter_(1, self._anchors[:, None], True)

    def means(self, threshold: float) -> torch.Tensor:
        """The mean of all maps near each anchor: float32 ``[M², keys]``."""
        near = self.near(threshold)
        sums = near.to(self._maps.dtype) @ self._maps
        return sums.div_(near.sum(1, keepdim=True))


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


def kmeans(maps: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Lloyd's algorithm over all maps of one image, started at the proposals (paper, appendix).

    Stops as scikit-learn's ``KMeans`` does: when no map changes its cluster, or the centres move by
    less than 1e-4 of the maps' mean variance. Clusters that become empty are dropped (in the
    reference they give NaN).

    Args:
        maps: float32 ``[n, keys]``, the aggregated attention.
        centres: float32 ``[K, keys]``, the proposals to start from.

    Returns:
        float32 ``[K' ≤ K, keys]``: the clusters' means.
    """
    # Only differences of distances count, so |x|² is left out: d(x, c) = |c|² − 2 x·c.
    # Subtracting the mean map keeps those differences exact in float32.
    mean = maps.mean(0)
    tolerance = RELATIVE_TOLERANCE * maps.var(0, correction=0).mean()
    labels = _assign(maps, centres, mean)
    for _ in range(MAX_ITERATIONS):
        progress.step()
        moved = _cluster_means(maps, labels, centres)
        shift = (moved - centres).square().sum()
        centres = moved
        previous, labels = labels, _assign(maps, centres, mean)
        # One small transfer an iteration decides whether to stop; an iteration costs far more.
        if bool(((labels == previous).all()) | (shift <= tolerance)):
            break
    used = labels.unique()
    return _cluster_means(maps, labels, centres)[used]


def _assign(maps: torch.Tensor, centres: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """The nearest centre of every map: int64 ``[n]``."""
    offset = centres - mean
    distance = (offset.square().sum(1) + 2.0 * (offset @ mean)) - 2.0 * (maps @ offset.T)
    return distance.argmin(1)


def _cluster_means(maps: torch.Tensor, labels: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Mean map of every cluster; an empty cluster keeps its centre."""
    members = F.one_hot(labels, len(centres)).to(maps.dtype).T  # [K, n]
    counts = members.sum(1, keepdim=True)
    means = (members @ maps) / counts.clamp_min(1.0)
    return torch.where(counts > 0, means, centres)
