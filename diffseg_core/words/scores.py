"""How much each word is meant at each place of an image: attention to the words, made comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch

from ..attention.maps import AttentionMaps
from ..attention.text import on_grid
from ..errors import InvalidAttentionError, InvalidSettingError
from .lines import WordAttention

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
