"""The optional k-means refinement (paper, appendix; the reference's ``refine``)."""

from __future__ import annotations

import torch

from .. import progress

MAX_ITERATIONS = 300
RELATIVE_TOLERANCE = 1e-4


def kmeans(maps: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Lloyd's algorithm over all maps of one image, started at the proposals.

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
    members = torch.nn.functional.one_hot(labels, len(centres)).to(maps.dtype).T  # [K, n]
    counts = members.sum(1, keepdim=True)
    means = (members @ maps) / counts.clamp_min(1.0)
    return torch.where(counts > 0, means, centres)
