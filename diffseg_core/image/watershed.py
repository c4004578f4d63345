"""Pixels joined over the edges between them: the forest of an image's pieces, and growing over an image.

Edges between pixels that touch are taken by rising difference of colour, as in Kruskal's and Borůvka's
minimum spanning trees. Felzenszwalb and Huttenlocher's superpixels and watershed cuts (Cousty et al., PAMI
2009) are two rules for which of them join.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import torch

from .. import progress

STRAIGHT = ((0, 1), (1, 0))  # rows down, columns to the right

LEAST_WEIGHT, GREATEST_WEIGHT, CLASSES = 1e-3, 0.5, 48

Indices = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]


def watershed(seeds: Labels, image: torch.Tensor) -> Labels:
    """Let seeds grow over an image until they meet, over small differences first.

    Every pixel goes to the seed that is reached over the least greatest difference: a minimum spanning
    forest, or watershed cut (Cousty et al., "Watershed Cuts", PAMI 2009). Borders lie between pixels. Only
    the edges of pixels without a seed are looked at.

    Args:
        seeds: ``[H, W]``, a seed's number ≥ 0, or −1 where there is none yet; at least one pixel has one.
        image: float32 ``[H, W, 3]`` on the CPU, as `smoothed` gives it.

    Returns:
        ``[H, W]``, the seed of every pixel, each 4-connected with pixels of its own.
    """
    pixels = np.flatnonzero(seeds < 0)
    if not len(pixels):
        return seeds.copy()
    count = int(seeds.max()) + 1
    progress.step()
    starts, ends, weights = edges_between(image, seeds)
    progress.step()
    node = seeds.flatten()  # of the forest: a seed, or a pixel without one
    node[pixels] = np.arange(count, count + len(pixels), dtype=np.int32)
    progress.step()
    forest = Forest(node[starts], node[ends], weights, np.ones(count + len(pixels), dtype=np.int64))
    forest.join_to(np.arange(count + len(pixels)) < count)
    node[pixels] = forest.piece_of(np.arange(count, count + len(pixels)))  # pieces go by their seeds
    return node.reshape(seeds.shape)


def edges_between(image: torch.Tensor, labels: Labels | None = None) -> tuple[Indices, Indices, Weights]:
    """Both ends and the weight of every edge between pixels that touch, by rising weight.

    Args:
        image: float32 ``[H, W, 3]`` on the CPU.
        labels: ``[H, W]``; edges between two pixels of one label ≥ 0 are left out.
    """
    edges = [differences(image, direction, labels) for direction in STRAIGHT]
    starts, ends, weights = (np.concatenate(parts) for parts in zip(*edges, strict=True))
    first = np.argsort(weights, kind="stable")
    return starts[first], ends[first], weights[first]


def differences(
    image: torch.Tensor, direction: tuple[int, int], labels: Labels | None = None
) -> tuple[Indices, Indices, Weights]:
    """The edges of `edges_between` in one direction, in reading order."""
    height, width = image.shape[:2]
    down, right = direction
    here = (slice(0, height - down), slice(0, width - right))
    there = (slice(down, height), slice(right, width))
    if labels is None:
        pixels = np.arange(height * width).reshape(height, width)[here].ravel()
        difference = (image[here] - image[there]).reshape(-1, 3)
    else:
        rows, columns = np.nonzero((labels[here] != labels[there]) | (labels[here] < 0))
        pixels = rows * width + columns
        index, colours = torch.from_numpy(pixels), image.reshape(-1, 3)
        difference = colours[index] - colours[index + (down * width + right)]
    weights: Weights = torch.linalg.vector_norm(difference, dim=-1).numpy()
    return pixels, pixels + (down * width + right), weights


class Forest:
    """Pieces that grow by joining; a piece goes by the number of one of its nodes.

    Args:
        starts, ends, weights: of the edges, by rising weight.
        sizes: of the nodes at the start, in pixels.
    """

    def __init__(
        self, starts: npt.NDArray[np.integer], ends: npt.NDArray[np.integer], weights: Weights, sizes: Indices
    ) -> None:
        count = len(sizes)
        self._edges = starts.astype(np.int64), ends.astype(np.int64), weights
        self._parent = np.arange(count)
        self._size = sizes.astype(np.int64)
        self._inside = np.zeros(count, dtype=np.float32)  # greatest difference inside
        self._first = np.empty(count, dtype=np.int64)
        self._mark = np.zeros(count, dtype=bool)

    def piece_of(self, nodes: Indices) -> Indices:
        """The pieces that nodes belong to."""
        piece = self._parent[nodes]
        while not np.array_equal(further := self._parent[piece], piece):
            piece = further
        self._parent[nodes] = piece
        return piece

    def join_similar(self, allowance: float) -> None:
        """Join pieces until the criterion parts every two that touch."""
        starts, ends, weights = self._edges
        bounds = np.geomspace(LEAST_WEIGHT, GREATEST_WEIGHT, CLASSES)
        stops = [*np.searchsorted(weights, bounds, side="right"), len(weights)]
        for start, stop in itertools.pairwise([0, *stops]):
            alike = slice(start, stop)
            self._join_class(starts[alike], ends[alike], weights[alike], allowance)

    def _join_class(self, starts: Indices, ends: Indices, weights: Weights, allowance: float) -> None:
        starts, ends = self.piece_of(starts), self.piece_of(ends)
        while True:
            bound = self._inside + allowance / self._size
            open_ = (starts != ends) & (weights <= np.minimum(bound[starts], bound[ends]))
            starts, ends, weights = starts[open_], ends[open_], weights[open_]
            if not len(starts):
                return
            self._join(self._named(starts, ends), starts, ends, weights)
            starts, ends = self._parent[starts], self._parent[ends]

    def join_small(self, smallest: int) -> None:
        """Join every piece of fewer pixels with the neighbour that differs least."""
        starts, ends, weights = self._edges
        starts, ends = self.piece_of(starts), self.piece_of(ends)
        while True:
            small = self._size < smallest
            open_ = (starts != ends) & (small[starts] | small[ends])
            starts, ends, weights = starts[open_], ends[open_], weights[open_]
            if not len(starts):
                return
            pieces = self._named(starts, ends)
            self._join(pieces[small[pieces]], starts, ends, weights)
            starts, ends = self._parent[starts], self._parent[ends]

    def join_to(self, seeded: npt.NDArray[np.bool_]) -> None:
        """Join every node with one that is seeded; those stay apart, and give their pieces the name.

        Of a forest in which nothing has been joined so far.
        """
        starts, ends, _ = self._edges
        while True:
            open_ = (starts != ends) & ~(seeded[starts] & seeded[ends])
            starts, ends = starts[open_], ends[open_]
            if not len(starts):
                return
            progress.step()
            pieces = self._named(starts, ends)
            self._hook(pieces[~seeded[pieces]], starts, ends)
            progress.step()
            starts, ends = self._parent[starts], self._parent[ends]

    def _named(self, starts: Indices, ends: Indices) -> Indices:
        """The pieces at the ends of edges, each once, in ascending order."""
        self._mark[starts] = self._mark[ends] = True
        pieces = np.flatnonzero(self._mark)
        self._mark[pieces] = False
        return pieces

    def _join(self, pieces: Indices, starts: Indices, ends: Indices, weights: Weights) -> None:
        """`_hook`, and note the sizes and the greatest differences of what arises."""
        root, edge = self._hook(pieces, starts, ends)
        moved = root != pieces
        np.add.at(self._size, root[moved], self._size[pieces[moved]])
        np.maximum.at(self._inside, root, np.maximum(self._inside[pieces], weights[edge]))

    def _hook(self, pieces: Indices, starts: Indices, ends: Indices) -> tuple[Indices, Indices]:
        """Join each of the pieces with its neighbour over the first of its edges.

        Afterwards the parent of every piece at the ends of edges is the piece that it belongs to.

        Returns:
            for each of the pieces, what it belongs to, and its first edge.
        """
        numbers = np.arange(len(starts))[::-1]  # backwards, so that of several writes the first edge stays
        self._first[pieces] = len(starts)
        self._first[starts[::-1]] = numbers
        at_starts = self._first[pieces]
        self._first[pieces] = len(starts)
        self._first[ends[::-1]] = numbers
        edge = np.minimum(at_starts, self._first[pieces])

        self._parent[pieces] = partner = starts[edge] + ends[edge] - pieces
        mutual = pieces[(self._parent[partner] == pieces) & (pieces < partner)]
        self._parent[mutual] = mutual
        return self.piece_of(pieces), edge
