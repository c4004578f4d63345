"""Methods that look for a dataset's classes by their names, so that their labels are the classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from diffseg_cli.batch.segmenter import segment_maps
from diffseg_cli.batch.settings import NestedSettings, SegmentSettings, WordSettings
from diffseg_core.attention.text import TextAttention
from diffseg_core.images import as_images
from diffseg_core.words.find_words import find_words
from diffseg_core.words.lines import TokenPlaces, WordAttention, WordLine
from diffseg_core.words.token_places import TooManyWordsError

from .segmentations import Labels, Segmentation, SharedCapture
from .types import AnnotatedImage

Read = Callable[[Sequence[WordLine]], WordAttention]
"""From words to attention to them."""


def by_words(
    capture: SharedCapture,
    lines: Sequence[WordLine],
    knows_classes: bool,
    words: WordSettings,
    tree: NestedSettings,
) -> Segmentation:
    """DiffSeg Find by Words with the names of classes: the class of every pixel.

    Where no word was found it is the number of lines, which is the background's in a dataset that has one,
    and no class's in another.

    Args:
        capture: of a model that reads words.
        lines: one for each class but the background, in the dataset's order.
        knows_classes: whether it looks for the classes alone that a person sees in the image.
        words: the settings.
        tree: of which segments it chooses.
    """

    def segmentation(image: AnnotatedImage) -> Labels:
        labels = np.full((image.pixels.height, image.pixels.width), len(lines), np.int32)
        wanted = list(range(len(lines)))
        if knows_classes and image.classes is not None:
            wanted = [index for index in np.unique(image.classes).tolist() if 0 <= index < len(lines)]
        if not wanted:
            return labels
        maps = capture.of(image)
        attention = read_in_parts(lambda part: capture.read(image, part), [lines[index] for index in wanted])
        segments = segment_maps(maps, as_images(image.pixels), SegmentSettings(tree))
        found = find_words(
            segments,
            maps,
            attention,
            threshold=words.words_threshold,
            background_offset=words.background_offset,
        )
        for index, mask in zip(wanted, found.masks[0].cpu().numpy(), strict=True):
            labels[mask] = index
        return labels

    return segmentation


def read_in_parts(read: Read, lines: Sequence[WordLine]) -> WordAttention:
    """Read words in one prompt, or in halves, quarters and so on where they are too many for one.

    Each part has the "other objects" and "background" of its own; all are taken together, so that every word
    competes with every other.

    Args:
        read: refuses too many words by a `TooManyWordsError`.
        lines: at least one.

    Raises:
        TooManyWordsError: one line has too many.
    """
    try:
        return read(lines)
    except TooManyWordsError:
        if len(lines) == 1:
            raise
    middle = (len(lines) + 1) // 2
    return joined(read_in_parts(read, lines[:middle]), read_in_parts(read, lines[middle:]))


def joined(first: WordAttention, second: WordAttention) -> WordAttention:
    """Attention to two prompts as if to one, whose tokens are those of the first and then of the second.

    Args:
        first, second: of the same places of the same images.
    """
    before = first.attention.tokens
    moved = (tuple(_moved(word, before) for word in line) for line in second.places.lines)
    places = TokenPlaces(
        (*first.places.lines, *moved),
        (*first.places.others, *_moved(second.places.others, before)),
        (*first.places.background, *_moved(second.places.background, before)),
    )
    maps = torch.cat((first.attention.maps, second.attention.maps), dim=2)
    return WordAttention((*first.lines, *second.lines), TextAttention(first.attention.grid, maps), places)


def _moved(places: Sequence[int], by: int) -> tuple[int, ...]:
    return tuple(place + by for place in places)
