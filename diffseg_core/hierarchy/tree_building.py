"""Nested segmentations of one image: fine segments, joined two by two until one is left.

The idea is the paper's own (section 3.3: what is alike in attention belongs together), without its grid of
anchors and without a threshold: superpixels of the image are the finest segments, the mean of a segment's
attention maps stands for it, and the two that are closest in the symmetric KL divergence join, again and
again. Every number of segments is then one cut through the same tree.
"""

from __future__ import annotations

import numpy as np
import torch

from .. import progress
from ..grid import GridSize
from ..image.boundary_contrast import Contrast
from ..tree import Hierarchy
from .closest_pairs import ClosestPairs, divergences_of_pairs

FLOOR = 1e-12  # of probabilities in float64, under the logarithm; the paper's method has float32's own
ALIKE = 1e-6  # a usual divergence below this is one of equals, to rounding
LEAVES = 128  # whose mean maps are worked out at a time


def build_hierarchy(
    maps: torch.Tensor,
    leaves: torch.Tensor,
    contrast: Contrast | None = None,
    colours: torch.Tensor | None = None,
    colour_weight: float = 0.0,
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
    """
    count, keys = len(maps), maps[0].numel()
    areas = leaves.flatten().bincount(minlength=count).cpu().double().numpy()
    if colour_weight <= 0 or count < 2:
        colours = None
    features = np.empty((count, keys + (0 if colours is None else colours.shape[1])))
    features[:, :keys] = maps.flatten(1).cpu().numpy()
    np.maximum(features, FLOOR, out=features)
    apart = divergences_of_pairs(features[:, :keys], contrast)
    if colours is not None:
        histograms = np.maximum(colours.cpu().double().numpy(), FLOOR)
        of_colours = divergences_of_pairs(histograms, contrast)
        usual, usual_of_colours = float(np.median(apart)), float(np.median(of_colours))
        if min(usual, usual_of_colours) > ALIKE:
            # Divergences add up over entries, and grow with them: so one matrix holds both.
            scale = colour_weight * usual / usual_of_colours
            np.maximum(scale * histograms, FLOOR, out=features[:, keys:])
            apart += scale * of_colours
        else:
            features = features[:, :keys]
    pairs = ClosestPairs(features, areas, apart, contrast)
    joined = np.array([pairs.join() for _ in range(count - 1)]).reshape(-1, 3)
    joins, heights = joined[:, :2].astype(np.int64), np.maximum.accumulate(joined[:, 2])
    return Hierarchy(leaves.int().to(maps.device), torch.from_numpy(joins), torch.from_numpy(heights), maps)


def mean_maps(
    attention: torch.Tensor,
    grid: GridSize,
    leaves: torch.Tensor,
    count: int,
) -> torch.Tensor:
    """The mean attention map of every leaf's pixels; a pixel has the map of the token that it lies in.

    Leaves that follow one another lie near one another, so some at a time take few tokens.

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
    rows = torch.arange(height, device=device) * grid.height // height
    columns = torch.arange(width, device=device) * grid.width // width
    tokens = (rows[:, None] * grid.width + columns).flatten()
    numbers = leaves.to(device).flatten()
    means = attention.new_empty(count, attention.shape[1])
    for start in range(0, count, LEAVES):
        progress.step()
        some = min(LEAVES, count - start)
        pixels = ((numbers >= start) & (numbers < start + some)).nonzero()[:, 0]
        pairs = (numbers[pixels].long() - start) * grid.tokens + tokens[pixels]
        table = pairs.bincount(minlength=some * grid.tokens).view(some, grid.tokens)
        used = table.any(0).nonzero()[:, 0]
        share = table[:, used].float()
        share /= share.sum(1, keepdim=True)
        torch.mm(share, attention[used], out=means[start : start + some])
    return means
