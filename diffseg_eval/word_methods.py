"""Methods that look for a dataset's classes by their names, so that their labels are the classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from diffseg_cli.batch.segmenter import segment_maps
from diffseg_cli.batch.settings import NestedSettings, SegmentSettings, WordSettings
from diffseg_core.attention.text import TextAttention
from diffseg_core.diffusers.tokens import TooManyWordsError
from diffseg_core.images import as_images
from diffseg_core.words.find_words import find_words
from diffseg_core.words.lines import TokenPlaces, WordAttention, WordLine

from .attention_methods import Labels, SharedCapture
from .types import VOID, AnnotatedImage

Read = Callable[[Sequence[WordLine]], WordAttention]
"""From words to attention to them."""


@dataclass(frozen=True)
class WordMethod:
    """DiffSeg Find Words with the names of classes.

    Attributes:
        name: of its row.
        capture: shared with other methods; of a model that reads words.
        lines: a line for each class but the background, in the dataset's order.
        is_told: whether it looks for the classes alone that a person sees in the image.
        words: the settings.
        tree: of which segments it chooses.
    """

    name: str
    capture: SharedCapture
    lines: tuple[WordLine, ...]
    is_told: bool
    words: WordSettings
    tree: NestedSettings

    def segment(self, image: AnnotatedImage) -> dict[str, Labels]:
        """The class of every pixel; where no word was found, the number of lines.

        That is the background's in a dataset that has one, and no class's in another.
        """
        nothing = len(self.lines)
        labels = np.full((image.pixels.height, image.pixels.width), nothing, np.int32)
        wanted = self._wanted(image)
        if wanted:
            for each, mask in zip(wanted, self._masks(image, wanted), strict=True):
                labels[mask] = each
        return {"": labels}

    def _wanted(self, image: AnnotatedImage) -> list[int]:
        """The classes to look for, ascending."""
        every = range(len(self.lines))
        if not self.is_told or image.classes is None:
            return list(every)
        seen = set(np.unique(image.classes[image.classes != VOID]).tolist())
        return [each for each in every if each in seen]

    def _masks(self, image: AnnotatedImage, wanted: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Bool ``[classes, H, W]``; no two share a pixel."""
        maps = self.capture.of(image)
        words = read_in_parts(
            lambda lines: self.capture.read(image, lines), [self.lines[each] for each in wanted]
        )
        segments = segment_maps(maps, as_images(image.pixels), SegmentSettings(self.tree))
        found = find_words(
            segments,
            maps,
            words,
            threshold=self.words.words_threshold,
            background_offset=self.words.background_offset,
        )
        masks: npt.NDArray[np.bool_] = found.masks[0].cpu().numpy()
        return masks


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
