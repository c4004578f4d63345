"""Images that the tests share."""

from __future__ import annotations

import torch


def mosaic(height: int, width: int, cells: int = 6, seed: int = 0) -> torch.Tensor:
    """An image of coloured rectangles with a little grain: `[1, H, W, 3]`."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.rand(cells, cells, 3, generator=generator)
    rows, columns = torch.arange(height) * cells // height, torch.arange(width) * cells // width
    grain = 0.01 * torch.randn(height, width, 3, generator=generator)
    return (colours[rows][:, columns] + grain).clamp(0, 1)[None]
