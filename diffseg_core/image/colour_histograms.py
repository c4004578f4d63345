"""What colours a segment has: histograms that can stand beside its attention map."""

from __future__ import annotations

import torch

from ..grid import GridSize
from .smoothing import enlargement

BINS = 6  # of lightness and of each of the two colour differences
SPREAD = 0.5  # colour differences are told apart from −0.5 to 0.5; few are greater
PRIOR = 1e-3  # share of the whole image's histogram in each, so that none has zeros where the image has not


def colour_histograms(image: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    """The share of each colour in every segment.

    Colours are lightness, red against green and yellow against blue, in 6×6×6 bins.

    Args:
        image: float32 ``[H, W, 3]``, RGB in 0..1.
        segments: int ``[H, W]``, 0..S-1, each somewhere.

    Returns:
        float32 ``[S, C]``, rows sum to 1; C is the number of bins that the image has pixels in.
    """
    # A larger image is sampled as densely as one of the usual size is in all its pixels.
    stride = max(1, int(enlargement(GridSize(*segments.shape))))
    offset = (stride - 1) // 2
    sampled = slice(offset, None, stride)
    count = int(segments.max()) + 1
    if stride > 1 and len(segments[sampled, sampled].unique()) < count:
        sampled = slice(None)  # a segment would be missed
    segments = segments[sampled, sampled]
    red, green, blue = image[sampled, sampled].unbind(-1)
    axes = (
        (red + green + blue) / 3,
        (red - green) / (2 * SPREAD) + 0.5,
        ((red + green) / 2 - blue) / (2 * SPREAD) + 0.5,
    )
    colour = torch.zeros_like(segments, dtype=torch.int64)
    for axis in axes:
        colour = colour * BINS + (axis * BINS).long().clamp_(0, BINS - 1)
    colours = BINS ** len(axes)
    pairs = segments.long() * colours + colour
    table = pairs.flatten().bincount(minlength=count * colours).view(count, colours)
    table = table[:, table.any(0)].float()
    whole = table.sum(0) / table.sum()
    return (1 - PRIOR) * table / table.sum(1, keepdim=True) + PRIOR * whole
