"""Superpixels: small pieces of an image whose borders follow its edges.

The graph-based method of Felzenszwalb and Huttenlocher ("Efficient Graph-Based Image Segmentation", IJCV
2004): pixels are joined over the least difference first, and two pieces join where the difference between
them is no greater than the greatest that either has inside, plus an allowance that shrinks as a piece grows.
Theirs takes one edge after the other. Here the edges come in some fifty classes of like weight, and in each
all pieces take their least edge at once, round after round (Borůvka's order): hundreds of passes over arrays
in place of millions of steps.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from .. import progress
from ..grid import GridSize
from .pyramid import interior, reduced, sizes_up_to, upsample_labels
from .smoothing import smoothed
from .watershed import Forest, Labels, edges_between, watershed

ALLOWANCE = 200 / 255  # "scale" of the paper at 512×512: coarse enough that a leaf is no grain of texture


def superpixels(
    image: torch.Tensor,
    smallest_area: float,
    smooth: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cut an image into superpixels.

    Those of an image larger than 512×512 are found on a reduction of it. Their borders then move to the
    edges of larger and larger ones, up to its own, so that an image and its enlargement have much the same
    pieces.

    Args:
        image: ``[H, W, 3]`` in 0..1.
        smallest_area: share of the image, 0..1: no piece is smaller, unless it is the only one.
        smooth: `smoothed` of the image, where it is known already.

    Returns:
        int32 ``[H, W]`` on the CPU, 0..S-1 in reading order of the pieces' first pixels. A piece with a
        narrow neck can come in two parts.
    """
    sizes = sizes_up_to(GridSize(*image.shape[:2]))
    smooth = smoothed(image) if smooth is None else smooth
    first = smooth if len(sizes) == 1 else smoothed(reduced(image, sizes[0]))
    pieces = _similar_pixels(first, smallest_area)
    progress.step()
    # An edge that is blurred over a few pixels makes strips of the colours between; they have no core, which
    # is what an erosion by one pixel leaves, if that is half of the smallest area.
    core = interior(pieces)
    enough = 2 * np.bincount(pieces[core]) >= math.ceil(smallest_area * pieces.size)
    core[core] = enough[pieces[core]]
    seeds = np.where(core, pieces, np.int32(-1)) if core.any() else pieces
    pieces = upsample_labels(watershed(seeds, first), image, smooth=smooth)
    progress.step()
    pieces = _join_small(pieces, smooth, smallest_area)
    progress.step()
    return torch.from_numpy(_in_reading_order(pieces))


def _similar_pixels(smooth: torch.Tensor, smallest_area: float) -> Labels:
    """The pieces of Felzenszwalb and Huttenlocher's method: int32 ``[H, W]``, in reading order."""
    size = smooth.shape[:2]
    forest = Forest(*edges_between(smooth), np.ones(size[0] * size[1], dtype=np.int64))
    forest.join_similar(ALLOWANCE)
    forest.join_small(math.ceil(smallest_area * size[0] * size[1]))
    return _in_reading_order(forest.piece_of(np.arange(size[0] * size[1])).reshape(size))


def _join_small(pieces: Labels, smooth: torch.Tensor, smallest_area: float) -> Labels:
    """Join every piece that became too small as borders moved with the neighbour that differs least."""
    numbered = _in_reading_order(pieces)
    sizes = np.bincount(numbered.ravel())
    smallest = math.ceil(smallest_area * numbered.size)
    if sizes.min() >= smallest:
        return numbered
    # Only borders of small pieces count; the others are of one kind, 0.
    kind = np.where(sizes < smallest, np.arange(1, len(sizes) + 1, dtype=np.int32), np.int32(0))[numbered]
    here, there, weights = edges_between(smooth, kind)
    flat = numbered.ravel()
    forest = Forest(flat[here], flat[there], weights, sizes)
    forest.join_small(smallest)
    joined: Labels = forest.piece_of(np.arange(len(sizes))).astype(np.int32)[numbered]
    return joined


def _in_reading_order(pieces: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Number the pieces, any numbers ≥ 0, by their first pixels."""
    flat = pieces.ravel()
    first = np.full(int(flat.max()) + 1, flat.size, dtype=np.int64)
    starts = np.flatnonzero(np.append(True, flat[1:] != flat[:-1]))  # of runs; each piece has one
    np.minimum.at(first, flat[starts], starts)
    order = np.argsort(first, kind="stable")[: int((first < flat.size).sum())]
    rank = np.full(len(first), -1, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[pieces]
