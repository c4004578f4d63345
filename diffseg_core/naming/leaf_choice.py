"""Which leaves of an image are each word's: from the word's mean share in every leaf."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]

FOUND_RATIO = 1.5
"""A word is there if its best leaf has so many times what its middle one has, or its middle one so many times
an equal share."""
DRAWN_RATIO = 1.2
"""Its best leaf must draw so many times the attention that its middle one draws."""
NODE_COST = 0.001
"""What a part of its own costs a word, in shares of the image times margin: a part of less falls away, and a
gap that loses less is filled where that joins two parts."""


@dataclass(frozen=True, eq=False)
class LeafScores:
    """What one image's leaves are by the words.

    Attributes:
        scores: float64 ``[S, lines]``, 0..1: the mean of each line's share over the leaf's pixels.
        background: float64 ``[S]``, 0..1: of "background".
        unspread: float64 ``[S, lines + 1]``, 0..1: the shares of the lines and the background before
            self-attention spread them, which makes small what stands out.
        attention: float64 ``[S, lines + 1]``, 0..1: what the lines and the background draw of all attention,
            likewise.
        areas: float64 ``[S]``: of the leaves, as shares of the image.
        is_distractor: bool ``[lines]``.
        competitors: how many shares make up the whole.
    """

    scores: Numbers
    background: Numbers
    unspread: Numbers
    attention: Numbers
    areas: Numbers
    is_distractor: Bits
    competitors: int


def choose_leaves(
    leaves: LeafScores, joins: npt.NDArray[np.int64] | None, threshold: float, background_offset: float
) -> npt.NDArray[np.int64]:
    """The line whose word each leaf is, −1 for none: int64 ``[S]``.

    A line that `is_present` says is not there takes nothing. The others' scores are brought to 0..1, see
    `normalised`, so that words that draw much attention and words that draw little are alike. A leaf is worth
    its margin to a line: the least of what it is above the threshold, above every other line, and above the
    background and the distractors. Where two lines are alike, as in the leaf that is highest for both, the
    larger share takes it. With a tree each line takes the nodes that are worth most, see `best_nodes`;
    without one, the leaves that are worth something. What two lines take is the higher one's.

    Args:
        leaves: their scores.
        joins: int64 ``[S-1, 2]``, the tree's, as `Hierarchy` has them; None without a tree.
        threshold: 0..1.
        background_offset: −1..1, added to the background's and distractors' normalised scores.
    """
    owner = np.full(len(leaves.areas), -1)
    if not len(owner):
        return owner
    scores = np.concatenate([leaves.scores, leaves.background[:, None]], axis=1)
    present = is_present(leaves.unspread, leaves.attention, leaves.areas, leaves.competitors)
    heights = normalised(scores, leaves.competitors) * present
    never_chosen = np.append(leaves.is_distractor, True)
    against = heights[:, never_chosen].max(1) + background_offset
    best = np.full(len(owner), -np.inf)
    wanted = np.flatnonzero(~never_chosen & present)
    for line in wanted:
        own, rivals = heights[:, line], wanted[wanted != line]
        yields = (heights[:, rivals] == own[:, None]) & (scores[:, rivals] < scores[:, line, None])
        others = np.where(yields, 0.0, heights[:, rivals]).max(1, initial=0.0)
        margins = own - np.maximum(np.maximum(threshold, others), against)
        taken = margins > 0 if joins is None else best_nodes(margins * leaves.areas, joins)
        taken &= own > best
        owner[taken] = line
        best[taken] = own[taken]
    return owner


def is_present(scores: Numbers, attention: Numbers, areas: Numbers, competitors: int) -> Bits:
    """Whether each line's word is in the image at all: bool ``[lines]``.

    It is if it stands out somewhere, or if it has most of the image: what fills it cannot stand out. Bringing
    a word to 0..1 that is not there would invent it. To stand out it must draw more attention there, and not
    only a larger share: shares are large, too, where nothing that is named draws attention.

    Args:
        scores: ``[S, lines]``, shares, not yet spread.
        attention: ``[S, lines]``.
        areas: ``[S]``.
        competitors: how many shares make up the whole.
    """
    middle = middle_of(scores, areas)
    stands_out = scores.max(0) > FOUND_RATIO * middle
    stands_out &= attention.max(0) > DRAWN_RATIO * middle_of(attention, areas)
    return stands_out | (middle > FOUND_RATIO / competitors)


def middle_of(scores: Numbers, areas: Numbers) -> Numbers:
    """The median of each line's scores over the area, ``[lines]``: half of it has no more."""
    order = scores.argsort(0, kind="stable")
    reached = areas[order].cumsum(0)
    middle_place = (reached >= reached[-1:] / 2).argmax(0)
    middle: Numbers = np.take_along_axis(scores, np.take_along_axis(order, middle_place[None], 0), 0)[0]
    return middle


def normalised(scores: Numbers, competitors: int) -> Numbers:
    """Each line's scores from 0, its lowest leaf or, if less, an equal share, to 1, its highest leaf.

    The equal share keeps the parts of what fills the whole image from being told apart by small differences.
    """
    low, high = np.minimum(scores.min(0), 1.0 / competitors), scores.max(0)
    return (scores - low) / np.where(high > low, high - low, 1.0)


def best_nodes(worth: Numbers, joins: npt.NDArray[np.int64]) -> Bits:
    """The leaves of those nodes of a tree, none within another, that are together worth most: bool ``[S]``.

    A node is worth the sum of its leaves less `NODE_COST`: a whole is taken where its parts are worth little
    more, although some of its leaves fall short, and what is worth less than the cost is left out.

    Args:
        worth: of each leaf, ``[S]``; below 0 for one that should not be taken.
        joins: the tree's, ``[S-1, 2]``: a segment goes by its first leaf.
    """
    sums = worth.tolist()
    best = [max(value - NODE_COST, 0.0) for value in sums]
    nodes = [[leaf] if value > 0 else [] for leaf, value in enumerate(best)]  # whose leaves are taken
    members = [[leaf] for leaf in range(len(sums))]
    for first, second in joins.tolist():
        sums[first] += sums[second]
        members[first] += members[second]
        apart = best[first] + best[second]
        whole = sums[first] - NODE_COST
        best[first] = max(whole, apart)
        nodes[first] = members[first][:] if whole > apart else nodes[first] + nodes[second]
    taken = np.zeros(len(sums), dtype=bool)
    taken[nodes[0]] = True  # of the root
    return taken
