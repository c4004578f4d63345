"""How much each word is meant at each place of an image, and which leaves are hence each word's."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch

from ..attention.maps import AttentionMaps
from ..attention.text import on_grid
from ..errors import InvalidAttentionError, InvalidSettingError
from ..tree import TreeNodes
from .lines import WordAttention

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

REFINEMENTS = 2


@dataclass(frozen=True, eq=False)
class WordMaps:
    """What each word has of the attention of every place, on the grid of the self-attention.

    Maps are float32 ``[lines + 1, h, w]``, entries 0..1: of the lines, distractors among them, and of
    "background", zeros where the prompt does not have it.

    Attributes:
        scores: the share of the attention that a place pays to all that the prompt names; spread by
            self-attention.
        raw_scores: the same before it is spread, which evens it out.
        attention: the share of all attention (its mass), not spread.
        joint_scores: attention times raw score, spread once. It is large only where a word has attention, and
            more than the others: a share alone is large, too, where nothing that is named has any; attention
            alone, too, where all that is named has much.
        competitors: how many shares make up the whole: lines, "other objects" and "background".
    """

    scores: torch.Tensor
    raw_scores: torch.Tensor
    attention: torch.Tensor
    joint_scores: torch.Tensor
    competitors: int

    @property
    def shares(self) -> torch.Tensor:
        """The scores of the lines alone, ``[lines, h, w]``."""
        return self.scores[:-1]


def word_maps(
    maps: AttentionMaps, words: WordAttention, image_index: int = 0, refinements: int = REFINEMENTS
) -> WordMaps:
    """The words' shares at every place of one image, on the grid of its self-attention.

    A word has the mean of its tokens' attention, a line the most that any of its synonyms has. Each is
    divided by the sum over lines, "other objects" and "background" (GoCA's rescaling): what the start, the
    padding and the words between get falls out. Then places share what they hold with those that they attend
    to, c ← A·c with the aggregated self-attention A (iSeg, GoCA), which carries a word over its object.

    Args:
        maps: the self-attention.
        words: attention to the words, of the same images.
        image_index: which image.
        refinements: how often c ← A·c; from 0.

    Raises:
        InvalidAttentionError: attention to the words that is not finite, or has fewer tokens than the words.
        InvalidSettingError: images that are not the same.
    """
    _check(maps, words)
    attention = words.attention.maps[image_index].to(maps.device, torch.float32).T
    lines = [
        torch.stack([_mean(attention, places) for places in synonyms]).amax(0)
        for synonyms in words.places.lines
    ]
    background, fillers = (
        [_mean(attention, places)] if places else []
        for places in (words.places.background, words.places.others)
    )
    content = torch.stack([*lines, *background, *fillers])
    if not bool(torch.isfinite(content).all()):
        raise InvalidAttentionError(
            "Expected finite attention to the words, got NaN or infinite entries. A model or a text encoder "
            "that overflows in half precision gives these: run it in float32 or bfloat16."
        )
    total = content.sum(0).clamp_min(torch.finfo(torch.float32).tiny)
    mass = torch.stack([*lines, *(background or [torch.zeros_like(total)])])
    both = torch.stack((mass / total, mass)).unflatten(2, tuple(words.attention.grid))
    raw, mass = on_grid(both, maps.grid)
    scores, joint = raw, mass * raw
    if refinements:
        affinity = maps.aggregate()[image_index]

        def spread(values: torch.Tensor) -> torch.Tensor:
            cells = on_grid(values[None], maps.key_grid)[0].flatten(1)
            return (affinity @ cells.T).T.unflatten(1, tuple(maps.grid))

        scores, joint = spread(torch.cat((scores, joint))).chunk(2)
        for _ in range(refinements - 1):
            scores = spread(scores)
    return WordMaps(scores.clamp(0.0, 1.0), raw, mass, joint.clamp(0.0, 1.0), len(content))


def _mean(attention: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
    """Mean over some tokens' rows: ``[h*w]``."""
    return torch.stack([attention[place] for place in places]).mean(0)


def _check(maps: AttentionMaps, words: WordAttention) -> None:
    if words.attention.batch_size != maps.batch_size:
        raise InvalidSettingError(
            f"Expected attention to the words for each of {maps.batch_size} image(s), got it for "
            f"{words.attention.batch_size}. Read the words from the attention that they are looked for in."
        )
    places = [*chain(*chain(*words.places.lines)), *words.places.others, *words.places.background]
    if max(places) >= words.attention.tokens:
        raise InvalidAttentionError(
            f"Expected attention to the {max(places) + 1} or more tokens of the words, got it to "
            f"{words.attention.tokens}. What takes tokens from the text does this: read the words without it."
        )


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
