"""Pixels joined over the edges between them: the forest of a picture's pieces, and growing over a picture.

Edges between pixels that touch are taken by rising difference of colour, as in Kruskal's and Borůvka's
minimum spanning trees. Felzenszwalb and Huttenlocher's superpixels and watershed cuts (Cousty et al., PAMI
2009) are two rules for which of them join.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

SMOOTHING = 0.8  # standard deviation in pixels, at the usual size
USUAL_PIXELS = 512 * 512
STRAIGHT = ((0, 1), (1, 0))  # rows down, columns to the right

LEAST_WEIGHT, GREATEST_WEIGHT, CLASSES = 1e-3, 0.5, 48

Indices = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]


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
    forest = Forest(*edges_between(picture, STRAIGHT, free), np.ones(seeds.size, dtype=np.int64))
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
    deviation *= max(1.0, enlargement(*picture.shape[:2]))
    radius = math.ceil(4 * deviation)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * deviation**2))
    kernel /= kernel.sum()
    planes = picture.float().cpu().permute(2, 0, 1)[:, None]
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), "replicate"), kernel.view(1, 1, 1, -1))
    planes = F.conv2d(F.pad(planes, (0, 0, radius, radius), "replicate"), kernel.view(1, 1, -1, 1))
    return planes[:, 0].permute(1, 2, 0).contiguous()


def enlargement(height: int, width: int) -> float:
    """How much longer the picture's sides are than those of the usual one: lengths in pixels grow with it."""
    return math.sqrt(height * width / USUAL_PIXELS)


def edges_between(
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


class Forest:
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
