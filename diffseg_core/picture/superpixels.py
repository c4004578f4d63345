"""Superpixels: small pieces of a picture whose borders follow its edges.

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
import torch.nn.functional as F

from .watershed import STRAIGHT, Forest, edges_between, enlargement, grow, smoothed

ALLOWANCE = 200 / 255  # "scale" of the paper, at the usual size


def superpixels(picture: torch.Tensor, smallest_area: float) -> torch.Tensor:
    """Cut a picture into superpixels.

    Those of a picture larger than 512×512 are found on a reduction of it and grow to its own edges, so that a
    picture and its enlargement have much the same pieces.

    Args:
        picture: ``[H, W, 3]`` in 0..1.
        smallest_area: share of the picture, 0..1: no piece is smaller, unless it is the only one.

    Returns:
        int32 ``[H, W]`` on the CPU, 0..S-1 in reading order of the pieces' first pixels. A piece with a
        narrow neck can come in two parts.
    """
    height, width = picture.shape[:2]
    scale = max(1.0, enlargement(height, width))
    size = max(1, round(height / scale)), max(1, round(width / scale))
    planes = picture.float().cpu().permute(2, 0, 1)[None]
    if scale > 1:
        planes = F.interpolate(planes, size=size, mode="bilinear", antialias=True)
    smooth = smoothed(planes[0].permute(1, 2, 0))
    forest = Forest(*edges_between(smooth, STRAIGHT), np.ones(size[0] * size[1], dtype=np.int64))
    forest.join_similar(ALLOWANCE)
    smallest = math.ceil(smallest_area * size[0] * size[1])
    forest.join_small(smallest)
    pieces = _in_reading_order(forest.piece_of(np.arange(size[0] * size[1])).reshape(size))
    core = _cores(pieces, smallest)
    seeds = np.where(core, pieces, np.int32(-1)) if core.any() else pieces
    rows, columns = (np.arange(full) * few // full for full, few in zip((height, width), size, strict=True))
    smooth = smoothed(picture)
    grown = grow(seeds[rows[:, None], columns], smooth)
    return torch.from_numpy(_in_reading_order(_join_small(grown, smooth, smallest_area)))


def _join_small(
    pieces: npt.NDArray[np.int32], smooth: torch.Tensor, smallest_area: float
) -> npt.NDArray[np.int32]:
    """Join every piece that became too small as borders moved with the neighbour that differs least."""
    numbered = _in_reading_order(pieces)
    sizes = np.bincount(numbered.ravel())
    smallest = math.ceil(smallest_area * numbered.size)
    if sizes.min() >= smallest:
        return numbered
    ends, others, weights = edges_between(smooth, STRAIGHT)
    flat = numbered.ravel()
    between = flat[ends] != flat[others]
    forest = Forest(flat[ends[between]], flat[others[between]], weights[between], sizes)
    forest.join_small(smallest)
    joined: npt.NDArray[np.int32] = forest.piece_of(np.arange(len(sizes)))[numbered].astype(np.int32)
    return joined


def _in_reading_order(pieces: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Number the pieces by their first pixels."""
    _, first, piece = np.unique(pieces, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    numbers: npt.NDArray[np.int32] = rank[piece.reshape(pieces.shape)]
    return numbers


def _cores(pieces: npt.NDArray[np.int32], smallest: int) -> npt.NDArray[np.bool_]:
    """What is left of the pieces after an erosion by one pixel, where it is half of the smallest area.

    An edge that is blurred over a few pixels makes strips of the colours between; they have no core.
    """
    height, width = pieces.shape
    around = np.pad(pieces, 1, "edge")
    core = np.ones(pieces.shape, dtype=bool)
    for down in range(3):
        for right in range(3):
            core &= around[down : down + height, right : right + width] == pieces
    enough = 2 * np.bincount(pieces[core], minlength=int(pieces.max()) + 1) >= smallest
    return core & enough[pieces]
