"""Features as evidence: enlarged to the image, averaged over leaves, and turned into maps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from device_use import queued_only

from diffseg_core.attention.features import bands, directions, feature_maps, likeness, mean_over_leaves
from diffseg_core.grid import GridSize


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("size", [(3, 4), (9, 8), (32, 29), (2, 3), (1, 1)])
@pytest.mark.parametrize("values", [1, 2**24])
def test_bands_are_pytorchs_bilinear_enlargement(monkeypatch, size, values):
    monkeypatch.setattr("diffseg_core.attention.features.CHUNK_VALUES", values)
    tokens, grid = drawn(12, 5), GridSize(3, 4)
    found = torch.cat([band for _, band in bands(tokens, grid, GridSize(*size))])
    whole = tokens.T.reshape(1, 5, 3, 4)
    expected = F.interpolate(whole, size=size, mode="bilinear", align_corners=False)[0].flatten(1).T
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("chunk", [2**22, 1], ids=["at once", "line by line"])
def test_means_over_leaves_are_those_of_their_pixels(monkeypatch, chunk):
    monkeypatch.setattr("diffseg_core.attention.features.CHUNK_PIXELS", chunk)
    generator = torch.Generator().manual_seed(2)
    for grid, size in (((3, 4), (10, 12)), ((5, 7), (33, 50)), ((1, 4), (6, 9)), ((9, 9), (4, 5))):
        tokens = drawn(grid[0] * grid[1], 5)
        leaves = torch.randint(-1, 6, size, generator=generator).int()
        leaves.view(-1)[:6] = torch.arange(6)  # none without a pixel
        whole = tokens.double().T.reshape(1, 5, *grid)
        pixels = F.interpolate(whole, size=size, mode="bilinear", align_corners=False)[0]
        expected = torch.stack([pixels[:, leaves == leaf].mean(1) for leaf in range(6)])
        with queued_only():
            means = mean_over_leaves(tokens, GridSize(*grid), leaves, 6)
        torch.testing.assert_close(means.double(), expected, atol=1e-6, rtol=1e-5)
    assert mean_over_leaves(drawn(16, 3), GridSize(4, 4), torch.full((8, 8), -1), 0).shape == (0, 3)


def test_likeness_is_the_papers_affinity_as_probabilities():
    tokens = F.normalize(drawn(20, 6), dim=1)
    cosines = tokens @ tokens.T
    affinity = ((cosines - cosines.min()) / (cosines.max() - cosines.min())).clamp_min(1e-4) ** 10
    expected = affinity / affinity.sum(1, keepdim=True)
    torch.testing.assert_close(likeness(tokens, tokens), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_leaves_of_one_kind_have_one_map_and_it_names_its_kind(dtype):
    features = torch.zeros(2, 4, 4, dtype=dtype)
    features[0, :, :2], features[1, :, 2:] = 3.0, 0.5  # lengths do not matter
    leaves = torch.arange(4).repeat_interleave(2).expand(8, 8).contiguous().int()  # strips of 2 pixels
    maps = feature_maps(features, leaves, 4).view(4, 4, 4)
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(4))
    assert maps[0, :, :2].sum() > 0.99
    assert maps[3, :, 2:].sum() > 0.99
    torch.testing.assert_close(maps[0].flip(1), maps[3])


def test_places_without_features_give_no_nan():
    features = torch.zeros(3, 4, 4)
    features[:, 0, 0] = 1.0
    assert torch.isfinite(feature_maps(features, torch.zeros(8, 8).int(), 1)).all()
    assert torch.isfinite(directions(torch.zeros(3, 4, 4))).all()
