"""How much each word is meant at each place of an image: attention to the words, made comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..attention.key_pooling import pool_keys
from ..attention.maps import AttentionMaps
from ..checks import position
from ..errors import InvalidAttentionError, InvalidSettingError
from ..grid import GridSize
from ..settings import WORD_REFINEMENTS
from .lines import BACKGROUND, OTHERS, WordAttention


@dataclass(frozen=True, eq=False)
class WordMaps:
    """What each word draws of the attention of every place, on the grid of the self-attention.

    Attributes:
        shares: float32 ``[lines, h, w]``, entries 0..1: of the attention that a place pays to all that the
            prompt names; spread by self-attention. Distractors are among the lines.
        background: float32 ``[h, w]``, entries 0..1: the share of "background", likewise; zeros where the
            prompt does not have it.
        unspread: float32 ``[lines + 1, h, w]``: the same shares, the background's last, before they are
            spread, which evens them out.
        attention: float32 ``[lines + 1, h, w]``, entries 0..1: what they draw of all attention, not spread.
        evidence: float32 ``[lines + 1, h, w]``, entries 0..1: attention times share, spread once. It is large
            only where a word draws attention, and more than the others: a share alone is large, too, where
            nothing that is named draws any; attention alone, too, where all that is named draws much.
        competitors: how many shares make up the whole: lines, "other objects" and "background".
    """

    shares: torch.Tensor
    background: torch.Tensor
    unspread: torch.Tensor
    attention: torch.Tensor
    evidence: torch.Tensor
    competitors: int


def word_maps(
    maps: AttentionMaps, words: WordAttention, image_index: int = 0, refinements: int = 2
) -> WordMaps:
    """The words' shares at every place of one image, on the grid of its self-attention.

    A word has the mean of its tokens' attention, a line the most that any of its synonyms has. Each is
    divided by the sum over lines, "other objects" and "background" (GoCA's rescaling): what the start, the
    padding and the words between draw falls out. Then places share what they hold with those that they attend
    to, c ← A·c with the aggregated self-attention A (iSeg, GoCA), which carries a word over its object.

    Args:
        maps: the self-attention.
        words: attention to the words, of the same images.
        image_index: which image.
        refinements: how often c ← A·c; from 0.

    Raises:
        InvalidAttentionError: attention to the words that is not finite, or has other tokens than the words.
        InvalidSettingError: a word without tokens, images that are not the same, fewer than 0 refinements.
    """
    _check(maps, words, image_index, refinements)
    attention = words.attention.maps[image_index].to(maps.device, torch.float32)
    lines = [
        torch.stack([_mean(attention, places) for places in synonyms]).amax(0)
        for synonyms in words.places.lines
    ]
    background, others = (
        [_mean(attention, places)] if places else []
        for places in (words.places.background, words.places.others)
    )
    content = torch.stack([*lines, *background, *others])
    if not bool(torch.isfinite(content).all()):
        raise InvalidAttentionError(
            "Expected finite attention to the words, got NaN or infinite entries. A model or a text encoder "
            "that overflows in half precision gives these: run it in float32 or bfloat16."
        )
    total = content.sum(0).clamp_min(torch.finfo(torch.float32).tiny)
    drawn = torch.stack([*lines, *(background or [torch.zeros_like(total)])])
    unspread = on_grid((drawn / total).unflatten(1, tuple(words.attention.grid)), maps.grid)
    first = on_grid(drawn.unflatten(1, tuple(words.attention.grid)), maps.grid)
    both = torch.cat((unspread, first * unspread)).flatten(1)
    evidence = both[len(drawn) :]
    if refinements:
        affinity = maps.aggregate()[image_index]
        for step in range(refinements):
            cells = on_grid(both.unflatten(1, tuple(maps.grid)), maps.key_grid).flatten(1)
            both = (affinity @ cells.T).T
            if step == 0:
                evidence, both = both[len(drawn) :], both[: len(drawn)]
    shares, evidence = (
        each.clamp(0.0, 1.0).unflatten(1, tuple(maps.grid)) for each in (both[: len(drawn)], evidence)
    )
    return WordMaps(shares[:-1], shares[-1], unspread, first, evidence, len(content))


def on_grid(maps: torch.Tensor, target: GridSize) -> torch.Tensor:
    """Maps ``[n, h, w]`` on another grid: means of its cells where it is coarser, bilinear where finer."""
    grid = GridSize(*maps.shape[1:])
    coarser = GridSize(min(grid.height, target.height), min(grid.width, target.width))
    if coarser != grid:
        sums = pool_keys(maps.flatten(1).contiguous(), grid, coarser)
        maps = (sums * (coarser.tokens / grid.tokens)).unflatten(1, tuple(coarser))
    if coarser == target:
        return maps
    return F.interpolate(maps[:, None], size=tuple(target), mode="bilinear", align_corners=False)[:, 0]


def _mean(attention: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
    """Mean over some tokens' columns: ``[h*w]``."""
    return torch.stack([attention[:, place] for place in places]).mean(0)


def _check(maps: AttentionMaps, words: WordAttention, image_index: int, refinements: int) -> None:
    WORD_REFINEMENTS.checked(refinements)
    if words.attention.batch_size != maps.batch_size:
        raise InvalidSettingError(
            f"Expected attention to the words for each of {maps.batch_size} image(s), got it for "
            f"{words.attention.batch_size}. Read the words from the attention that they are looked for in."
        )
    position(image_index, maps.batch_size, "an image index", "images")
    if len(words.places.lines) != len(words.lines):
        raise InvalidAttentionError(
            f"Expected the places of {len(words.lines)} line(s) of words, got them of "
            f"{len(words.places.lines)}."
        )
    named = [
        (word.text, places)
        for line, synonyms in zip(words.lines, words.places.lines, strict=True)
        for word, places in zip(line.synonyms, synonyms, strict=True)
    ]
    without = next((name for name, places in named if not places), None)
    if without is not None:
        raise InvalidSettingError(
            f"Expected every word among the tokens of the text, got none of {without!r}. Write it "
            "otherwise, or look for fewer words at once."
        )
    named += [(OTHERS, words.places.others), (BACKGROUND, words.places.background)]
    for name, places in named:
        beyond = [place for place in places if not 0 <= place < words.attention.tokens]
        if beyond:
            raise InvalidAttentionError(
                f"Expected tokens from 0 to {words.attention.tokens - 1}, got {beyond[0]} for {name!r}."
            )
