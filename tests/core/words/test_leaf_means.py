"""Means over leaves, against resizing the maps to the pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from device_use import queued_only

from diffseg_core.words import leaf_means as module
from diffseg_core.words.leaf_means import leaf_means


def by_resizing(maps: torch.Tensor, leaves: torch.Tensor, count: int) -> torch.Tensor:
    size = tuple(leaves.shape)
    pixels = F.interpolate(maps[None].double(), size=size, mode="bilinear", align_corners=False)[0]
    return torch.stack([pixels[:, leaves == leaf].mean(1) for leaf in range(count)])


@pytest.mark.parametrize(
    ("grid", "size"),
    [
        ((8, 8), (64, 64)),
        ((5, 7), (33, 50)),
        ((7, 5), (50, 33)),
        ((1, 4), (6, 9)),
        ((6, 6), (6, 6)),
        ((9, 9), (4, 5)),
    ],
    ids=str,
)
@pytest.mark.parametrize("chunk", [2**22, 1], ids=["at once", "line by line"])
def test_they_are_those_of_the_resized_maps(monkeypatch, grid, size, chunk):
    monkeypatch.setattr(module, "CHUNK_PIXELS", chunk)
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(3, *grid, generator=generator)
    leaves = torch.randint(-1, 4, size, generator=generator).int()
    leaves.view(-1)[:4] = torch.arange(4)  # none without a pixel
    with queued_only():
        found = leaf_means(maps, leaves, 4)
    torch.testing.assert_close(found.double(), by_resizing(maps, leaves, 4), atol=1e-6, rtol=1e-5)


def test_no_leaf_has_no_mean():
    assert leaf_means(torch.rand(3, 4, 4), torch.full((8, 8), -1), 0).shape == (0, 3)
