"""A picture without its grain."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ..grid import GridSize

SMOOTHING = 0.8  # standard deviation in pixels, at the usual size
USUAL_PIXELS = 512 * 512
BLOCK = 128  # rows that are convolved in one matrix product


def enlargement(size: GridSize) -> float:
    """How much longer a picture's sides are than those of the usual one: lengths in pixels grow with it."""
    return math.sqrt(size.tokens / USUAL_PIXELS)


def smoothed(
    picture: torch.Tensor, deviation: float = SMOOTHING, on_step: Callable[[], None] = lambda: None
) -> torch.Tensor:
    """A picture without its grain: convolved with a Gaussian that grows with the picture.

    Args:
        picture: ``[H, W, 3]`` in 0..1.
        deviation: of the Gaussian, in pixels of a picture of 512×512; smaller ones have the same.
        on_step: called many times; what it raises ends the call.

    Returns:
        float32 ``[H, W, 3]`` on the CPU.
    """
    deviation *= max(1.0, enlargement(GridSize(*picture.shape[:2])))
    radius = math.ceil(4 * deviation)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * deviation**2))
    kernel /= kernel.sum()
    across = _along_columns(picture.float().cpu().transpose(0, 1).contiguous(), kernel, on_step)
    return _along_columns(across.transpose(0, 1).contiguous(), kernel, on_step)


def _along_columns(planes: torch.Tensor, kernel: torch.Tensor, on_step: Callable[[], None]) -> torch.Tensor:
    """Convolve ``[H, W, C]`` along its first axis; beyond the ends it goes on with its last values.

    Every block of rows is the product of a banded matrix and the rows around it.
    """
    height = len(planes)
    rows, out = planes.flatten(1), torch.empty_like(planes)
    radius = len(kernel) // 2
    # Row b of the band holds the kernel from column b on.
    band = torch.zeros(BLOCK, BLOCK + 2 * radius)
    for offset, value in enumerate(kernel.tolist()):
        band.diagonal(offset).fill_(value)
    for start in range(0, height, BLOCK):
        on_step()
        stop = min(height, start + BLOCK)
        if start >= radius and stop + radius <= height:
            around = rows[start - radius : stop + radius]
        else:
            around = rows[torch.arange(start - radius, stop + radius).clamp_(0, height - 1)]
        torch.mm(band[: stop - start, : len(around)], around, out=out[start:stop].flatten(1))
    return out
