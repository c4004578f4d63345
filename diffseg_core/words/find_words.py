"""Segments that are meant by words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ..attention.features import mean_over_leaves
from ..attention.maps import AttentionMaps
from ..editing.edge_refinement import refine_edges
from ..errors import InvalidSettingError
from ..objects.points import Point
from ..output.poles import poles_of_inaccessibility, segment_poles
from ..segments import Segments
from ..settings import BACKGROUND_OFFSET, WORD_REFINEMENTS, WORD_THRESHOLD
from .leaf_choice import LeafScores, choose_leaves
from .lines import WordAttention
from .scores import word_maps

if TYPE_CHECKING:
    from ..images import ImageLike


@dataclass(frozen=True, eq=False)
class FoundWord:
    """What became of one line of words in one image.

    Attributes:
        name: the line's first word.
        found: whether a segment was found.
        score: 0..1, the word's share of the attention to the words in the leaf of its place, before
            self-attention spreads it.
        area: share of the image that was found, 0..1.
        place: the pixel to click on for it; where the score is highest if the word was not found. None in an
            image without segments.
    """

    name: str
    found: bool
    score: float
    area: float
    place: Point | None


@dataclass(frozen=True, eq=False)
class FoundWords:
    """The words found in some images.

    Attributes:
        segments: one for each line that was found, named by its first word, in descending order of area.
        masks: per image bool ``[lines, H, W]`` without the distractors, in the order of the lines; empty
            where a word was not found.
        found: per image what became of each line, in the same order.
    """

    segments: Segments
    masks: tuple[torch.Tensor, ...]
    found: tuple[tuple[FoundWord, ...], ...]


def find_words(
    segments: Segments,
    maps: AttentionMaps,
    words: WordAttention,
    *,
    threshold: float = WORD_THRESHOLD.default,
    background_offset: float = BACKGROUND_OFFSET.default,
    refinements: int = WORD_REFINEMENTS.default,
) -> FoundWords:
    """Find the segments that each line of words means.

    A word takes leaves of the hierarchy, or whole nodes, whatever number of segments it was cut into; where
    there is none, it takes segments. Each pixel is of one line at most. See `word_maps` for the scores and
    `choose_leaves` for the choice.

    Args:
        segments: of the images.
        maps: the self-attention that they come from.
        words: attention to the words, of the same images.
        threshold: of a word's own range of scores, 0..1: lower takes more.
        background_offset: −1..1, added to what background and distractors score: higher takes less.
        refinements: how often the scores are spread along the self-attention, 0..100.

    Raises:
        InvalidSettingError: a setting outside its range, images that are not the same, or words that are not
            attention to words.
        InvalidAttentionError: attention to the words that is not finite.
    """
    every = [
        find_words_in(
            segments,
            maps,
            words,
            image_index,
            threshold=threshold,
            background_offset=background_offset,
            refinements=refinements,
        )
        for image_index in range(segments.batch_size)
    ]
    masks, found = zip(*every, strict=True)
    names = [line.name for line in words.lines if not line.is_distractor]
    return FoundWords(Segments.of_masks(masks, [names] * len(masks)), masks, found)


def find_words_in(
    segments: Segments,
    maps: AttentionMaps,
    words: WordAttention,
    image_index: int,
    *,
    threshold: float = WORD_THRESHOLD.default,
    background_offset: float = BACKGROUND_OFFSET.default,
    refinements: int = WORD_REFINEMENTS.default,
) -> tuple[torch.Tensor, tuple[FoundWord, ...]]:
    """Find the words in one image of several; see `find_words`.

    Returns:
        masks, bool ``[lines, H, W]`` without the distractors, and what became of each of these lines.
    """
    _check(segments, maps, words)
    threshold = WORD_THRESHOLD.checked(threshold)
    background_offset = BACKGROUND_OFFSET.checked(background_offset)
    refinements = WORD_REFINEMENTS.checked(refinements)
    wanted = [place for place, line in enumerate(words.lines) if not line.is_distractor]
    leaves, joins, areas = _leaves_of(segments, image_index)
    scores = _leaf_scores(maps, words, image_index, refinements, leaves, areas)
    owner = choose_leaves(scores, joins, threshold, background_offset)
    highest, places = _places(leaves, scores.scores[:, wanted], owner[:, None] == wanted)
    painted = torch.from_numpy(np.append(owner, -1)).to(leaves.device)[leaves.long()]  # −1: the last
    found = tuple(
        FoundWord(
            words.lines[line].name,
            bool((owner == line).any()),
            0.0 if leaf is None else float(scores.unspread[leaf, line]),
            float(scores.areas[owner == line].sum()),
            place,
        )
        for line, leaf, place in zip(wanted, highest, places, strict=True)
    )
    return torch.stack([painted == line for line in wanted]), found


def refine_found(found: FoundWords, images: ImageLike) -> FoundWords:
    """The same words with borders that are moved to the image's edges: segments, masks, areas and places.

    Args:
        found: as `find_words` gave it.
        images: theirs, as `refine_edges` takes them.

    Returns:
        the same words with the same scores. A place that its word has lost becomes the innermost pixel of
        what it has.

    Raises:
        InvalidSettingError: images that do not fit.
    """
    segments = refine_edges(found.segments, images)
    masks, every = [], []
    for image_index, words in enumerate(found.found):
        names = segments.names[image_index] if segments.names else ()
        numbers = [names.index(word.name) if word.found else None for word in words]
        labels, poles = segments.labels_of(image_index), segment_poles(segments, image_index)
        own = torch.tensor([-2 if number is None else number for number in numbers], device=labels.device)
        masks.append(labels == own[:, None, None])
        every.append(
            tuple(
                word if number is None else _on_its_mask(word, mask, Point(poles[number].x, poles[number].y))
                for word, number, mask in zip(words, numbers, masks[-1], strict=True)
            )
        )
    return FoundWords(segments, tuple(masks), tuple(every))


def _on_its_mask(word: FoundWord, mask: torch.Tensor, innermost: Point) -> FoundWord:
    place = word.place
    stays = place is not None and bool(mask[place.y, place.x])
    return replace(word, area=float(mask.double().mean()), place=place if stays else innermost)


def _check(segments: Segments, maps: AttentionMaps, words: object) -> None:
    if not isinstance(words, WordAttention):
        raise InvalidSettingError(
            f"Expected attention to the words, as read_words gives it, got {words!r:.60}."
        )
    if segments.batch_size != maps.batch_size:
        raise InvalidSettingError(
            f"Expected segments and attention of the same images, got segments of {segments.batch_size} and "
            f"attention of {maps.batch_size}. Connect the attention that the segments come from."
        )


def _leaves_of(
    segments: Segments, image_index: int
) -> tuple[torch.Tensor, npt.NDArray[np.int64] | None, torch.Tensor]:
    """The leaves of one image ``[H, W]``, the joins of its tree if it has one, and the leaves' pixels."""
    if not segments.hierarchies:
        return segments.labels_of(image_index), None, segments.areas(image_index)
    tree = segments.hierarchies[image_index]
    return tree.leaves, tree.joins.cpu().numpy(), tree.areas


def _leaf_scores(
    maps: AttentionMaps,
    words: WordAttention,
    image_index: int,
    refinements: int,
    leaves: torch.Tensor,
    areas: torch.Tensor,
) -> LeafScores:
    """What the leaves of one image score."""
    of_image = word_maps(maps, words, image_index, refinements)
    every = [of_image.shares, of_image.background[None]]
    every += [of_image.unspread, of_image.attention, of_image.evidence]
    values = torch.cat(every).flatten(1).T
    means = mean_over_leaves(values, maps.grid, leaves, len(areas)).cpu().double().numpy()
    scores, unspread, attention, evidence = np.split(means, 4, axis=1)
    return LeafScores(
        scores[:, :-1],
        scores[:, -1],
        unspread,
        attention,
        evidence,
        areas.cpu().double().numpy() / leaves.numel(),
        np.array([line.is_distractor for line in words.lines]),
        of_image.competitors,
    )


def _places(
    leaves: torch.Tensor, scores: npt.NDArray[np.float64], is_own: npt.NDArray[np.bool_]
) -> tuple[list[int | None], list[Point | None]]:
    """For every line its highest leaf, of its own or of all if it has none, and the innermost pixel there."""
    if not len(scores):
        return [None] * scores.shape[1], [None] * scores.shape[1]
    has_none = ~is_own.any(0)
    highest = np.where(is_own | has_none, scores, -1.0).argmax(0)
    number = {leaf: place for place, leaf in enumerate(dict.fromkeys(highest.tolist()))}
    lookup = np.full(len(scores) + 1, -1)  # −1 takes the last entry
    lookup[list(number)] = list(number.values())
    poles = poles_of_inaccessibility(lookup[leaves.cpu().numpy()])
    places: list[Point | None] = []
    places += [Point(poles[number[leaf]].x, poles[number[leaf]].y) for leaf in highest.tolist()]
    return highest.tolist(), places
