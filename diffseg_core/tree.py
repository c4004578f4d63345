"""A tree of segments as a value: the finest segments, the order in which they join, and cuts through it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from .errors import InvalidSettingError

Value = TypeVar("Value")
Integers = npt.NDArray[np.int64]

# Chosen on the COCO photographs of docs/granularity.md. It speaks of areas alone, so that one number serves
# sharp and flat attention.
EFFECTIVE_NUMBER = 4.0


class TreeNodes:
    """A tree's 2 S − 1 nodes: the leaves 0..S−1, then the joins in order, the root last.

    Args:
        joins: int64 ``[S-1, 2]``, as `Hierarchy` has them.
        count: of leaves, S.

    Attributes:
        count: of leaves.
        children: the two nodes of each join, in the order of the join.
        parents: int64 ``[2 S − 1]``, −1 of the root.
    """

    def __init__(self, joins: Integers, count: int) -> None:
        self.count = count
        self.children: list[tuple[int, int]] = []
        self.parents = np.full(count + len(joins), -1)
        node = list(range(count))  # that each segment is, by its first leaf
        for join, (first, second) in enumerate(joins.tolist(), start=count):
            self.children.append((node[first], node[second]))
            self.parents[list(self.children[-1])] = join
            node[first] = join

    def folded(self, leaves: Iterable[Value], join: Callable[[Value, Value], Value]) -> list[Value]:
        """What every node has, by what each leaf has, and what a join makes of its two nodes'."""
        values = list(leaves)
        for first, second in self.children:
            values.append(join(values[first], values[second]))
        return values

    def cut(self, number: int) -> tuple[Integers, Integers]:
        """The nodes that are left when there are ``number``, or one for each leaf if there are fewer.

        Returns:
            int64 ``[K]``, in the order of their first leaves, and int64 ``[S]``, the place among them of the
            node that holds each leaf.
        """
        holder = list(range(len(self.parents)))
        for join in range(max(2 * self.count - number, self.count) - 1, self.count - 1, -1):
            for child in self.children[join - self.count]:
                holder[child] = holder[join]
        nodes, first, places = np.unique(holder[: self.count], return_index=True, return_inverse=True)
        order = first.argsort()
        return nodes[order].astype(np.int64), order.argsort()[places]

    def leaves(self, node: int) -> Integers:
        """The leaves of a node."""
        start, stop = self._spans[node]
        return self._order[start:stop]

    def upwards(self, leaf: int) -> list[int]:
        """A leaf, the node that it joins, and so on up to the root."""
        nodes = [leaf]
        while self.parents[nodes[-1]] >= 0:
            nodes.append(int(self.parents[nodes[-1]]))
        return nodes

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """Where the leaves of each node stand in an order in which every node has a stretch of them."""
        sizes = self.folded([1] * self.count, operator.add)
        spans = [(0, size) for size in sizes]
        for join in range(len(spans) - 1, self.count - 1, -1):
            (first, second), (start, stop) = self.children[join - self.count], spans[join]
            middle = start + sizes[first]
            spans[first], spans[second] = (start, middle), (middle, stop)
        return spans

    @cached_property
    def _order(self) -> Integers:
        return np.argsort([start for start, _ in self._spans[: self.count]])


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A tree of segments.

    A segment goes by the number of its first leaf. ``cut(number)`` is the partition after the first
    S − ``number`` joins, so a coarser cut consists of unions of a finer one's segments.

    Attributes:
        leaves: int32 ``[H, W]``, 0..S-1: the finest segments; −1 for pixels that belong to none, as
            `restrict` leaves them.
        joins: int64 ``[S-1, 2]``, in order: the segment ``joins[m, 1]`` becomes part of ``joins[m, 0]``,
            the smaller number.
        heights: float64 ``[S-1]``, in nats, never falling: the divergence over which each join went.
        maps: float32 ``[S, h, w]``: the mean attention map of each leaf's pixels.

    Raises:
        InvalidSettingError: not one join less than there are leaves; a join whose second number is not the
            larger one, or of a segment that became part of another before; heights that fall or are NaN.
    """

    leaves: torch.Tensor
    joins: torch.Tensor
    heights: torch.Tensor
    maps: torch.Tensor

    def __post_init__(self) -> None:
        count = self.count
        wanted = max(0, count - 1)
        if tuple(self.joins.shape) != (wanted, 2) or tuple(self.heights.shape) != (wanted,):
            raise InvalidSettingError(
                f"Expected joins [{wanted}, 2] and heights [{wanted}] for a tree of {count} leaves, got "
                f"{list(self.joins.shape)} and {list(self.heights.shape)}. All leaves must join, two by two."
            )
        pairs, steps = self.joins.cpu(), torch.arange(wanted)
        first, second = pairs.unbind(1)
        wrong = (first < 0) | (first >= second) | (second >= count)
        if not wrong.any():
            # When each is joined.
            end = torch.full((count,), wanted).scatter_reduce_(0, second, steps, "amin")
            wrong = (end[second] < steps) | (end[first] <= steps)
        if wrong.any():
            step = int(wrong.int().argmax())
            raise InvalidSettingError(
                f"Expected joins (first, second) of two segments that are there, first < second, got "
                f"{tuple(pairs[step].tolist())} as join {step} of a tree of {count} leaves. A segment goes "
                "by its first leaf: put the smaller number first, and name none that became part of another."
            )
        if not (self.heights.diff() >= 0).all() or self.heights.isnan().any():
            raise InvalidSettingError(
                "Expected heights that never fall, got some that do or are NaN. Give each join the greatest "
                "distance so far."
            )

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All that the tree holds."""
        return self.leaves, self.joins, self.heights, self.maps

    @property
    def count(self) -> int:
        """Number of leaves, S."""
        return len(self.maps)

    @cached_property
    def areas(self) -> torch.Tensor:
        """Pixels of every leaf: int64 ``[S]``."""
        return (self.leaves.flatten() + 1).bincount(minlength=self.count + 1)[1:]

    @cached_property
    def nodes(self) -> TreeNodes:
        """Every segment that is there at some granularity."""
        return TreeNodes(self.joins.cpu().numpy(), self.count)

    @cached_property
    def node_areas(self) -> Integers:
        """Pixels of every node: int64 ``[2 S − 1]``."""
        return np.array(self.nodes.folded(self.areas.tolist(), operator.add), dtype=np.int64)

    def number_at(self, height: float) -> int:
        """How many segments are left when all that differ by at most ``height`` nats have joined."""
        return self.count - int((self.heights <= height).sum())

    def automatic_number(self) -> int:
        """How many segments suit the image: the cut whose effective number of segments is nearest to 4.

        That is exp(H), H the entropy of the segments' shares of the image: the number of segments of equal
        area that would be as hard to tell apart. Small segments hardly count in it, so an image of one large
        thing and many small ones is cut finer than one of a few large ones. It goes by areas alone, so that
        one number serves models whose attention is sharp and models whose attention is flat.
        """
        areas = self.areas.cpu().double()  # not every device has float64
        shares = (areas / areas.sum()).tolist()
        entropy = -sum(share * math.log(share) for share in shares)
        best, least = self.count, abs(math.exp(entropy) - EFFECTIVE_NUMBER)
        shares = self.nodes.folded(shares, operator.add)
        for step, (first, second) in enumerate(self.nodes.children, start=1):
            both = shares[self.count + step - 1]
            for share in (shares[first], shares[second]):
                entropy += share * math.log(share)
            entropy -= both * math.log(both)
            if (distance := abs(math.exp(entropy) - EFFECTIVE_NUMBER)) < least:
                best, least = self.count - step, distance
        return best

    def cut(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The partition into ``number`` segments; into all leaves, if there are fewer.

        Returns:
            int32 ``[H, W]``, 0..K-1 in the order of the segments' first leaves and −1 where no leaf is, and
            float32 ``[K, h, w]``, the mean attention map of each segment's pixels.

        Raises:
            InvalidSettingError: fewer than 1 segment.
        """
        if number < 1:
            raise InvalidSettingError(f"Expected a cut into at least 1 segment, got {number}.")
        nodes, places = self.nodes.cut(number)
        index = torch.from_numpy(places).to(self.leaves.device)
        weights = self.areas.to(self.maps.dtype)
        areas = weights.new_zeros(len(nodes)).index_add_(0, index, weights)
        sums = self.maps.new_zeros(len(nodes), *self.maps.shape[1:])
        sums.index_add_(0, index, self.maps * weights[:, None, None])
        numbers = torch.cat((index.new_full((1,), -1), index)).int()
        labels = numbers.index_select(0, self.leaves.flatten() + 1).view(self.leaves.shape)
        return labels, sums / areas[:, None, None]

    def restrict(self, leaves: torch.Tensor) -> Hierarchy:
        """The tree of other pixels: some of them left out, or their leaves changed.

        Leaves without a pixel fall away, and joins of which only one side is left. So a cut that consists of
        unions of what is left stays one, and every coarser one.

        Args:
            leaves: int ``[H, W]``, of these leaves, −1 for none.
        """
        kept = (leaves.flatten() + 1).bincount(minlength=self.count + 1)[1:] > 0
        numbers = torch.where(kept, kept.cumsum(0) - 1, -1)
        lookup = torch.cat((numbers.new_full((1,), -1), numbers)).int()
        gone = self.count  # is no number of a leaf
        first = self.nodes.folded(torch.where(kept, numbers, gone).tolist(), min)
        pairs = torch.tensor([sorted((first[one], first[other])) for one, other in self.nodes.children])
        pairs = pairs.to(self.joins).reshape(-1, 2)
        both = pairs[:, 1] < gone
        return Hierarchy(
            lookup.index_select(0, leaves.flatten() + 1).view(leaves.shape),
            pairs[both],
            self.heights[both.to(self.heights.device)],
            self.maps[kept],
        )
