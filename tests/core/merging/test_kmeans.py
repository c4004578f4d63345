"""The k-means refinement against scikit-learn's, started at the same centres."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from diffseg_core.merging.merge import kmeans


@pytest.mark.parametrize("seed", range(4))
def test_kmeans_equals_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    blobs = generator.dirichlet(np.full(30, 0.3), 6)
    maps = blobs[generator.integers(6, size=400)] * 0.3 + generator.dirichlet(np.full(30, 2.0), 400) * 0.7
    start = maps[generator.choice(400, 5, replace=False)]
    fitted = KMeans(5, init=start, n_init=1).fit(maps)
    assert fitted.n_iter_ > 3, "too easy to tell anything"
    expected = np.stack([maps[fitted.labels_ == index].mean(0) for index in range(5)])
    result = kmeans(torch.from_numpy(maps).float(), torch.from_numpy(start).float()).double().numpy()
    np.testing.assert_allclose(result, expected, atol=1e-6)
    nearest = np.square(maps[:, None] - result).sum(2).argmin(1)
    assert nearest.tolist() == fitted.labels_.tolist()


def test_a_cluster_without_members_is_dropped():
    maps = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
    centres = torch.tensor([[1.0, 0.0], [5.0, 5.0], [0.0, 1.0]])
    torch.testing.assert_close(kmeans(maps, centres), torch.tensor([[0.85, 0.15], [0.15, 0.85]]))
