"""Segments that are meant by words."""

from __future__ import annotations

from collections.abc import Sequence
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
from ..settings import BACKGROUND_OFFSET, WORD_THRESHOLD
from .lines import WordAttention
from .scores import LeafScores, choose_leaves, word_maps

if TYPE_CHECKING:
    from ..images import ImageLike

HEADINGS = ("word", "score", "area", "place")


@dataclass(frozen=True, eq=False)
class FoundWord:
    """What became of one line of words in one image.

    Attributes:
        name: the line's first word.
        found: whether a segment was found.
        score: 0..1, the word's share of the attention to the words in the leaf of its place (raw, before
            self-attention spreads it).
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

    def table(self) -> str:
        """A line for each word: score, share of the image and where to click, or that it was not found.

        Where there are several images, each line begins with its image's number.

        Example:
            >>> nothing = Segments(torch.full((1, 2, 2), -1), ())
            >>> cup = FoundWord("cup", True, 0.834, 0.124, Point(120, 80))
            >>> hand = FoundWord("hand", False, 0.31, 0.0, Point(4, 5))
            >>> print(FoundWords(nothing, (), ((cup, hand),)).table())
            word  score    area  place
            cup    0.83  12.4 %  120, 80
            hand: not found, best 0.31
        """
        of_words = [word for words in self.found for word in words]
        cells = [HEADINGS, *(_cells(word) for word in of_words if word.found)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        several = len(self.found) > 1
        lines = [("image  " if several else "") + _line(HEADINGS, widths)] if len(cells) > 1 else []
        for image_index, words in enumerate(self.found):
            for word in words:
                missed = f"{word.name}: not found, best {word.score:.2f}"
                row = _line(_cells(word), widths) if word.found else missed
                lines.append((f"{image_index:<5}  " if several else "") + row)
        return "\n".join(lines)


def find_words(
    segments: Segments,
    maps: AttentionMaps,
    words: WordAttention,
    *,
    threshold: float = WORD_THRESHOLD.default,
    background_offset: float = BACKGROUND_OFFSET.default,
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

    Raises:
        InvalidSettingError: a setting outside its range, images that are not the same, or words that are not
            attention to words.
        InvalidAttentionError: attention to the words that is not finite.
    """
    settings = WORD_THRESHOLD.checked(threshold), BACKGROUND_OFFSET.checked(background_offset)
    images = range(segments.batch_size)
    _check(segments, maps, words)
    masks, found = zip(*(_find(segments, maps, words, index, *settings) for index in images), strict=True)
    names = [line.name for line in words.lines if not line.is_distractor]
    return FoundWords(Segments.of_masks(masks, [names] * len(masks)), masks, found)


def find_words_in(
    segments: Segments, maps: AttentionMaps, words: WordAttention, image_index: int
) -> tuple[FoundWord, ...]:
    """What becomes of each line but the distractors in one image of several; see `find_words`."""
    _check(segments, maps, words)
    return _find(segments, maps, words, image_index, WORD_THRESHOLD.default, BACKGROUND_OFFSET.default)[1]


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
    masks, refined = [], []
    for image_index, words in enumerate(found.found):
        names = segments.names[image_index] if segments.names else ()
        numbers = [names.index(word.name) if word.found else -2 for word in words]  # −1: no segment's pixels
        labels, poles = segments.labels_of(image_index), segment_poles(segments, image_index)
        masks.append(labels == torch.tensor(numbers, device=labels.device)[:, None, None])
        words_here = []
        for word, number, mask in zip(words, numbers, masks[-1], strict=True):
            if word.found:
                stays = word.place is not None and bool(mask[word.place.y, word.place.x])
                place = word.place if stays else Point(poles[number].x, poles[number].y)
                word = replace(word, area=float(mask.double().mean()), place=place)
            words_here.append(word)
        refined.append(tuple(words_here))
    return FoundWords(segments, tuple(masks), tuple(refined))


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


def _find(
    segments: Segments,
    maps: AttentionMaps,
    words: WordAttention,
    image_index: int,
    threshold: float,
    background_offset: float,
) -> tuple[torch.Tensor, tuple[FoundWord, ...]]:
    """The masks, bool ``[lines, H, W]``, and what became of each line, both without the distractors."""
    tree = segments.hierarchies[image_index] if segments.hierarchies else None
    leaves = segments.labels_of(image_index) if tree is None else tree.leaves
    areas = segments.areas(image_index) if tree is None else tree.areas
    joins = None if tree is None else tree.joins.cpu().numpy()
    of_image = word_maps(maps, words, image_index)
    four = (of_image.scores, of_image.raw_scores, of_image.attention, of_image.joint_scores)
    means = mean_over_leaves(torch.cat(four).flatten(1).T, maps.grid, leaves, len(areas))
    spread, raw, attention, joint = np.split(means.cpu().double().numpy(), 4, axis=1)
    is_distractor = np.array([line.is_distractor for line in words.lines])
    shares = areas.cpu().double().numpy() / leaves.numel()
    scores = LeafScores(spread, raw, attention, joint, shares, is_distractor, of_image.competitors)
    owner = choose_leaves(scores, joins, threshold, background_offset)
    wanted = np.flatnonzero(~scores.is_distractor)
    is_taken = owner[:, None] == wanted
    highest, places = _places(leaves, scores.scores[:, wanted], is_taken)
    painted = torch.from_numpy(np.append(owner, -1)).to(leaves.device)[leaves.long()]  # −1: the last
    outcomes = tuple(
        FoundWord(
            words.lines[line].name,
            bool(taken.any()),
            0.0 if place is None else float(scores.raw_scores[leaf, line]),
            float(scores.areas[taken].sum()),
            place,
        )
        for line, taken, leaf, place in zip(wanted, is_taken.T, highest, places, strict=True)
    )
    return torch.stack([painted == line for line in wanted.tolist()]), outcomes


def _places(
    leaves: torch.Tensor, scores: npt.NDArray[np.float64], is_taken: npt.NDArray[np.bool_]
) -> tuple[list[int], list[Point | None]]:
    """For every line its highest leaf, of its own or of all if it has none, and the innermost pixel there."""
    if not len(scores):
        return [-1] * scores.shape[1], [None] * scores.shape[1]
    highest = np.where(is_taken | ~is_taken.any(0), scores, -1.0).argmax(0)
    of_lines, number = np.unique(highest, return_inverse=True)
    lookup = np.full(len(scores) + 1, -1)  # −1 takes the last entry
    lookup[of_lines] = range(len(of_lines))
    poles = poles_of_inaccessibility(lookup[leaves.cpu().numpy()])
    return highest.tolist(), [Point(poles[leaf].x, poles[leaf].y) for leaf in number.tolist()]


def _cells(word: FoundWord) -> tuple[str, ...]:
    place = "" if word.place is None else f"{word.place.x}, {word.place.y}"
    return word.name, f"{word.score:.2f}", f"{100 * word.area:.1f} %", place


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, score, area, place = cells
    return f"{name:<{widths[0]}}  {score:>{widths[1]}}  {area:>{widths[2]}}  {place}".rstrip()
