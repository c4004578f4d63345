"""Images whose objects are known, and made-up attention to words that know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from diffseg_core import AttentionMaps, GridSize, Segments
from diffseg_core.attention.text import TextAttention
from diffseg_core.tree import Hierarchy
from diffseg_core.words.lines import TokenPlaces, WordAttention, parse_words, prompt_of

Levels = Mapping[str, torch.Tensor | float]
"""For each word how much of a place's attention each of its tokens has, ``[h, w]`` or one number."""
ELSEWHERE = 0.01  # of words that no level is given for


def words_at(text: str, levels: Levels | Sequence[Levels], grid: tuple[int, int] = (8, 8)) -> WordAttention:
    """Attention to the words of a text as it is said: a token for each part of a word between spaces.

    A token of its own can be told by "word/0", "word/1" …. What is left goes to the start of the text.
    """
    lines = parse_words(text)
    images = [levels] if isinstance(levels, Mapping) else list(levels)
    columns: list[list[torch.Tensor]] = [[torch.zeros(grid)] for _ in images]
    places: list[list[tuple[int, ...]]] = [[] for _ in lines]
    rest = {}
    for piece in prompt_of(lines):
        parts = len(piece.text.split()) if piece.is_content else 1
        first = len(columns[0])
        for part in range(parts):
            for image, given in zip(columns, images, strict=True):
                level = given.get(f"{piece.text}/{part}", given.get(piece.text, ELSEWHERE))
                image.append(torch.as_tensor(level, dtype=torch.float32).expand(grid))
        if piece.line is not None:
            places[piece.line].append(tuple(range(first, first + parts)))
        elif piece.is_content:
            rest[piece.text] = tuple(range(first, first + parts))
    for image in columns:
        image.append(torch.full(grid, ELSEWHERE))  # padding
        image[0] = 1.0 - torch.stack(image).sum(0)
        assert image[0].min() >= 0, "more than all of the attention"
    maps = torch.stack([torch.stack(image, -1).flatten(0, 1) for image in columns])
    known = TokenPlaces(tuple(map(tuple, places)), rest.get("other objects", ()), rest.get("background", ()))
    return WordAttention(lines, TextAttention(GridSize(*grid), maps), known)


def within(blocks: torch.Tensor, leak: float = 0.0) -> AttentionMaps:
    """Self-attention that stays within blocks ``[h, w]`` or ``[B, h, w]``, but for a leak over the image."""
    flat = (blocks if blocks.ndim == 3 else blocks[None]).flatten(1)
    same = (flat[:, :, None] == flat[:, None, :]).float()
    same = same / same.sum(2, keepdim=True)
    return AttentionMaps({tuple(blocks.shape[-2:]): (1 - leak) * same + leak / flat.shape[1]})


def larger(blocks: torch.Tensor, factor: int) -> torch.Tensor:
    """A label map in ``factor`` times as many pixels a side."""
    return blocks.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


def tree(leaves: torch.Tensor, joins: Sequence[tuple[int, int]], number: int = 1) -> Segments:
    """Segments of one image: a tree by its leaves and joins, cut into a number of segments."""
    count = int(leaves.max()) + 1
    hierarchy = Hierarchy(
        leaves.int(),
        torch.tensor(joins, dtype=torch.int64).reshape(-1, 2),
        torch.arange(len(joins), dtype=torch.float64),
        torch.ones(count, 1, 1),
    )
    return Segments.of_hierarchies([hierarchy], [number])
