"""Methods that look for a dataset's classes by their names, so that their labels are the classes.

The words for the classes of datasets are what a person would type for each: a dataset's own names, written
as words, with a synonym where it is as common ("tvmonitor": tv, monitor). Of ADE20K's long lists of synonyms
the first alone counts, as some of the others are names of other classes too. Nothing was chosen by what a
model makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from diffseg_cli.batch.segmenter import segment_maps
from diffseg_cli.batch.settings import SegmentSettings
from diffseg_core.attention.text import TextAttention
from diffseg_core.errors import InvalidSettingError
from diffseg_core.images import as_images
from diffseg_core.output.ade20k import NAMES as ADE20K_NAMES
from diffseg_core.words.find_words import find_words
from diffseg_core.words.lines import TokenPlaces, Word, WordAttention, WordLine
from diffseg_core.words.token_places import TooManyWordsError

from .datasets.classes import CITYSCAPES_NAMES, CONTEXT_NAMES, OBJECT_NAMES, VOC_NAMES
from .segmentations import Context, Labels
from .types import AnnotatedImage

BACKGROUND = "background"
WRITTEN: Mapping[str, str] = {
    "aeroplane": "airplane, aeroplane",
    "motorbike": "motorbike, motorcycle",
    "diningtable": "dining table",
    "pottedplant": "potted plant",
    "tvmonitor": "tv, monitor",
    "bedclothes": "bedclothes, bedding",
    "shelves": "shelves, shelf",
    "sidewalk": "sidewalk, pavement",
    "tv": "tv, television",
    "couch": "couch, sofa",
    "donut": "donut, doughnut",
    "rail track": "rail track, railway",
    "polegroup": "group of poles",
    "caravan": "caravan, camper",
    "windowpane": "window",
    "earth": "earth, ground",
    "signboard": "signboard, sign",
    "grandstand": "grandstand, bleachers",
    "hovel": "hut",
    "television receiver": "television, tv",
    "apparel": "clothes",
    "bannister": "bannister, handrail",
    "ottoman": "ottoman, footstool",
    "conveyer belt": "conveyor belt",
    "washer": "washing machine",
    "plaything": "toy",
    "minibike": "motorbike, motorcycle",
    "trade name": "brand name",
    "ashcan": "trash can",
}
"""Names that are not written as one would, or have a synonym that is as common."""


def _written(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(WRITTEN.get(name, name) for name in names if name != BACKGROUND)


CLASS_WORDS: Mapping[str, tuple[str, ...]] = {
    "voc": _written(VOC_NAMES),
    "context": _written(CONTEXT_NAMES),
    "coco-object": _written(OBJECT_NAMES),
    "cityscapes27": _written(CITYSCAPES_NAMES),
    "ade20k": _written(ADE20K_NAMES),
}
"""By the dataset's name, for each class in its order, with commas between synonyms. The background, which is
what no word names, is not among them."""


def class_lines(dataset: str) -> tuple[WordLine, ...]:
    """A line of words for each class of a dataset but the background.

    Raises:
        InvalidSettingError: the dataset's classes have no names that one would type.
    """
    if dataset not in CLASS_WORDS:
        raise InvalidSettingError(
            f"Expected a dataset whose classes have names of their own for methods by words "
            f"({', '.join(CLASS_WORDS)}), got {dataset}. Leave the method out."
        )
    return tuple(
        WordLine(tuple(Word(synonym) for synonym in names.split(", "))) for names in CLASS_WORDS[dataset]
    )


def by_words(run: Context, image: AnnotatedImage, lines: Sequence[WordLine], knows_classes: bool) -> Labels:
    """DiffSeg Find by Words with the names of classes: the class of every pixel.

    Where no word was found it is the number of lines, which is the background's in a dataset that has one,
    and no class's in another.

    Args:
        run: of a model that reads words.
        image: to be segmented.
        lines: one for each class but the background, in the dataset's order.
        knows_classes: whether it looks for the classes alone that a person sees in the image.
    """
    labels = np.full((image.pixels.height, image.pixels.width), len(lines), np.int32)
    wanted = list(range(len(lines)))
    if knows_classes and image.classes is not None:
        wanted = [index for index in np.unique(image.classes).tolist() if 0 <= index < len(lines)]
    if not wanted:
        return labels
    maps = run.maps(image)
    attention = read_words(run, image, [lines[index] for index in wanted])
    found_words = find_words(
        segment_maps(maps, as_images(image.pixels), SegmentSettings(run.tree)),
        maps,
        attention,
        threshold=run.words.words_threshold,
        background_offset=run.words.background_offset,
    )
    for index, mask in zip(wanted, found_words.masks[0].cpu().numpy(), strict=True):
        labels[mask] = index
    return labels


def read_words(run: Context, image: AnnotatedImage, lines: Sequence[WordLine]) -> WordAttention:
    """Read words in one prompt, or in halves, quarters and so on where they are too many for one.

    Each part has the "other objects" and "background" of its own; all are taken together, so that every word
    competes with every other.

    Raises:
        TooManyWordsError: one line has too many.
    """
    assert run.segmenter is not None
    words = tuple(lines)
    if words not in run.too_long:  # the same for every image, and the tokenizer would warn each time
        try:
            return run.segmenter.read_words(run.maps(image), words)
        except TooManyWordsError:
            if len(words) == 1:
                raise
            run.too_long.add(words)
    middle = (len(words) + 1) // 2
    return joined(read_words(run, image, words[:middle]), read_words(run, image, words[middle:]))


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
