"""The words for the classes of datasets: what a person would type for each.

A dataset's own names, written as words, with a synonym where it is as common ("tvmonitor": tv, monitor). Of
ADE20K's long lists of synonyms the first alone counts, as some of the others are names of other classes too.
Nothing was chosen by what a model makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.ade20k import NAMES as ADE20K_NAMES
from diffseg_core.words.lines import Word, WordLine

from .datasets.classes import CITYSCAPES_NAMES, CONTEXT_NAMES, OBJECT_NAMES, VOC_NAMES

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
