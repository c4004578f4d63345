"""A large image worked at from a small size up: only the strips along borders are looked at full size."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from .. import progress
from ..grid import GridSize, nearest_cells
from .smoothing import SMOOTHING, enlargement, smoothed
from .watershed import Labels, watershed

# Of what is sent to a browser. JPEG ends at 65,500 pixels a side and browsers' canvases at 16,384; already
# before that a person would wait for the files, and the browser's tab run out of memory.
MAX_SIDE = 8192
MAX_PIXELS = 2**25

FEWEST = 4  # pixels that a thin part has, to be more than the step of a border


def sizes_up_to(size: GridSize) -> list[GridSize]:
    """Sizes at which an image is worked at one after the other: the usual one, about twice that, … its own.

    >>> [str(each) for each in sizes_up_to(GridSize(2000, 3000))]
    ['418×627', '914×1372', '2000×3000']
    >>> sizes_up_to(GridSize(40, 30))
    [GridSize(height=40, width=30)]
    """
    scale = max(1.0, enlargement(size))
    steps = max(1, round(math.log2(scale))) if scale > 1 else 0
    smaller = [scale ** (1 - step / steps) for step in range(steps)]
    return [*(GridSize(*(max(1, round(side / by)) for side in size)) for by in smaller), size]


def reduced(image: torch.Tensor, size: GridSize) -> torch.Tensor:
    """An image ``[H, W, 3]`` at a smaller size, float32 on the CPU."""
    planes = image.float().cpu().permute(2, 0, 1)[None]
    if GridSize(*planes.shape[2:]) != size:
        planes = F.interpolate(planes, size=tuple(size), mode="bilinear", antialias=True)
    return planes[0].permute(1, 2, 0)


def shown_size(size: GridSize, pixels: int = MAX_PIXELS) -> GridSize:
    """The size at which an image is sent to the browser: its own where that is not too much."""
    scale = min(1.0, MAX_SIDE / max(size), (pixels / size.tokens) ** 0.5)
    return GridSize(*(max(1, int(side * scale)) for side in size))


def eight_bits(image: torch.Tensor, size: GridSize) -> npt.NDArray[np.uint8]:
    """An image ``[H, W, 3]`` in 0..1 at a smaller size or its own, each pixel the mean of its own."""
    if GridSize(*image.shape[:2]) != size:
        image = F.interpolate(image.permute(2, 0, 1)[None], tuple(size), mode="area")[0].permute(1, 2, 0)
    pixels: npt.NDArray[np.uint8] = image.mul(255).round_().clamp_(0, 255).to("cpu", torch.uint8).numpy()
    return pixels


def sampled(labels: Labels, size: GridSize) -> Labels:
    """Labels at another size, every pixel that of the one its centre lies in: ``[H, W]``."""
    if labels.shape == size:
        return labels
    rows, columns = nearest_cells(GridSize(*labels.shape), size)
    return labels.take(columns, axis=1).take(rows, axis=0)


def upsample_labels(
    labels: Labels,
    image: torch.Tensor,
    deviation: float = SMOOTHING,
    smooth: torch.Tensor | None = None,
) -> Labels:
    """Move borders that follow the edges of the smallest image to the edges of the image itself.

    At each larger size the pixels along borders are free, about two on each side, and the others grow over
    them (see `watershed`). Parts too thin to have anything else keep their pixels.

    Args:
        labels: int32 ``[h, w]`` ≥ 0, at the first of `sizes_up_to` the image's size.
        image: ``[H, W, 3]`` in 0..1.
        deviation: of `smoothed`.
        smooth: the image so smoothed, where it is known already.

    Returns:
        int32 ``[H, W]``; as given, where the image is no larger.
    """
    full = GridSize(*image.shape[:2])
    for size in sizes_up_to(full)[1:]:
        progress.step()
        if size == full and smooth is not None:
            larger = smooth
        else:
            larger = smoothed(reduced(image, size), deviation)
        seeds = sampled(inner_pixels(labels), size)
        progress.step()
        labels = watershed(seeds, larger)
    return labels


def inner_pixels(labels: Labels) -> Labels:
    """The pixels that have none but their own label around them, and parts too thin to have such.

    Args:
        labels: int32 ``[H, W]`` ≥ 0.

    Returns:
        int32 ``[H, W]``, −1 elsewhere. Every label has a pixel left.
    """
    from scipy import ndimage

    core = interior(labels)
    thin = ~ndimage.binary_dilation(core, np.ones((3, 3), dtype=bool))
    parts, _ = ndimage.label(thin)
    lost = np.ones(int(labels.max()) + 1, dtype=bool)
    lost[labels[core]] = False
    kept = (np.bincount(parts.ravel()) >= FEWEST)[parts] | lost[labels]
    return np.where(core | thin & kept, labels, np.int32(-1))


def interior(labels: Labels) -> npt.NDArray[np.bool_]:
    """Which pixels have none but their own label among the eight around them."""
    inside = np.ones(labels.shape, dtype=bool)
    across = labels[:, 1:] == labels[:, :-1]
    inside[:, 1:] &= across
    inside[:, :-1] &= across
    down = (labels[1:] == labels[:-1]) & inside[1:] & inside[:-1]
    inside[1:] &= down
    inside[:-1] &= down
    return inside
