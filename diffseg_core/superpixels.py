"""Superpixels: small pieces of a picture whose borders follow its edges.

The graph-based method of Felzenszwalb and Huttenlocher ("Efficient Graph-Based Image Segmentation", IJCV
2004): pixels are joined over the least difference first, and two pieces join where the difference between
them is no greater than the greatest that either has inside, plus an allowance that shrinks as a piece grows.
Theirs takes one edge after the other. Here the edges come in some fifty classes of like weight, and in each
all pieces take their least edge at once, round after round (Borůvka's order): hundreds of passes over arrays
in place of millions of steps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

ALLOWANCE = 200 / 255  # "scale" of the paper, at the usual size
SMOOTHING = 0.8  # standard deviation in pixels, at the usual size
USUAL_PIXELS = 512 * 512
STRAIGHT = ((0, 1), (1, 0))  # rows down, columns to the right

LEAST_WEIGHT, GREATEST_WEIGHT, CLASSES = 1e-3, 0.5, 48

Indices = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]


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
    enlargement = max(1.0, _enlargement(height, width))
    size = max(1, round(height / enlargement)), max(1, round(width / enlargement))
    planes = picture.float().cpu().permute(2, 0, 1)[None]
    if enlargement > 1:
        planes = F.interpolate(planes, size=size, mode="bilinear", antialias=True)
    smooth = smoothed(planes[0].permute(1, 2, 0))
    forest = _Forest(*_edges(smooth, STRAIGHT), np.ones(size[0] * size[1], dtype=np.int64))
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
    ends, others, weights = _edges(smooth, STRAIGHT)
    flat = numbered.ravel()
    between = flat[ends] != flat[others]
    forest = _Forest(flat[ends[between]], flat[others[between]], weights[between], sizes)
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


def grow(seeds: npt.NDArray[np.int32], picture: torch.Tensor) -> npt.NDArray[np.int32]:
    """Let seeds grow over a picture until they meet, over small differences first.

    Every pixel goes to the seed that is reached over the least greatest difference: a minimum spanning
    forest, or watershed cut (Cousty et al., "Watershed Cuts", PAMI 2009). Borders lie between pixels.

    Args:
        seeds: ``[H, W]``, a seed's number ≥ 0, or −1 where there is none yet; at least one pixel has one.
        picture: float32 ``[H, W, 3]`` on the CPU, as `smoothed` gives it.

    Returns:
        ``[H, W]``, the seed of every pixel, each 4-connected with pixels of its own.
    """
    free = torch.from_numpy(seeds < 0)
    forest = _Forest(*_edges(picture, STRAIGHT, free), np.ones(seeds.size, dtype=np.int64))
    forest.join_to(seeds.ravel() >= 0)
    grown = seeds.ravel().copy()
    pixels = np.flatnonzero(grown < 0)
    grown[pixels] = grown[forest.piece_of(pixels)]
    return grown.reshape(seeds.shape)


def smoothed(picture: torch.Tensor, deviation: float = SMOOTHING) -> torch.Tensor:
    """A picture without its grain: convolved with a Gaussian that grows with the picture.

    Args:
        picture: ``[H, W, 3]`` in 0..1.
        deviation: of the Gaussian, in pixels of a picture of 512×512; smaller ones have the same.

    Returns:
        float32 ``[H, W, 3]`` on the CPU.
    """
    deviation *= max(1.0, _enlargement(*picture.shape[:2]))
    radius = math.ceil(4 * deviation)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * deviation**2))
    kernel /= kernel.sum()
    planes = picture.float().cpu().permute(2, 0, 1)[:, None]
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), "replicate"), kernel.view(1, 1, 1, -1))
    planes = F.conv2d(F.pad(planes, (0, 0, radius, radius), "replicate"), kernel.view(1, 1, -1, 1))
    return planes[:, 0].permute(1, 2, 0).contiguous()


def _enlargement(height: int, width: int) -> float:
    """How much longer the picture's sides are than those of the usual one: lengths in pixels grow with it."""
    return math.sqrt(height * width / USUAL_PIXELS)


def _edges(
    picture: torch.Tensor, directions: Sequence[tuple[int, int]], free: torch.Tensor | None = None
) -> tuple[Indices, Indices, Weights]:
    """Both ends and the weight of every edge between pixels that touch, by rising weight.

    Args:
        picture: ``[H, W, 3]``.
        directions: rows down and columns to the right.
        free: bool ``[H, W]``; edges between two pixels that are not are left out.
    """
    height, width = picture.shape[:2]
    numbers = torch.arange(height * width).view(height, width)
    ends, others, weights = [], [], []
    for down, right in directions:
        here = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        there = (slice(down, height), slice(max(0, right), width - max(0, -right)))
        taken = torch.ones_like(numbers[here], dtype=torch.bool) if free is None else free[here] | free[there]
        ends.append(numbers[here][taken])
        others.append(numbers[there][taken])
        weights.append(torch.linalg.vector_norm(picture[here] - picture[there], dim=-1)[taken])
    order = torch.sort(torch.cat(weights), stable=True)
    return (
        torch.cat(ends)[order.indices].numpy(),
        torch.cat(others)[order.indices].numpy(),
        order.values.numpy(),
    )


class _Forest:
    """Pieces that grow by joining; a piece goes by the number of one of its pixels.

    Args:
        ends, others, weights: of the edges, by rising weight.
        sizes: of the pieces at the start, in pixels.
    """

    def __init__(self, ends: Indices, others: Indices, weights: Weights, sizes: Indices) -> None:
        self._edges = ends, others, weights
        pixels = len(sizes)
        self._parent = np.arange(pixels)
        self._size = sizes.astype(np.int64)
        self._inside = np.zeros(pixels, dtype=np.float32)  # greatest difference inside
        self._first = np.empty(pixels, dtype=np.int64)
        self._mark = np.zeros(pixels, dtype=bool)

    def piece_of(self, pixels: Indices) -> Indices:
        """The pieces that pixels belong to."""
        piece = self._parent[pixels]
        while not np.array_equal(further := self._parent[piece], piece):
            piece = further
        self._parent[pixels] = piece
        return piece

    def join_similar(self, allowance: float) -> None:
        """Join pieces until the criterion parts every two that touch."""
        ends, others, weights = self._edges
        bounds = np.geomspace(LEAST_WEIGHT, GREATEST_WEIGHT, CLASSES)
        stops = [*np.searchsorted(weights, bounds, side="right"), len(weights)]
        for start, stop in itertools.pairwise([0, *stops]):
            alike = slice(start, stop)
            self._join_class(ends[alike], others[alike], weights[alike], allowance)

    def _join_class(self, ends: Indices, others: Indices, weights: Weights, allowance: float) -> None:
        while True:
            ends, others = self.piece_of(ends), self.piece_of(others)
            bound = self._inside + allowance / self._size
            open_ = (ends != others) & (weights <= np.minimum(bound[ends], bound[others]))
            ends, others, weights = ends[open_], others[open_], weights[open_]
            if not len(ends):
                return
            self._join(self._named(ends, others), ends, others, weights)

    def join_small(self, smallest: int) -> None:
        """Join every piece of fewer pixels with the neighbour that differs least."""
        ends, others, weights = self._edges
        while True:
            ends, others = self.piece_of(ends), self.piece_of(others)
            small = self._size < smallest
            open_ = (ends != others) & (small[ends] | small[others])
            ends, others, weights = ends[open_], others[open_], weights[open_]
            if not len(ends):
                return
            pieces = self._named(ends, others)
            self._join(pieces[small[pieces]], ends, others, weights)

    def join_to(self, seeded: npt.NDArray[np.bool_]) -> None:
        """Join every pixel with one that is seeded; those stay apart."""
        ends, others, weights = self._edges
        while True:
            ends, others = self.piece_of(ends), self.piece_of(others)
            open_ = (ends != others) & ~(seeded[ends] & seeded[others])
            ends, others, weights = ends[open_], others[open_], weights[open_]
            if not len(ends):
                return
            pieces = self._named(ends, others)
            self._join(pieces[~seeded[pieces]], ends, others, weights)

    def _named(self, ends: Indices, others: Indices) -> Indices:
        """The pieces at the ends of edges, each once, in ascending order."""
        self._mark[ends] = self._mark[others] = True
        pieces = np.flatnonzero(self._mark)
        self._mark[pieces] = False
        return pieces

    def _join(self, pieces: Indices, ends: Indices, others: Indices, weights: Weights) -> None:
        """Join each of the pieces with its neighbour over the first of its edges."""
        numbers = np.arange(len(ends))[::-1]
        self._first[pieces] = len(ends)
        self._first[ends[::-1]] = numbers
        at_ends = self._first[pieces]
        self._first[pieces] = len(ends)
        self._first[others[::-1]] = numbers
        edge = np.minimum(at_ends, self._first[pieces])

        self._parent[pieces] = partner = ends[edge] + others[edge] - pieces
        mutual = pieces[(self._parent[partner] == pieces) & (pieces < partner)]
        self._parent[mutual] = mutual
        root = self.piece_of(pieces)
        moved = root != pieces
        np.add.at(self._size, root[moved], self._size[pieces[moved]])
        np.maximum.at(self._inside, root, np.maximum(self._inside[pieces], weights[edge]))
