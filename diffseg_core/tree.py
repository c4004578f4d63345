"""A tree of segments as a value: the finest segments, the order in which they join, and cuts through it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from .errors import InvalidSettingError

# Chosen on the COCO photographs of docs/granularity.md. It speaks of areas alone, so that one number serves
# sharp and flat attention.
EFFECTIVE_NUMBER = 4.0


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A tree of segments.

    A segment goes by the number of its first leaf. ``cut(number)`` is the partition after the first
    S − ``number`` joins, so a coarser cut consists of unions of a finer one's segments.

    Attributes:
        leaves: int32 ``[H, W]``, 0..S-1: the finest segments; −1 for pixels that belong to none, as
            `over` leaves them.
        joins: int64 ``[S-1, 2]``, in order: the segment ``joins[m, 1]`` becomes part of ``joins[m, 0]``,
            the smaller number.
        heights: float64 ``[S-1]``, in nats, never falling: the divergence over which each join went.
        maps: float32 ``[S, h, w]``: the mean attention map of each leaf's pixels.

    Raises:
        InvalidSettingError: joins and heights that are no tree of the leaves, see `check_joins`.
    """

    leaves: torch.Tensor
    joins: torch.Tensor
    heights: torch.Tensor
    maps: torch.Tensor

    def __post_init__(self) -> None:
        check_joins(self.joins, self.heights, len(self.maps))

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
        for step, (first, second) in enumerate(self.joins.tolist(), start=1):
            both = shares[first] + shares[second]
            for share in (shares[first], shares[second]):
                entropy += share * math.log(share)
            entropy -= both * math.log(both)
            shares[first] = both
            if (distance := abs(math.exp(entropy) - EFFECTIVE_NUMBER)) < least:
                best, least = self.count - step, distance
        return best

    def members(self, number: int) -> torch.Tensor:
        """The segment of every leaf when ``number`` segments are left, by its first leaf: int64 ``[S]``.

        Raises:
            InvalidSettingError: fewer than 1 segment.
        """
        if number < 1:
            raise InvalidSettingError(f"Expected a cut into at least 1 segment, got {number}.")
        segment = list(range(self.count))
        for first, second in reversed(self.joins[: max(0, self.count - number)].tolist()):
            segment[second] = segment[first]
        return torch.tensor(segment)

    def cut(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The partition into ``number`` segments; into all leaves, if there are fewer.

        Returns:
            int32 ``[H, W]``, 0..K-1 in the order of the segments' first leaves and −1 where no leaf is, and
            float32 ``[K, h, w]``, the mean attention map of each segment's pixels.

        Raises:
            InvalidSettingError: fewer than 1 segment.
        """
        names, index = self.members(number).unique(return_inverse=True)
        index = index.to(self.leaves.device)
        weights = self.areas.to(self.maps.dtype)
        areas = weights.new_zeros(len(names)).index_add_(0, index, weights)
        sums = self.maps.new_zeros(len(names), *self.maps.shape[1:])
        sums.index_add_(0, index, self.maps * weights[:, None, None])
        numbers = torch.cat((index.new_full((1,), -1), index)).int()
        labels = numbers.index_select(0, self.leaves.flatten() + 1).view(self.leaves.shape)
        return labels, sums / areas[:, None, None]

    def over(self, leaves: torch.Tensor) -> Hierarchy:
        """The tree over other pixels: some of them left out, or their leaves changed.

        Leaves without a pixel fall away, and joins of which only one side is left. So a cut that consists of
        unions of what is left stays one, and every coarser one.

        Args:
            leaves: int ``[H, W]``, of these leaves, −1 for none.
        """
        kept = (leaves.flatten() + 1).bincount(minlength=self.count + 1)[1:] > 0
        numbers = torch.where(kept, kept.cumsum(0) - 1, -1)
        first = numbers.tolist()
        joins, heights = [], []
        for (one, other), height in zip(self.joins.tolist(), self.heights.tolist(), strict=True):
            if first[one] >= 0 and first[other] >= 0:
                joins.append(sorted((first[one], first[other])))
                heights.append(height)
            sides = [side for side in (first[one], first[other]) if side >= 0]
            first[one] = min(sides, default=-1)
        lookup = torch.cat((numbers.new_full((1,), -1), numbers)).int()
        return Hierarchy(
            lookup.index_select(0, leaves.flatten() + 1).view(leaves.shape),
            torch.tensor(joins, dtype=self.joins.dtype, device=self.joins.device).reshape(-1, 2),
            torch.tensor(heights, dtype=self.heights.dtype, device=self.heights.device),
            self.maps[kept],
        )


def check_joins(joins: torch.Tensor, heights: torch.Tensor, count: int) -> None:
    """Refuse joins that are no tree: the one place that says what a tree is, for all who make or read one.

    Args:
        joins, heights: as of `Hierarchy`.
        count: of leaves.

    Raises:
        InvalidSettingError: not one join less than there are leaves; a join whose second number is not the
            larger one, or of a segment that became part of another before; heights that fall or are NaN.
    """
    wanted = max(0, count - 1)
    if tuple(joins.shape) != (wanted, 2) or tuple(heights.shape) != (wanted,):
        raise InvalidSettingError(
            f"Expected joins [{wanted}, 2] and heights [{wanted}] for a tree of {count} leaves, got "
            f"{list(joins.shape)} and {list(heights.shape)}. All leaves must join, two by two."
        )
    pairs, steps = joins.cpu(), torch.arange(wanted)
    first, second = pairs.unbind(1)
    wrong = (first < 0) | (first >= second) | (second >= count)
    if not wrong.any():
        end = torch.full((count,), wanted).scatter_reduce_(0, second, steps, "amin")  # when each is joined
        wrong = (end[second] < steps) | (end[first] <= steps)
    if wrong.any():
        step = int(wrong.int().argmax())
        raise InvalidSettingError(
            f"Expected joins (first, second) of two segments that are there, first < second, got "
            f"{tuple(pairs[step].tolist())} as join {step} of a tree of {count} leaves. A segment goes by "
            "its first leaf: put the smaller number first, and name none that became part of another."
        )
    if not (heights.diff() >= 0).all() or heights.isnan().any():
        raise InvalidSettingError(
            "Expected heights that never fall, got some that do or are NaN. Give each join the greatest "
            "distance so far."
        )
