"""How soon attention that starts at a leaf reaches the others: Markov maps (Karmann, Urfalioglu: M2N2, 2025).

A walk starts in the clicked leaf and follows the chain of `LeafGraph`. A leaf's value is the step at which
its density first passes a share of the highest one. Then values are flooded from the clicked leaf: a leaf has
the least difference that a path of touching leaves must cross to reach it, so that another thing that looks
the same is far, with the ground between them. Each map's threshold is chosen by the map's steps along the
border that it gives, weighted by the image's own.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .leaf_graph import LeafGraph

Numbers = npt.NDArray[np.float64]

REACHED = 0.3  # share of the highest density
STEPS = 300  # at most; a leaf that is not reached has this value
LARGEST = 0.4  # share of the image that a threshold may enclose
NEVER = 1e9  # times a threshold


class MarkovMaps:
    """The maps of one image's leaves, each made when it is first asked for."""

    def __init__(self, graph: LeafGraph) -> None:
        self._graph = graph
        self._shares = graph.areas / graph.areas.sum()
        self._neighbours = [np.flatnonzero(row) for row in graph.lengths > 0]
        self._maps: dict[int, Numbers] = {}

    def likelihood(self, positive: Sequence[int], negative: Sequence[int]) -> Numbers:
        """How much each leaf is like the positive leaves rather than the negative ones or neither: 0..1."""
        near = self._nearness(positive, negative)
        far = np.minimum(self._nearness(negative, positive), 1.0)  # beyond every threshold is the ground
        return far / (near + far)

    def _nearness(self, own: Sequence[int], other: Sequence[int]) -> Numbers:
        """Each leaf's value in its nearest map, of which 1 is the threshold."""
        nearest = np.full(len(self._shares), NEVER)
        for leaf in own:
            found = self.map(leaf)
            nearest = np.minimum(nearest, found / self._threshold(found, own, other))
        return np.maximum(nearest, 1.0 / NEVER)

    def map(self, leaf: int) -> Numbers:
        """The flooded map of one leaf: 0..1, ``[S]``."""
        if leaf not in self._maps:
            self._maps[leaf] = self._flooded(self._reached(leaf), leaf)
        return self._maps[leaf]

    def _reached(self, leaf: int) -> Numbers:
        """The step at which each leaf is first reached, between whole ones by interpolation."""
        walk = np.zeros(len(self._shares))
        walk[leaf] = 1.0
        density = walk / walk.max()
        reached = np.full(len(walk), float(STEPS))
        reached[leaf] = 0.0
        waiting = np.ones(len(walk), dtype=bool)
        waiting[leaf] = False
        for step in range(1, STEPS + 1):
            walk = walk @ self._graph.chain
            after = walk / self._shares
            after /= after.max()
            now = waiting & (after > REACHED)
            gained = np.maximum(after - density, 1e-6) if step > 1 else np.full(len(walk), 1.0 - REACHED)
            reached[now] = step - np.minimum(((after - REACHED) / gained)[now], 1.0)
            waiting &= ~now
            density = after
            if not waiting.any():
                break
        return reached / max(reached.max(), 1.0 / NEVER)

    def _flooded(self, values: Numbers, leaf: int) -> Numbers:
        difference = np.abs(values - values[leaf])
        least = np.full(len(values), np.inf)
        least[leaf] = 0.0
        queue = [(0.0, leaf)]
        while queue:
            height, here = heapq.heappop(queue)
            if height > least[here]:
                continue
            for there in self._neighbours[here]:
                needed = max(height, difference[there])
                if needed < least[there]:
                    least[there] = needed
                    heapq.heappush(queue, (needed, int(there)))
        least[np.isinf(least)] = difference.max()
        return least / max(least.max(), 1.0 / NEVER)

    def _threshold(self, values: Numbers, own: Sequence[int], other: Sequence[int]) -> float:
        """Where the map's border is clearest, with as many own leaves as may be inside and no other one."""
        graph, order = self._graph, np.argsort(values, kind="stable")
        inside = np.zeros(len(values), dtype=bool)
        length = steps = area = 0.0
        best, threshold = 0.0, 0.0
        for place, leaf in enumerate(order[:-1]):
            along, weighted = graph.lengths[leaf], graph.steps[leaf] * np.abs(values - values[leaf])
            length += along.sum() - 2.0 * along[inside].sum()
            steps += weighted.sum() - 2.0 * weighted[inside].sum()
            inside[leaf] = True
            area += self._shares[leaf]
            if area >= LARGEST or inside[list(other)].any():
                break
            following = values[order[place + 1]]
            worth = steps / max(length, 1.0) * inside[list(own)].mean()
            if following > values[leaf] and worth > best:
                best, threshold = worth, (values[leaf] + following) / 2.0
        if best > 0.0:
            return float(threshold)
        nearest = min((values[leaf] for leaf in other), default=np.inf)
        below = values[values < nearest]
        return max(float(below.max()) if below.size else 0.0, 1.0 / NEVER)
