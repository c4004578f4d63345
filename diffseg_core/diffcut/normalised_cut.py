"""The recursive normalised cut of features, kept as a tree (Couairon et al.: DiffCut, NeurIPS 2024).

Every node, a token of the model, is joined to every other by how alike their features are. The graph is cut
in two where least is cut through for what the sides hold, and both sides likewise, until no cut is worth its
price. DiffCut stops there; here the cuts go on to a higher price, and each is kept with what it cost, so that
one tree holds DiffCut's partition at every threshold.

The authors' code loses nodes: those of the least affinity of all, 0, drop out of every cut but the first.
Here none does. Everything is computed on the CPU in float64, and what rounding alone would decide, as between
two cuts of which one is the other's mirror image, is decided by reading order.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .. import progress
from ..errors import InvalidSettingError
from ..images import finite_range
from ..settings import CUT_THRESHOLD
from ..tree import TreeNodes

LIMIT: float = CUT_THRESHOLD.highest
MOST = 400  # parts beyond the threshold; a part of a 32×32 grid then has 2 to 3 nodes on average
THRESHOLDS = 100  # of an eigenvector, as in the paper
SHORTENED = 0.99  # the share of its range in which they lie, as in the authors' code
ALIKE = 1e-12  # affinities that differ by less are equal, to rounding
DIGITS = 9  # of an eigenvector and of a cut's price that count; the rest is rounding
FARTHEST = 1.0 - 1e-6  # in −1..1: the first value of an eigenvector that is so far from 0 is positive
SMALL = 64  # nodes up to which all eigenvectors are computed at once
STEPS = 400  # of Lanczos' method, after which they are computed at once too
CLOSE = 1e-11  # how far an eigenvector may be from being one

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CutTree:
    """The parts into which a graph was cut, and the order in which they join again.

    A part goes by the number of its first finest part, as a segment of a `Hierarchy` does.

    Attributes:
        parts: int64 ``[n]``, 0..S-1 in the order of their first nodes: the finest part of every node.
        joins: int64 ``[S-1, 2]``, in order: the part ``joins[m, 1]`` becomes part of ``joins[m, 0]``, the
            smaller number.
        heights: float64 ``[S-1]``, 0..1, never falling: 1 − the greatest price (see `recursive_cut`) among
            the cut that the join takes back and all those above it.
    """

    parts: Integers
    joins: Integers
    heights: Vector

    @property
    def count(self) -> int:
        """Number of finest parts, S."""
        return len(self.joins) + 1

    def at(self, threshold: float) -> Integers:
        """DiffCut's partition at a threshold: every cut whose price, and all those above it, are below.

        Partitions at lower thresholds consist of unions of the parts at higher ones.

        Args:
            threshold: from 0. At 0 there is one part. At the tree's limit, and above it, there are all.

        Returns:
            int64 ``[n]``, 0..K-1 in the order of the parts' first nodes.
        """
        joined = int((self.heights <= 1.0 - threshold).sum())
        return TreeNodes(self.joins, self.count).cut(self.count - joined)[1][self.parts]


class _Cut(NamedTuple):
    """A part that is worth cutting, in the order in which parts are cut."""

    price: float  # the greatest of its own and of those above it
    first: int  # its first node
    nodes: Integers  # in reading order
    inside: Bools  # which of them are on the one side


def recursive_cut(
    features: torch.Tensor,
    *,
    power: float = 10.0,
    threshold: float = 0.5,
    limit: float = LIMIT,
) -> CutTree:
    """Cut the graph of features in two, and its parts likewise, while the price is below ``limit``.

    The affinity of two nodes is the cosine of their features, scaled to 0..1 over all pairs, to the power
    ``power``. A cut's price is its normalised cut (Shi and Malik, 2000): the affinity that it severs as a
    share of all that the nodes of the one side have, plus the same of the other side. It is 0 where the sides
    have nothing in common and 1 where the cut is no better than a random one: parts whose nodes are all
    equal cost 1, and are never cut. The default limit of 0.9 stops a little before that, where single nodes
    come off parts that hold together: a part of two nodes is cut only if their affinity is below 0.82, that
    is, with DiffCut's power, if their scaled cosine is below 0.98.

    Cuts are made in the order of their price, so that ``threshold`` is served first: all cuts that cost less
    are made, however many. Beyond it the tree ends at 400 parts.

    A node without features, all of whose channels are 0, is like others without features and like nobody
    else: its cosine is 1 with those and 0 with all others.

    Args:
        features: ``[n, C]``, of any float type, on any device. Their lengths do not matter.
        power: above 0: the higher, the more alike nodes must be to hold together. DiffCut's is 10.
        threshold: from 0 to ``limit``: the price at which the tree must be whole. DiffCut's is 0.5.
        limit: above 0 and up to 1: the price from which nothing is cut.

    Raises:
        InvalidSettingError: features of another shape or type, or that are not finite.
    """
    if features.ndim != 2 or not features.numel() or not features.is_floating_point():
        raise InvalidSettingError(
            "Expected floating-point features [n, C] of at least one node and one channel, got "
            f"{features.dtype} {list(features.shape)}."
        )
    finite_range(features.detach().cpu(), "features")
    affinity = _affinities(features, power)
    count = len(affinity)
    parts = np.zeros(count, dtype=np.int64)
    waiting: list[_Cut] = []
    splits: list[tuple[int, int, float]] = []

    def search(nodes: Integers, price: float) -> None:
        progress.step()
        block = affinity if len(nodes) == count else affinity[np.ix_(nodes, nodes)]
        least, inside = _best_cut(block)
        if least < limit:
            heapq.heappush(waiting, _Cut(max(price, least), int(nodes[0]), nodes, inside))

    search(np.arange(count), 0.0)
    while waiting and (waiting[0].price < threshold or len(splits) + 1 < MOST):
        cut = heapq.heappop(waiting)
        sides = sorted((cut.nodes[cut.inside], cut.nodes[~cut.inside]), key=lambda side: int(side[0]))
        splits.append((int(sides[0][0]), int(sides[1][0]), cut.price))
        parts[sides[1]] = len(splits)
        for side in sides:
            search(side, cut.price)
    return _tree(parts, splits)


def _affinities(features: torch.Tensor, power: float) -> Matrix:
    """Of all pairs of nodes: ``[n, n]`` in 0..1, symmetric, 1 of each with itself."""
    values = features.detach().cpu().double()
    # Before squares are summed: they must neither overflow nor vanish.
    peaks = values.abs().amax(1, keepdim=True)
    values = values / torch.where(peaks > 0, peaks, 1.0)
    lengths = values.norm(dim=1, keepdim=True)
    values = values / lengths.clamp_min(1.0)  # a length is 0 or from 1
    cosines = values @ values.T
    empty = lengths[:, 0] == 0
    if empty.any():
        cosines[torch.outer(empty, empty)] = 1.0
    lowest, highest = cosines.aminmax()
    if float(highest - lowest) < ALIKE:
        return np.ones(cosines.shape)
    affinity: Matrix = cosines.sub_(lowest).div_(highest - lowest).pow_(power).numpy()
    return affinity


def _best_cut(affinity: Matrix) -> tuple[float, Bools]:
    """The least price of cuts through the second eigenvector, and who is above the threshold that has it.

    Args:
        affinity: ``[m, m]``, of the nodes of one part. If all are equal, the price is infinity.
    """
    inside = np.zeros(len(affinity), dtype=bool)
    if len(affinity) < 2 or affinity.max() - affinity.min() < ALIKE:
        return math.inf, inside
    degrees = affinity.sum(1)
    values = _second_eigenvector(affinity, degrees)
    thresholds = np.linspace(SHORTENED * values.min(), SHORTENED * values.max(), THRESHOLDS)
    # Many thresholds lie between the same two values: one of them will do.
    chosen = np.unique(np.searchsorted(np.sort(values), thresholds, side="right"), return_index=True)[1]
    above = values[:, None] > thresholds[chosen]
    one_side, other_side = above.astype(np.float64), (~above).astype(np.float64)
    # Sums of what is positive: exact also where they are tiny.
    severed = ((affinity @ one_side) * other_side).sum(0)
    prices = severed / (degrees @ one_side) + severed / (degrees @ other_side)
    best = int((prices <= prices.min() * (1.0 + 10.0**-DIGITS)).argmax())
    return round(float(prices[best]), DIGITS), above[:, best]


def _second_eigenvector(affinity: Matrix, degrees: Vector) -> Vector:
    """That of the normalised Laplacian, over the roots of the degrees: ``[m]`` in −1..1, 1 the farthest.

    Where the second eigenvalue belongs to several vectors, it is the one of their span that is nearest to a
    fixed vector.
    """
    roots = np.sqrt(degrees)
    first = roots / np.sqrt(degrees.sum())  # the first eigenvector, which is thus known, and taken out
    count = len(degrees)
    # A fixed vector that is like no map: the golden ratio's multiples, without their whole parts.
    start = np.modf(np.arange(1, count + 1) * ((math.sqrt(5.0) - 1.0) / 2.0))[0] - 0.5
    start -= first * (first @ start)
    vector = None
    if count > SMALL:
        vector = _lanczos(
            lambda vector: affinity @ (vector / roots) / roots - 2.0 * first * (first @ vector), start
        )
    if vector is None:
        eigenvalues, vectors = np.linalg.eigh(
            affinity / roots / roots[:, None] - 2.0 * np.outer(first, first)
        )
        span = vectors[:, eigenvalues > eigenvalues[-1] - 10.0**-DIGITS]
        vector = span @ (start @ span)
    values: Vector = vector / roots
    values = np.round(values / np.abs(values).max(), DIGITS)
    return values * np.sign(values[(np.abs(values) > FARTHEST).argmax()])


def _lanczos(apply: Callable[[Vector], Vector], start: Vector) -> Vector | None:
    """The eigenvector of the greatest eigenvalue of a symmetric matrix; None where it takes too long.

    Lanczos' method, with every vector held at right angles to all before it. Unlike ARPACK's it needs no
    random vector where ``start`` lies in the span of a few eigenvectors, as in maps of few different nodes.
    """
    basis = np.empty((STEPS, len(start)))
    basis[0] = start / np.linalg.norm(start)
    projected = np.zeros((STEPS, STEPS))
    check = 8
    for step in range(STEPS):
        known = basis[: step + 1]
        following = apply(basis[step])
        projected[step, step] = following @ basis[step]
        for _ in range(2):  # once leaves some rounding
            following -= (known @ following) @ known
        length = float(np.linalg.norm(following))
        if step + 1 in (check, STEPS) or length < CLOSE:
            eigenvalues, vectors = np.linalg.eigh(projected[: step + 1, : step + 1])
            span = vectors[:, eigenvalues > eigenvalues[-1] - 10.0**-DIGITS]
            weights = span @ span[0]  # of the start, which is the first of the basis, what lies in the span
            if length * abs(weights[-1]) <= CLOSE * float(np.linalg.norm(weights)):
                eigenvector: Vector = weights @ known
                return eigenvector
            check += max(4, check // 8)
        if step + 1 < STEPS:
            basis[step + 1] = following / length
            projected[step, step + 1] = projected[step + 1, step] = length
    return None


def _tree(parts: Integers, splits: list[tuple[int, int, float]]) -> CutTree:
    """The tree of cuts in the order in which they were made, of which each names its sides' first nodes."""
    first = np.unique(parts, return_index=True)[1]
    numbers = np.empty(len(first), dtype=np.int64)
    numbers[first.argsort()] = np.arange(len(first))
    parts = numbers[parts]
    # Prices never fall from one cut to the next: taken back in reverse, heights do not either.
    joins = [(int(parts[one]), int(parts[other])) for one, other, _ in reversed(splits)]
    heights = [max(0.0, 1.0 - price) for *_, price in reversed(splits)]
    return CutTree(parts, np.array(joins, dtype=np.int64).reshape(-1, 2), np.array(heights, dtype=np.float64))
