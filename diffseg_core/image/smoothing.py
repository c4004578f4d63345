"""An image without its grain."""

from __future__ import annotations

import math

import torch

from .. import progress
from ..grid import GridSize

SMOOTHING = 0.8  # standard deviation in pixels, at the usual size
DEFAULT_PIXELS = 512 * 512
BLOCK = 128  # rows that are convolved in one matrix product
BAND_VALUES = 2**22  # values that are convolved both ways at a time: memory that is used again and again


def enlargement(size: GridSize) -> float:
    """How much longer an image's sides are than those of the usual one: lengths in pixels grow with it."""
    return math.sqrt(size.tokens / DEFAULT_PIXELS)


def smoothed(image: torch.Tensor, deviation: float = SMOOTHING) -> torch.Tensor:
    """An image without its grain: convolved with a Gaussian that grows with the image.

    Args:
        image: ``[H, W, 3]`` in 0..1.
        deviation: of the Gaussian, in pixels of an image of 512×512; smaller ones have the same.

    Returns:
        float32 ``[H, W, 3]`` on the CPU.
    """
    deviation *= max(1.0, enlargement(GridSize(*image.shape[:2])))
    radius = math.ceil(4 * deviation)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * deviation**2))
    kernel /= kernel.sum()
    smooth = torch.empty(image.shape)
    planes = image.float().cpu()
    rows = max(BLOCK, BAND_VALUES // max(1, smooth[0].numel()))
    for start in range(0, len(smooth), rows):
        band = slice(start, min(len(smooth), start + rows))
        down = _along_columns(planes, kernel, band).transpose(0, 1).contiguous()
        smooth[band] = _along_columns(down, kernel, slice(0, len(down))).transpose(0, 1)
    return smooth


def _along_columns(planes: torch.Tensor, kernel: torch.Tensor, part: slice) -> torch.Tensor:
    """Convolve some rows of ``[H, W, C]`` along the first axis; beyond the ends the last values go on.

    Every block of rows is the product of a banded matrix and the rows around it.
    """
    rows = planes.flatten(1)
    out = rows.new_empty(part.stop - part.start, rows.shape[1])
    radius = len(kernel) // 2
    # Row b of the band holds the kernel from column b on.
    band = torch.zeros(BLOCK, BLOCK + 2 * radius)
    for offset, value in enumerate(kernel.tolist()):
        band.diagonal(offset).fill_(value)
    for start in range(part.start, part.stop, BLOCK):
        progress.step()
        stop = min(part.stop, start + BLOCK)
        if start >= radius and stop + radius <= len(rows):
            around = rows[start - radius : stop + radius]
        else:
            around = rows[torch.arange(start - radius, stop + radius).clamp_(0, len(rows) - 1)]
        written = out[start - part.start : stop - part.start]
        torch.mm(band[: stop - start, : len(around)], around, out=written)
    return out.view(-1, *planes.shape[1:])
