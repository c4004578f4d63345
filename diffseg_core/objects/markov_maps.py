"""How far every leaf is from a clicked one, and where its thing ends (Karmann, Urfalioglu: M2N2, 2025).

A leaf's value is when attention from the clicked leaf arrives at it. Values are flooded from the clicked
leaf: a leaf has the least that a path of touching leaves must cross to reach it, so that another thing that
looks the same is far, with the background between them. Each map's threshold is chosen by the map's steps
along the border that it gives, weighted by the image's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .leaf_graph import LeafGraph

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

LARGEST = 0.4  # share of the image that a threshold may enclose
NEVER = 1e9  # times a threshold
MOST = 24  # leaves for or against whose maps count, the largest; a box or a scribble fixes hundreds
LEAST = 1e-9  # threshold of a map that is 0 wherever it may be


class MarkovMaps:
    """The maps of one image's leaves, each made when it is first asked for."""

    def __init__(self, graph: LeafGraph) -> None:
        self._graph = graph
        self._largest = LARGEST * int(graph.areas.sum())
        self._maps: dict[int, Integers] = {}

    def likelihood(self, positive: Sequence[int], negative: Sequence[int]) -> Numbers:
        """How much each leaf is like the positive leaves rather than the negative ones or neither: 0..1."""
        positive, negative = self._largest_of(positive), self._largest_of(negative)
        near = self._nearness(positive, negative)
        far = np.minimum(self._nearness(negative, positive), 1.0)  # beyond every threshold is the background
        return far / (near + far)

    def map(self, leaf: int) -> Integers:
        """The flooded map of one leaf: int64 ``[S]``, 0..65535."""
        if leaf not in self._maps:
            self._maps[leaf] = self._flooded(leaf)
        return self._maps[leaf]

    def _largest_of(self, leaves: Sequence[int]) -> list[int]:
        return sorted(leaves, key=lambda leaf: (-int(self._graph.areas[leaf]), leaf))[:MOST]

    def _nearness(self, own: Sequence[int], other: Sequence[int]) -> Numbers:
        """Each leaf's value in its nearest map, of which 1 is the threshold."""
        nearest = np.full(len(self._graph.areas), NEVER)
        for leaf in own:
            flooded = self.map(leaf)
            nearest = np.minimum(nearest, flooded / self._threshold(flooded, own, other))
        return np.maximum(nearest, 1.0 / NEVER)

    def _flooded(self, leaf: int) -> Integers:
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

        values = self._graph.arrivals[leaf].astype(np.int64)
        first, second = self._graph.borders.T
        # The least that paths must cross is what the paths of a minimum spanning tree cross.
        heights = np.maximum(values[first], values[second]) + 1  # 0 would be no border
        paths = minimum_spanning_tree(csr_matrix((heights, (first, second)), shape=(len(values),) * 2))
        order, before = breadth_first_order(paths, leaf, directed=False)
        least = np.full(len(values), values.max())
        least[leaf] = 0
        for here in order[1:].tolist():
            least[here] = max(least[before[here]], values[here])
        return least

    def _threshold(self, values: Integers, own: Sequence[int], other: Sequence[int]) -> float:
        """Where the map's border is clearest, with as many own leaves as may be inside and no other one."""
        graph, order = self._graph, np.argsort(values, kind="stable")
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        within = np.cumsum(graph.areas[order])  # pixels up to each leaf of the order, its own included
        limits = np.concatenate((places[list(other)], np.flatnonzero(within >= self._largest)))
        stop = min(int(limits.min()) if len(limits) else len(order), len(order) - 1)
        # A border is that of what is inside from its first leaf's place to before its second one's.
        enter, leave = np.sort(places[graph.borders], axis=1).T
        weights = graph.steps * np.abs(np.diff(values[graph.borders], axis=1)[:, 0])
        lengths, steps = (
            np.cumsum(np.bincount(enter, weight, len(order)) - np.bincount(leave, weight, len(order)))[:stop]
            for weight in (graph.lengths, weights)
        )
        held = np.cumsum(np.bincount(places[list(own)], minlength=len(order)))[:stop]
        worth = steps / np.maximum(lengths, 1) * held / len(own)
        here, following = values[order[:stop]], values[order[1 : stop + 1]]
        worth[following <= here] = 0.0
        if stop and worth.max() > 0.0:
            best = int(worth.argmax())
            return int(here[best] + following[best]) / 2.0
        nearest = min((int(values[leaf]) for leaf in other), default=int(values.max()) + 1)
        below = values[values < nearest]
        return max(float(below.max()) if below.size else 0.0, LEAST)
