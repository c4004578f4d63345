"""Nested segmentations of one image: fine segments, joined two by two until one is left.

The idea is the paper's own (section 3.3: what is alike in attention belongs together), without its grid of
anchors and without a threshold: superpixels of the image are the finest segments, the mean of a segment's
attention maps stands for it, and the two that are closest in the symmetric KL divergence join, again and
again. Every number of segments is then one cut through the same tree.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ..grid import GridSize
from ..hierarchy import Hierarchy
from ..image.boundary_contrast import Contrast

FLOOR = 1e-12  # of probabilities, under the logarithm
ALIKE = 1e-6  # a usual divergence below this is one of equals, to rounding

Joins = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


def build_hierarchy(
    maps: torch.Tensor,
    leaves: torch.Tensor,
    contrast: Contrast | None = None,
    colours: torch.Tensor | None = None,
    colour_weight: float = 0.0,
) -> Hierarchy:
    """Join leaves by their maps until one segment is left.

    The joins are found on the CPU in float64, in one order of operations.

    Args:
        maps: float32 ``[S, h, w]``, of each leaf its mean attention map, as `mean_maps` gives it, or another
            map that sums to 1.
        leaves: int32 ``[H, W]``, 0..S-1, each somewhere.
        contrast: of the borders between leaves; neighbours alone then join. With None any two join, and a
            segment may lie in several places.
        colours: float32 ``[S, c]``, the leaves' histograms. Their divergence counts beside that of the maps.
        colour_weight: ≥ 0, how much: with 1, as much as the maps between leaves that may join, by the median.
            Where the usual leaves are equal in colours, or in attention, there is no such measure, and
            colours do not count.
    """
    count = len(maps)
    areas = leaves.flatten().bincount(minlength=count).cpu().double().numpy()
    may_join = ~np.eye(count, dtype=bool) if contrast is None else contrast.touching
    features = np.maximum(maps.flatten(1).cpu().double().numpy(), FLOOR)
    if colours is not None and colour_weight > 0 and count > 1:
        histograms = np.maximum(colours.cpu().double().numpy(), FLOOR)
        usual, usual_of_colours = _usual(features, may_join), _usual(histograms, may_join)
        if min(usual, usual_of_colours) > ALIKE:
            # Divergences add up over entries, and grow with them: so one matrix holds both.
            scale = colour_weight * usual / usual_of_colours
            features = np.concatenate((features, scale * histograms), axis=1)
    joins, heights = join_closest(np.maximum(features, FLOOR), areas, may_join, contrast)
    return Hierarchy(
        leaves.int().to(maps.device),
        torch.from_numpy(joins),
        torch.from_numpy(np.maximum.accumulate(heights)),
        maps,
    )


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
    """½ Σ (p − q)(log p − log q) between all pairs: ``[S, S]``."""
    own = (features * logs).sum(1)
    cross = features @ logs.T
    divergences: Matrix = 0.5 * (own[:, None] + own - cross - cross.T)
    return divergences


def _usual(features: Matrix, may_join: npt.NDArray[np.bool_]) -> float:
    """The median divergence of those that may join."""
    return float(np.median(divergences(features, np.log(features))[may_join]))


def join_closest(
    features: Matrix, areas: Vector, may_join: npt.NDArray[np.bool_], contrast: Contrast | None
) -> tuple[Joins, Vector]:
    """Join the closest two that may, again and again; the features of both are averaged by area.

    Args:
        features: float64 ``[S, f]``, above 0; changed. The distance is ½ Σ (p − q)(log p − log q).
        areas: ``[S]``, above 0; changed.
        may_join: ``[S, S]``, symmetric, none with itself.
        contrast: multiplies the distance, and says who are neighbours as segments join; changed.

    Returns:
        `Hierarchy.joins`, and the distance over which each went, which may fall.
    """
    count = len(features)
    logs = np.log(features)
    own = (features * logs).sum(1)
    factors = 1.0 if contrast is None else contrast.factors()
    distance = np.where(may_join, divergences(features, logs) * factors, np.inf)
    alive = np.ones(count, dtype=bool)
    joins = np.empty((count - 1, 2), dtype=np.int64)
    heights = np.empty(count - 1)
    for step in range(count - 1):
        first, second = divmod(int(distance.argmin()), count)  # first < second: symmetric, in reading order
        joins[step], heights[step] = (first, second), distance[first, second]
        total = areas[first] + areas[second]
        features[first] = (areas[first] * features[first] + areas[second] * features[second]) / total
        logs[first] = np.log(features[first])
        own[first] = features[first] @ logs[first]
        areas[first] = total
        alive[second] = False
        distance[[first, second]] = distance[:, [first, second]] = np.inf
        if contrast is None:
            others = np.flatnonzero(alive)
            others = others[others != first]
        else:
            others = contrast.join(first, second)
        height = 0.5 * (
            own[first] + own[others] - logs[others] @ features[first] - features[others] @ logs[first]
        )
        if contrast is not None:
            height *= contrast.factors(first, others)
        distance[first, others] = distance[others, first] = height
    return joins, heights
