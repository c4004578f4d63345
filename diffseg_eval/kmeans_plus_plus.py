"""Where k-means starts when nothing else says where."""

from __future__ import annotations

import math

import numpy as np
import torch

SEED = 0


def kmeans_plus_plus(features: torch.Tensor, clusters: int) -> torch.Tensor:
    """Greedy k-means++ (Arthur and Vassilvitskii, 2007), as scikit-learn's ``KMeans`` starts; deterministic.

    Each next centre is the best of 2 + ln K features drawn with probability proportional to the squared
    distance to the nearest centre so far.

    Args:
        features: float32 ``[n, d]``.
        clusters: K ≥ 1.

    Returns:
        float32 ``[K, d]``, rows of the features; fewer where fewer are different.
    """
    random = np.random.default_rng(SEED)
    candidates = 2 + int(math.log(clusters))
    chosen = [int(random.integers(len(features)))]
    nearest = _distances(features, chosen[0])  # [n]
    while len(chosen) < min(clusters, len(features)) and nearest.max() > 0:
        drawn = random.choice(len(features), size=candidates, p=nearest / nearest.sum())
        reached = [np.minimum(nearest, _distances(features, index)) for index in drawn]
        best = int(np.argmin([distances.sum() for distances in reached]))
        chosen.append(int(drawn[best]))
        nearest = reached[best]
    return features[chosen]


def _distances(features: torch.Tensor, index: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Squared distance of every feature to one of them."""
    return (features - features[index]).square().sum(1).double().cpu().numpy()
