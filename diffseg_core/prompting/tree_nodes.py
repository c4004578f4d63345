"""A hierarchy seen as nodes: every segment that is there at some granularity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..hierarchy import Hierarchy

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

LARGEST = 0.35  # share of the image up to which a click takes a node by itself


@dataclass(frozen=True, eq=False)
class TreeNodes:
    """The 2 S − 1 nodes of a tree: the leaves 0..S−1, then the joins in order.

    Attributes:
        parents: int64 ``[2 S − 1]``, −1 of the root.
        heights: float64 ``[2 S − 1]``, of a join what it went over, in nats; 0 of a leaf.
        areas: int64 ``[2 S − 1]``, pixels.
        spans: int64 ``[2 S − 1, 2]``, where a node's leaves stand in ``order``.
        order: int64 ``[S]``, the leaves, so that every node has a stretch of them.
    """

    parents: Integers
    heights: Numbers
    areas: Integers
    spans: Integers
    order: Integers

    @classmethod
    def of(cls, tree: Hierarchy) -> TreeNodes:
        """The nodes of a hierarchy."""
        leaves = tree.count
        nodes = 2 * leaves - 1
        parents, spans = np.full(nodes, -1), np.zeros((nodes, 2), dtype=np.int64)
        heights, areas = np.zeros(nodes), np.zeros(nodes, dtype=np.int64)
        areas[:leaves] = tree.areas.cpu().numpy()
        heights[leaves:] = tree.heights.cpu().numpy()
        sizes = np.ones(nodes, dtype=np.int64)  # in leaves
        node = np.arange(leaves)
        children = np.zeros((nodes, 2), dtype=np.int64)
        for join, (first, second) in enumerate(tree.joins.cpu().tolist(), start=leaves):
            children[join] = node[first], node[second]
            parents[children[join]] = join
            areas[join] = areas[children[join]].sum()
            sizes[join] = sizes[children[join]].sum()
            node[first] = join
        spans[-1] = 0, leaves
        for join in range(nodes - 1, leaves - 1, -1):
            first, second = children[join]
            start, stop = spans[join]
            spans[first] = start, start + sizes[first]
            spans[second] = start + sizes[first], stop
        order = np.empty(leaves, dtype=np.int64)
        order[spans[:leaves, 0]] = np.arange(leaves)
        return cls(parents, heights, areas, spans, order)

    @cached_property
    def total(self) -> int:
        """Pixels of the image."""
        return int(self.areas[-1])

    def leaves(self, node: int) -> Integers:
        """The leaves of a node."""
        start, stop = self.spans[node]
        return self.order[start:stop]

    def upwards(self, leaf: int) -> list[int]:
        """A leaf, the node that it joins, and so on up to the root."""
        found = [leaf]
        while self.parents[found[-1]] >= 0:
            found.append(int(self.parents[found[-1]]))
        return found

    def part(self, leaf: int, blocked: npt.NDArray[np.bool_], steps: int = 0) -> int:
        """The node that a click on a leaf means: of those above it the most persistent large one.

        Persistence (how much further the next join is) times area, among nodes of at most `LARGEST` of the
        image that hold no blocked leaf.

        Args:
            leaf: which was clicked.
            blocked: bool ``[S]``, leaves that it must not take.
            steps: how many nodes further up, or down if negative; as far as there are.
        """
        above = self.upwards(leaf)
        free = [node for node in above[:-1] if not blocked[self.leaves(node)].any()] or [leaf]
        small = [node for node in free if self.areas[node] <= LARGEST * self.total] or [leaf]
        worth = [(self.heights[self.parents[node]] - self.heights[node]) * self.areas[node] for node in small]
        place = above.index(small[int(np.argmax(worth))]) + steps
        return above[min(max(place, 0), len(above) - 1)]
