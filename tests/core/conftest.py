"""Attention maps that the tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch


def softmax_maps(
    grid: tuple[int, int], batch: int = 1, seed: int = 0, sharpness: float = 1.0
) -> torch.Tensor:
    """Attention of a made-up scene: five regions around random centres, float32 `[B, h*w, h*w]`."""
    generator = torch.Generator().manual_seed(seed)
    height, width = grid
    rows, columns = torch.meshgrid(
        (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
    )
    places = torch.stack((rows.flatten(), columns.flatten()), 1)  # [n, 2]
    centres = torch.rand(batch, 5, 2, generator=generator)
    regions = torch.cdist(places.expand(batch, -1, -1), centres).argmin(2)  # [B, n]
    colours = torch.randn(batch, 5, 3, generator=generator) * 1.5 * sharpness
    features = torch.gather(colours, 1, regions[..., None].expand(-1, -1, 3))
    features = features + 0.3 * torch.randn(features.shape, generator=generator)
    features = torch.cat((features, sharpness * places.expand(batch, -1, -1)), 2)
    return torch.softmax(-torch.cdist(features, features).square() / 2, dim=2)


@pytest.fixture
def attention() -> Callable[..., torch.Tensor]:
    return softmax_maps
