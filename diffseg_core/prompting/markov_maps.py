"""How far every leaf is from a clicked one, and where its thing ends (Karmann, Urfalioglu: M2N2, 2025).

A leaf's value is when attention from the clicked leaf arrives at it. Values are flooded from the clicked
leaf: a leaf has the least that a path of touching leaves must cross to reach it, so that another thing that
looks the same is far, with the ground between them. Each map's threshold is chosen by the map's steps along
the border that it gives, weighted by the image's own.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .leaf_graph import LeafGraph

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

LARGEST = 0.4  # share of the image that a threshold may enclose
NEVER = 1e9  # times a threshold
LEAST = 1e-9  # threshold of a map that is 0 wherever it may be


class MarkovMaps:
    """The maps of one image's leaves, each made when it is first asked for."""

    def __init__(self, graph: LeafGraph) -> None:
        self._graph = graph
        self._largest = LARGEST * int(graph.areas.sum())
        self._maps: dict[int, Integers] = {}

    def likelihood(self, positive: Sequence[int], negative: Sequence[int]) -> Numbers:
        """How much each leaf is like the positive leaves rather than the negative ones or neither: 0..1."""
        near = self._nearness(positive, negative)
        far = np.minimum(self._nearness(negative, positive), 1.0)  # beyond every threshold is the ground
        return far / (near + far)

    def map(self, leaf: int) -> Integers:
        """The flooded map of one leaf: int64 ``[S]``, 0..65535."""
        if leaf not in self._maps:
            self._maps[leaf] = self._flooded(leaf)
        return self._maps[leaf]

    def _nearness(self, own: Sequence[int], other: Sequence[int]) -> Numbers:
        """Each leaf's value in its nearest map, of which 1 is the threshold."""
        nearest = np.full(len(self._graph.areas), NEVER)
        for leaf in own:
            found = self.map(leaf)
            nearest = np.minimum(nearest, found / self._threshold(found, own, other))
        return np.maximum(nearest, 1.0 / NEVER)

    def _flooded(self, leaf: int) -> Integers:
        values = self._graph.arrivals[leaf].astype(np.int64)
        least = np.full(len(values), -1)
        queue = [(0, leaf)]
        while queue:
            height, here = heapq.heappop(queue)
            if least[here] >= 0:
                continue
            least[here] = height
            for there in self._graph.around[here][0].tolist():
                if least[there] < 0:
                    heapq.heappush(queue, (max(height, int(values[there])), there))
        return np.where(least < 0, values.max(), least)

    def _threshold(self, values: Integers, own: Sequence[int], other: Sequence[int]) -> float:
        """Where the map's border is clearest, with as many own leaves as may be inside and no other one."""
        graph, order = self._graph, np.argsort(values, kind="stable").tolist()
        inside = np.zeros(len(values), dtype=bool)
        length = steps = area = held = 0
        best, threshold = 0.0, 0.0
        owned, others = set(own), set(other)
        for place, leaf in enumerate(order[:-1]):
            beside, borders = graph.around[leaf]
            sign = np.where(inside[beside], -1, 1)
            length += int((sign * graph.lengths[borders]).sum())
            steps += int((sign * graph.steps[borders] * np.abs(values[beside] - values[leaf])).sum())
            inside[leaf] = True
            area += int(graph.areas[leaf])
            held += leaf in owned
            if area >= self._largest or leaf in others:
                break
            following = int(values[order[place + 1]])
            worth = steps / max(length, 1) * held / len(own)
            if following > values[leaf] and worth > best:
                best, threshold = worth, (int(values[leaf]) + following) / 2.0
        if best > 0.0:
            return threshold
        nearest = min((int(values[leaf]) for leaf in other), default=int(values.max()) + 1)
        below = values[values < nearest]
        return max(float(below.max()) if below.size else 0.0, LEAST)
