"""The two closest segments, again and again, without a look at all pairs before every join.

Each pair belongs to that of its two segments that changed last, or, among leaves, to the smaller number. What
a segment knows of a pair of its own is its divergence or, where that has not been worked out since the
segment changed, a lower bound. A heap holds every segment's least pair; the first on it is worked out if it
is a bound, and joins if it is not. So the pair that joins is the closest one, and large segments, which have
many neighbours and change little from one join to the next, need not be compared with all of them every time.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import progress
from ..image.boundary_contrast import Contrast

Integers = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]

AT_ONCE = 16  # divergences that are worked out together
UNKNOWN = 1e300  # of how fast a divergence may change: no bound is left after any change
GROUP = 16  # entries that are added up for a bound
ROUNDING = 1e-12  # by which a bound is kept below what it bounds
DIGITS = 12  # of divergences by products of matrices that count
BAND = 256  # rows of such a product

NEVER = np.iinfo(np.int64).max


def divergences_from(features: Matrix, rows: Integers, row: int) -> tuple[Vector, Vector, Vector]:
    """½ Σ (p − q)(log p − log q) between some rows and one: ``[n]``; the same to the bit from either side.

    Returns:
        the divergences, and the lengths of log p − log q and of p − q.
    """
    apart = features[rows]
    logs = np.log(apart)
    apart -= features[row]
    logs -= np.log(features[row])
    return (
        0.5 * np.einsum("ij,ij->i", apart, logs),
        np.sqrt(np.einsum("ij,ij->i", logs, logs)),
        np.sqrt(np.einsum("ij,ij->i", apart, apart)),
    )


def later(count: int, contrast: Contrast | None) -> Iterator[tuple[slice, Integers]]:
    """Of every leaf, the leaves of larger numbers that it may join, and where these pairs stand among all."""
    if contrast is None:
        numbers = np.arange(count)
        stops = np.cumsum(count - 1 - numbers)
        for leaf, stop in enumerate(stops.tolist()):
            yield slice(stop - (count - 1 - leaf), stop), numbers[leaf + 1 :]
    else:
        bounds = np.searchsorted(contrast.pairs[:, 0], np.arange(count + 1)).tolist()
        for start, stop in pairwise(bounds):
            yield slice(start, stop), contrast.pairs[start:stop, 1]


def divergences_of_pairs(features: Matrix, contrast: Contrast | None) -> Vector:
    """The divergences of all leaves that may join: those of `Contrast.pairs`, or of all pairs in that order.

    Args:
        features: float64 ``[S, f]``, above 0.
        contrast: as `ClosestPairs` takes it.
    """
    count = len(features)
    if contrast is None:
        return divergences(features)[np.triu_indices(count, 1)]
    apart = np.empty(len(contrast.pairs))
    for leaf, (places, partners) in enumerate(later(count, contrast)):
        if len(partners):
            progress.step()
            apart[places] = divergences_from(features, partners, leaf)[0]
    return apart


def divergences(features: Matrix) -> Matrix:
    """½ Σ (p − q)(log p − log q) between all rows above 0: ``[S, S]``, symmetric to the bit."""
    logs = np.log(features)
    entropies = np.einsum("ij,ij->i", features, logs)
    cross = np.empty((len(features), len(features)))
    for start in range(0, len(features), BAND):
        progress.step()
        np.matmul(features[start : start + BAND], logs.T, out=cross[start : start + BAND])
    apart = 0.5 * (entropies[:, None] + entropies - (cross + cross.T))
    return np.round(np.maximum(apart, 0.0), DIGITS)  # so that equals are equal


class _Pairs(NamedTuple):
    """The pairs of one segment.

    For p that changes to p' while q stays, the divergence is at least what it was, less
    ½ (‖p' − p‖ ‖log p − log q‖ + ‖log p' − log p‖ ‖p − q‖), by Cauchy and Schwarz.

    Attributes:
        partners: the other segments, ``[n]``.
        apart: divergences, or lower bounds of them.
        known: bool, whether it is the divergence itself.
        factors: by which a divergence is multiplied.
        logs, shares: ‖log p − log q‖ and ‖p − q‖ when the divergence was worked out.
    """

    partners: Integers
    apart: Vector
    known: Bits
    factors: Vector
    logs: Vector
    shares: Vector


class _Least(NamedTuple):
    """The least pair of a segment, in the order in which pairs are looked at: bounds before the known."""

    distance: float
    known: bool
    first: int
    second: int
    owner: int
    other: int
    since: int  # when the owner changed


class ClosestPairs:
    """Segments that join; one goes by the smallest number of its leaves.

    Args:
        features: float64 ``[S, f]``, above 0; changed. The distance is ½ Σ (p − q)(log p − log q).
        areas: ``[S]``, above 0; changed.
        apart: the divergences of the leaves that may join, as `divergences_of_pairs` gives them; changed.
        contrast: multiplies the distance, and says who are neighbours as segments join; changed. With None
            any two may join.
    """

    def __init__(
        self,
        features: Matrix,
        areas: Vector,
        apart: Vector,
        contrast: Contrast | None,
    ) -> None:
        count = len(features)
        self._features, self._areas, self._contrast = features, areas, contrast
        self._sums = _Sums(features) if contrast is None else None
        self._names = np.arange(count)
        self._changed = np.zeros(count, dtype=np.int64)  # after which join; NEVER for one that is gone
        self._time = 0
        self._pairs: dict[int, _Pairs] = {}
        self._heap: list[_Least] = []
        for leaf, (places, partners) in enumerate(later(count, contrast)):
            same = np.broadcast_to(UNKNOWN, len(partners)), np.broadcast_to(1.0, len(partners))
            factors = same[1] if contrast is None else contrast.factors(places)
            known = np.ones(len(partners), dtype=bool)
            self._pairs[leaf] = _Pairs(partners, apart[places], known, factors, same[0], same[0])
            self._look(leaf)

    def join(self) -> tuple[int, int, float]:
        """Join the closest two: the smaller number, the larger one, and the distance between them."""
        while True:
            progress.step()
            least = heapq.heappop(self._heap)
            if self._changed[least.owner] != least.since:
                continue
            if self._changed[least.other] > least.since:
                self._forget(least.owner)
            elif least.known:
                self._unite(least)
                return least.first, least.second, least.distance
            else:
                self._work_out(least.owner, self._heap[0].distance if self._heap else math.inf)
            self._look(least.owner)

    def _look(self, owner: int) -> None:
        """Put the least pair of a segment on the heap."""
        pairs = self._pairs[owner]
        if not len(pairs.partners):
            return
        distances = pairs.apart * pairs.factors
        places = np.flatnonzero(distances == distances.min())
        names = self._names[pairs.partners[places]]
        first, second = np.minimum(names, self._names[owner]), np.maximum(names, self._names[owner])
        known = pairs.known[places]
        best = np.lexsort((second, first, known))[0] if len(places) > 1 else 0
        place = places[best]
        heapq.heappush(
            self._heap,
            _Least(
                float(distances[place]),
                bool(known[best]),
                int(first[best]),
                int(second[best]),
                owner,
                int(pairs.partners[place]),
                int(self._changed[owner]),
            ),
        )

    def _forget(self, owner: int) -> None:
        """Leave out pairs that belong to another by now."""
        pairs = self._pairs[owner]
        ours = self._changed[pairs.partners] <= self._changed[owner]
        self._pairs[owner] = _Pairs(*(column[ours] for column in pairs))

    def _work_out(self, owner: int, enough: float) -> None:
        """Work out the least divergences of which only a bound is known, up to a distance."""
        pairs = self._pairs[owner]
        bounds = np.where(pairs.known, np.inf, pairs.apart * pairs.factors)
        places = np.flatnonzero(bounds <= max(enough, bounds.min()))
        if len(places) > AT_ONCE:
            places = places[bounds[places].argpartition(AT_ONCE)[:AT_ONCE]]
        pairs.apart[places], pairs.logs[places], pairs.shares[places] = divergences_from(
            self._features, pairs.partners[places], owner
        )
        pairs.known[places] = True

    def _unite(self, least: _Least) -> None:
        """Make one segment of two: that of the larger area, which changes less, keeps what it knows."""
        kept, gone = sorted((least.owner, least.other), key=lambda segment: (-self._areas[segment], segment))
        before = self._features[kept].copy()
        total = self._areas[kept] + self._areas[gone]
        share = self._areas[gone] / total
        self._features[kept] += share * (self._features[gone] - before)  # of equals it is what it was
        self._areas[kept] = total
        self._names[kept] = least.first
        if self._contrast is not None:
            self._contrast.join(kept, gone)
        elif self._sums is not None:
            self._sums.join(kept, gone, share)
        self._changed[gone] = NEVER
        del self._pairs[gone]
        after = self._features[kept]
        logs = np.log(after) - np.log(before)
        self._renew(kept, float(np.linalg.norm(after - before)), float(np.linalg.norm(logs)))

    def _renew(self, kept: int, moved: float, moved_logs: float) -> None:
        """The pairs of a segment that has changed: bounds from what was known, for the others none."""
        self._forget(kept)
        self._time += 1
        self._changed[kept] = self._time
        old = self._pairs[kept]
        count = len(self._features)
        apart = np.full(count, -np.inf)
        slack = 0.5 * (moved * old.logs + moved_logs * old.shares)
        apart[old.partners] = old.apart - (slack + ROUNDING * np.abs(old.apart)) * (slack > 0.0)
        known = np.zeros(count, dtype=bool)
        known[old.partners] = old.known & (slack == 0.0)
        logs, shares = np.full(count, UNKNOWN), np.full(count, UNKNOWN)
        logs[old.partners], shares[old.partners] = old.logs, old.shares
        if self._sums is not None:
            partners = np.flatnonzero(self._changed != NEVER)
            partners = partners[partners != kept]
            factors = np.ones(len(partners))
            bounds = np.maximum(apart, self._sums.bounds(kept))[partners]
        elif self._contrast is not None:
            partners, factors = self._contrast.around(kept)
            bounds = apart[partners]
        self._pairs[kept] = _Pairs(
            partners, bounds, known[partners], factors, logs[partners], shares[partners]
        )
        self._look(kept)


class _Sums:
    """Features with some entries added up: their divergence is no greater (the log sum inequality)."""

    def __init__(self, features: Matrix) -> None:
        self._sums = np.add.reduceat(features, np.arange(0, features.shape[1], GROUP), axis=1)
        self._logs = np.log(self._sums)
        self._entropies = np.einsum("ij,ij->i", self._sums, self._logs)

    def join(self, kept: int, gone: int, share: float) -> None:
        """Let one become part of another, as `share` of it."""
        self._sums[kept] += share * (self._sums[gone] - self._sums[kept])
        self._logs[kept] = np.log(self._sums[kept])
        self._entropies[kept] = self._sums[kept] @ self._logs[kept]

    def bounds(self, row: int) -> Vector:
        """Lower bounds of the divergences of all from one: ``[S]``."""
        cross = self._sums @ self._logs[row] + self._logs @ self._sums[row]
        bounds: Vector = 0.5 * (self._entropies + self._entropies[row] - cross) - ROUNDING
        return bounds
