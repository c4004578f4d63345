"""Nested segmentations of one image: fine segments, joined two by two until one is left.

The idea is the paper's own (section 3.3: what is alike in attention belongs together), without its grid of
anchors and without a threshold: superpixels of the image are the finest segments, the mean of a segment's
attention maps stands for it, and the two that are closest in the symmetric KL divergence join, again and
again. Every number of segments is then one cut through the same tree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from ..grid import GridSize
from ..hierarchy import Hierarchy
from ..image.boundary_contrast import Contrast
from .closest_pairs import ClosestPairs, divergences_of_pairs

FLOOR = 1e-12  # of probabilities, under the logarithm
ALIKE = 1e-6  # a usual divergence below this is one of equals, to rounding

Matrix = npt.NDArray[np.float64]


def build_hierarchy(
    maps: torch.Tensor,
    leaves: torch.Tensor,
    contrast: Contrast | None = None,
    colours: torch.Tensor | None = None,
    colour_weight: float = 0.0,
    on_step: Callable[[], None] = lambda: None,
) -> Hierarchy:
    """Join leaves by their maps until one segment is left.

    The joins are found on the CPU in float64, in one order of operations. Of equal distances that of the
    smaller first number joins, then that of the smaller second.

    Args:
        maps: float32 ``[S, h, w]``, of each leaf its mean attention map, as `mean_maps` gives it, or another
            map that sums to 1.
        leaves: int32 ``[H, W]``, 0..S-1, each somewhere.
        contrast: of the borders between leaves; neighbours alone then join. With None any two join, and a
            segment may lie in several places. It is changed.
        colours: float32 ``[S, c]``, the leaves' histograms. Their divergence counts beside that of the maps.
        colour_weight: ≥ 0, how much: with 1, as much as the maps between leaves that may join, by the median.
            Where the usual leaves are equal in colours, or in attention, there is no such measure, and
            colours do not count.
        on_step: called many times, before every join too; what it raises ends the call.
    """
    count, keys = len(maps), maps[0].numel()
    areas = leaves.flatten().bincount(minlength=count).cpu().double().numpy()
    with_colours = colours is not None and colour_weight > 0 and count > 1
    features = np.empty((count, keys + (colours.shape[1] if colours is not None and with_colours else 0)))
    features[:, :keys] = maps.flatten(1).cpu().numpy()
    np.maximum(features, FLOOR, out=features)
    apart = divergences_of_pairs(features[:, :keys], contrast, on_step)
    if colours is not None and with_colours:
        histograms = np.maximum(colours.cpu().double().numpy(), FLOOR)
        of_colours = divergences_of_pairs(histograms, contrast, on_step)
        usual, usual_of_colours = float(np.median(apart)), float(np.median(of_colours))
        if min(usual, usual_of_colours) > ALIKE:
            # Divergences add up over entries, and grow with them: so one matrix holds both.
            scale = colour_weight * usual / usual_of_colours
            np.maximum(scale * histograms, FLOOR, out=features[:, keys:])
            apart += scale * of_colours
        else:
            features = features[:, :keys]
    pairs = ClosestPairs(features, areas, apart, contrast, on_step)
    joins, heights = torch.empty((count - 1, 2), dtype=torch.int64), torch.empty(count - 1).double()
    for step in range(count - 1):
        *two, height = pairs.join()
        joins[step], heights[step] = torch.tensor(two), height
    return Hierarchy(leaves.int().to(maps.device), joins, heights.cummax(0).values, maps)


def mean_maps(attention: torch.Tensor, grid: GridSize, leaves: torch.Tensor, count: int) -> torch.Tensor:
    """The mean attention map of every leaf's pixels; a pixel has the map of the token that it lies in.

    Args:
        attention: float32 ``[n, k]``.
        grid: of the ``n`` tokens.
        leaves: int ``[H, W]``, 0..count-1.
        count: number of leaves.

    Returns:
        float32 ``[count, k]``.
    """
    device = attention.device
    height, width = leaves.shape
    index = torch.int32 if count * grid.tokens < 2**31 else torch.int64
    rows = torch.arange(height, device=device) * grid.height // height
    columns = torch.arange(width, device=device) * grid.width // width
    pairs = leaves.to(device, index) * grid.tokens
    pairs += (rows[:, None] * grid.width).to(index)
    pairs += columns.to(index)
    share = pairs.flatten().bincount(minlength=count * grid.tokens).view(count, grid.tokens).float()
    share /= share.sum(1, keepdim=True)
    return share @ attention


def divergences(features: Matrix, logs: Matrix) -> Matrix:
    """½ Σ (p − q)(log p − log q) between all pairs: ``[S, S]``, symmetric to the bit."""
    own = (features * logs).sum(1)
    cross = features @ logs.T
    divergences: Matrix = 0.5 * (own[:, None] + own - (cross + cross.T))
    return divergences
