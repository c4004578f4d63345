"""A picture without its grain, and the smaller sizes that the work on its edges begins at."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from ..grid import GridSize

SMOOTHING = 0.8  # standard deviation in pixels, at the usual size
USUAL_PIXELS = 512 * 512
BLOCK = 64  # values that one row of the product gives: a convolution is a matrix product over blocks
CHUNK_VALUES = 2**22  # values convolved at a time: 16 MB of float32


def enlargement(size: GridSize) -> float:
    """How much longer a picture's sides are than those of the usual one: lengths in pixels grow with it."""
    return math.sqrt(size.tokens / USUAL_PIXELS)


def sizes_up_to(size: GridSize) -> list[GridSize]:
    """Sizes at which a picture is worked at one after the other: the usual one, about twice that, … its own.

    >>> [str(each) for each in sizes_up_to(GridSize(2000, 3000))]
    ['418×627', '914×1372', '2000×3000']
    >>> sizes_up_to(GridSize(40, 30))
    [GridSize(height=40, width=30)]
    """
    scale = max(1.0, enlargement(size))
    steps = max(1, round(math.log2(scale))) if scale > 1 else 0
    smaller = [scale ** (1 - step / steps) for step in range(steps)]
    return [*(GridSize(*(max(1, round(side / by)) for side in size)) for by in smaller), size]


def resized(picture: torch.Tensor, size: GridSize) -> torch.Tensor:
    """A picture ``[H, W, 3]`` at a smaller size, float32 on the CPU."""
    planes = picture.float().cpu().permute(2, 0, 1)[None]
    if GridSize(*planes.shape[2:]) != size:
        planes = F.interpolate(planes, size=tuple(size), mode="bilinear", antialias=True)
    return planes[0].permute(1, 2, 0)


def smoothed(picture: torch.Tensor, deviation: float = SMOOTHING) -> torch.Tensor:
    """A picture without its grain: convolved with a Gaussian that grows with the picture.

    Args:
        picture: ``[H, W, 3]`` in 0..1.
        deviation: of the Gaussian, in pixels of a picture of 512×512; smaller ones have the same.

    Returns:
        float32 ``[H, W, 3]`` on the CPU.
    """
    deviation *= max(1.0, enlargement(GridSize(*picture.shape[:2])))
    radius = math.ceil(4 * deviation)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * deviation**2))
    kernel /= kernel.sum()
    smooth = torch.empty(picture.shape)
    for channel in range(picture.shape[2]):
        plane = picture[..., channel].float().cpu()
        smooth[..., channel] = _along_rows(_along_rows(plane, kernel).T, kernel).T
    return smooth


def _along_rows(plane: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Convolve every row of ``[H, W]``; beyond the ends a row goes on with its last values."""
    height, width = plane.shape
    radius = len(kernel) // 2
    blocks = -(-width // BLOCK)
    # Column b of the band holds the kernel from row b on: [BLOCK + 2 radius, BLOCK].
    band = torch.zeros(BLOCK, BLOCK + 2 * radius)
    for offset, value in enumerate(kernel.tolist()):
        band.diagonal(offset).fill_(value)
    out = torch.empty(height, width)
    rows = max(1, CHUNK_VALUES // (blocks * (BLOCK + 2 * radius)))
    columns = torch.arange(-radius, blocks * BLOCK + radius).clamp_(0, width - 1)
    for start in range(0, height, rows):
        chunk = slice(start, start + rows)
        windows = plane[chunk].index_select(1, columns).unfold(1, BLOCK + 2 * radius, BLOCK)
        out[chunk] = (windows @ band.T).flatten(1)[:, :width]
    return out
