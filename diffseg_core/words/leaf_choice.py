"""Which leaves of an image are each word's: from the word's mean share in every leaf."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..tree import TreeNodes

Numbers = npt.NDArray[np.float64]
Bits = npt.NDArray[np.bool_]

TINY = np.finfo(np.float64).tiny

FOUND_RATIO = 1.75
"""A word is there if its joint score in the part where it is high is so many times that in the rest …"""
ATTENTION_RATIO = 1.2
"""… and its attention there so many times that in the rest;"""
MAJORITY = 0.5
"""or if half of the image gives it more than this of what all words get: what fills the image has no rest."""
NODE_COST = 0.001
"""What a part of its own costs a word, in shares of the image times margin: a part of less falls away, and a
gap that loses less is filled where that joins two parts."""


@dataclass(frozen=True, eq=False)
class LeafScores:
    """What one image's leaves are by the words: means over their pixels of what `WordMaps` has.

    Attributes:
        scores, raw_scores, attention, joint_scores: float64 ``[S, lines + 1]``, "background" last.
        areas: float64 ``[S]``: of the leaves, as shares of the image.
        is_distractor: bool ``[lines]``.
        competitors: how many shares make up the whole.
    """

    scores: Numbers
    raw_scores: Numbers
    attention: Numbers
    joint_scores: Numbers
    areas: Numbers
    is_distractor: Bits
    competitors: int


def choose_leaves(
    leaves: LeafScores, joins: npt.NDArray[np.int64] | None, threshold: float, background_offset: float
) -> npt.NDArray[np.int64]:
    """The line whose word each leaf is, −1 for none: int64 ``[S]``.

    A line that `is_present` says is not there takes nothing. The others' scores are brought to 0..1, see
    `normalised`, so that words that have much attention and words that have little are alike. A leaf is worth
    its margin to a line: the least of what it is above the threshold, above every other line, and above the
    background and the distractors. These count for no more than their share is beside the line's own: they
    have a highest leaf, too, and may be far weaker there. With a tree each line takes the nodes that are
    worth most, see `best_nodes`; without one, the leaves that are worth something. What two lines take is the
    higher one's; a leaf that is the highest of both, the one's with the larger share.

    Args:
        leaves: their scores.
        joins: int64 ``[S-1, 2]``, the tree's, as `Hierarchy` has them; None without a tree.
        threshold: 0..1.
        background_offset: −1..1, added to the background's and distractors' normalised scores.
    """
    owner = np.full(len(leaves.areas), -1)
    if not len(owner):
        return owner
    scores, present = leaves.scores, is_present(leaves)
    heights = normalised(scores, leaves.competitors) * present
    low, high = _range(scores, leaves.competitors)
    never_chosen = np.append(leaves.is_distractor, True)
    best = np.full(len(owner), -np.inf)
    wanted = np.flatnonzero(~never_chosen & present)
    for line in wanted:
        height, rivals = heights[:, line], wanted[wanted != line]
        beside = (scores[:, never_chosen] - low[line]) / (high - low)[line]
        against = np.minimum(heights[:, never_chosen], beside).max(1).clip(0) + background_offset
        yields = (heights[:, rivals] == height[:, None]) & (scores[:, rivals] < scores[:, [line]])
        above = np.where(yields, 0.0, heights[:, rivals]).max(1, initial=0.0)
        margins = height - np.maximum(np.maximum(threshold, above), against)
        taken = margins > 0 if joins is None else best_nodes(margins * leaves.areas, joins)
        taken &= height > best
        owner[taken] = line
        best[taken] = height[taken]
    return owner


def is_present(leaves: LeafScores) -> Bits:
    """Whether the word of each line, and the background, is in the image at all: bool ``[lines + 1]``.

    It is if the leaves fall into two parts by its joint score, of which one has far more than the other and
    more attention too (each by its area: the split that leaves least variance within, Otsu's); or if its
    share exceeds one half in most of the image: what fills the image cannot stand out. Bringing a word to
    0..1 that is not there would invent it.
    """
    inside = _upper_part(leaves.joint_scores, leaves.areas)
    weights = [leaves.areas[:, None] * part for part in (inside, ~inside)]
    ratios = []
    for values in (leaves.joint_scores, leaves.attention):
        upper, lower = ((values * part).sum(0) / part.sum(0).clip(TINY) for part in weights)
        ratios.append(upper / lower.clip(TINY))
    stands_out = inside.any(0) & (ratios[0] > FOUND_RATIO) & (ratios[1] > ATTENTION_RATIO)
    of_most = (leaves.areas[:, None] * (leaves.raw_scores > MAJORITY)).sum(0) > leaves.areas.sum() / 2
    return stands_out | of_most


def _upper_part(values: Numbers, areas: Numbers) -> Bits:
    """The leaves above each column's best threshold: bool, of the shape of the values. None if all are alike.

    Between the two parts lies most variance (Otsu): area × area × the squared difference of their means.
    """
    order = values.argsort(0, kind="stable")
    below = areas[order].cumsum(0)
    sums = (np.take_along_axis(values, order, 0) * areas[order]).cumsum(0)
    above = below[-1:] - below
    between = (sums * below[-1:] - sums[-1:] * below) ** 2 / (below * above).clip(TINY)
    place = between[:-1].argmax(0) if len(values) > 1 else np.zeros(values.shape[1], dtype=int)
    threshold = np.take_along_axis(np.take_along_axis(values, order, 0), place[None], 0)
    upper: Bits = values > threshold
    return upper


def normalised(scores: Numbers, competitors: int) -> Numbers:
    """Each line's scores from 0, its lowest leaf or, if less, an equal share, to 1, its highest leaf.

    The equal share keeps small differences in what fills the whole image small.
    """
    low, high = _range(scores, competitors)
    return (scores - low) / (high - low)


def _range(scores: Numbers, competitors: int) -> tuple[Numbers, Numbers]:
    """What becomes 0 and 1 of each line's scores."""
    low, high = np.minimum(scores.min(0), 1.0 / competitors), scores.max(0)
    return low, np.where(high > low, high, low + 1.0)


def best_nodes(worth: Numbers, joins: npt.NDArray[np.int64]) -> Bits:
    """The leaves of those nodes of a tree, none within another, that are together worth most: bool ``[S]``.

    A node is worth the sum of its leaves less `NODE_COST`: a whole is taken where its parts are worth little
    more, although some of its leaves fall short, and what is worth less than the cost is left out. Where that
    is everything, it is the one node whose leaves are worth most, so that small things are found too.

    Args:
        worth: of each leaf, ``[S]``; below 0 for one that should not be taken.
        joins: the tree's, ``[S-1, 2]``: a segment goes by its first leaf.
    """
    nodes = TreeNodes(joins, len(worth))
    sums = nodes.folded(worth.tolist(), operator.add)
    best = [max(value - NODE_COST, 0.0) for value in worth.tolist()]
    is_whole = [True] * len(best)  # whether a node is taken as one, and not what is best within
    for (first, second), value in zip(nodes.children, sums[len(worth) :], strict=True):
        apart = best[first] + best[second]
        best.append(max(value - NODE_COST, apart))
        is_whole.append(value - NODE_COST > apart)
    taken = np.zeros(len(worth), dtype=bool)
    waiting = [len(sums) - 1]
    while waiting:
        node = waiting.pop()
        if not is_whole[node]:
            waiting += nodes.children[node - len(worth)]
        elif best[node] > 0:
            taken[nodes.leaves(node)] = True
    if not taken.any() and max(sums) > 0:
        taken[nodes.leaves(int(np.argmax(sums)))] = True
    return taken
