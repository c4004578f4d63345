"""A hierarchy seen as nodes: every segment that is there at some granularity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..tree import Hierarchy

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Bitmap = npt.NDArray[np.bool_]

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

    def part(self, leaf: int, blocked: Bitmap) -> int:
        """The node that a click on a leaf means: of those above it the most persistent large one.

        Persistence (how much further the next join is) times area, among nodes of at most `LARGEST` of the
        image that hold no blocked leaf.

        Args:
            leaf: which was clicked.
            blocked: bool ``[S]``, leaves that it must not take.
        """
        above = self.upwards(leaf)
        free = [node for node in above[:-1] if not blocked[self.leaves(node)].any()] or [leaf]
        small = [node for node in free if self.areas[node] <= LARGEST * self.total] or [leaf]
        worth = [(self.heights[self.parents[node]] - self.heights[node]) * self.areas[node] for node in small]
        return small[int(np.argmax(worth))]

    def resized(
        self, leaf: int, before: Bitmap, after: Bitmap, free: Bitmap, beyond: Bitmap, steps: int
    ) -> Bitmap:
        """What a click takes in another size: each step is a node above it that takes more, or less.

        Steps up add to what the click takes by itself the next larger node with something that is not taken
        yet; steps down leave of what it added what lies in the next smaller node with less of it.

        Args:
            leaf: which was clicked.
            before: bool ``[S]``, what is taken without the click.
            after: bool ``[S]``, what is taken with it; all of `before` is in it.
            free: bool ``[S]``, leaves that it may add or leave out; the others stay as they are after it.
            beyond: bool ``[S]``, further leaves that it may add, once there are no others.
            steps: up (larger) or down (smaller), as far as there are.
        """
        changing = (free | beyond) & (~after if steps > 0 else after & ~before)
        nearness = self._nearness(leaf) + len(free) * beyond
        reached = np.unique(nearness[changing])
        if not reached.size:
            return after
        if steps > 0:
            return after | changing & (nearness <= reached[min(steps, reached.size) - 1])
        return after & ~(changing & (nearness >= reached[max(reached.size + steps, 0)]))

    def _nearness(self, leaf: int) -> Integers:
        """Which of the nodes above a leaf is the first to hold each leaf: int64 ``[S]``, 0 of itself."""
        found = np.zeros(len(self.order), dtype=np.int64)
        for place, node in reversed(list(enumerate(self.upwards(leaf)))):
            found[self.leaves(node)] = place
        return found
