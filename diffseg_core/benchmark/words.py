"""How well a model finds the objects of the photographs by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ..attention.maps import AttentionMaps
from ..segments import Segments
from ..words.find_words import find_words
from ..words.lines import Word, WordAttention, WordLine
from ..words.scores import word_maps
from .photographs import NAMES, Bitmap, Photograph, object_names

WordReader = Callable[[AttentionMaps, Sequence[WordLine]], WordAttention]
"""What a host does of a model with a text encoder: read words in the image that it captured last, whose
maps these are."""


class WordFigures(NamedTuple):
    """Means over the objects of one photograph, or over photographs of these means; all 0..1.

    Attributes:
        auc: area under the curve of true against false positives of the word's map, `areas_under_curve`: the
            chance that a pixel of the object has a higher value than another. Pixels that are not annotated
            are none of the object. 0.5 is chance.
        others: the same of the maps of words for objects of other photographs, in a prompt of as many: a
            word matters to a model that has them lower.
        swapped: the same of the maps of the other names of the same photograph, in its own prompt: a model
            that tells its things from one another has them below chance.
        iou: of the object with the mask that `find_words` gives for its name; 0 where it finds none.
        found: share of the objects whose name was found.
        absent: share of the words for objects of other photographs that were found, wrongly.
    """

    auc: float
    others: float
    swapped: float
    iou: float
    found: float
    absent: float


def names_of(photograph: str) -> tuple[WordLine, ...]:
    """A line for each object of one of the ten photographs, in its order."""
    return _lines(object_names()[photograph])


def other_names(photograph: str) -> tuple[WordLine, ...]:
    """As many lines as of `names_of`, of the next photographs' objects, under names that this one has not.

    None of the things is in the photograph, drawn or not.
    """
    names = object_names()
    place = NAMES.index(photograph)
    following = (*NAMES[place + 1 :], *NAMES[:place])
    absent = dict.fromkeys(name for following_one in following for name in names[following_one])
    return _lines([name for name in absent if name not in names[photograph]][: len(names[photograph])])


def measure_words(
    photograph: Photograph,
    segments: Segments,
    maps: AttentionMaps,
    right: WordAttention,
    wrong: WordAttention,
) -> tuple[WordFigures, dict[str, float]]:
    """Compare the maps and masks of words with the objects of a photograph.

    Args:
        photograph: with its objects, two or more.
        segments: of the photograph, with a hierarchy.
        maps: of the photograph, with the empty prompt.
        right: attention to the words of `names_of`.
        wrong: to those of `other_names`.

    Returns:
        the means over the objects, and by the object's name how much higher ``auc`` is than ``others`` for
        it alone.
    """
    count = len(photograph.objects)
    masks = [photograph.mask(index) for index in range(count)]
    of_right, of_wrong = (
        np.array([areas_under_curve(image, masks) for image in _images(word_maps(maps, words).shares, masks)])
        for words in (right, wrong)
    )
    present, absent = find_words(segments, maps, right), find_words(segments, maps, wrong)
    pairs = zip(present.masks[0].cpu().numpy(), masks, strict=True)
    own_name = np.diagonal(of_right)
    means = WordFigures(
        auc=float(own_name.mean()),
        others=float(of_wrong.mean()),
        swapped=float(of_right[~np.eye(count, dtype=bool)].mean()),
        iou=float(np.mean([(mask & drawn).sum() / (mask | drawn).sum() for mask, drawn in pairs])),
        found=float(np.mean([word.found for word in present.found[0]])),
        absent=float(np.mean([word.found for word in absent.found[0]])),
    )
    gains = own_name - of_wrong.mean(axis=0)
    return means, dict(zip(photograph.objects, gains.tolist(), strict=True))


def areas_under_curve(values: npt.NDArray[np.floating], masks: Sequence[Bitmap]) -> list[float]:
    """The chance that a value inside a mask is higher than one outside; of two equal ones half of it counts.

    By the sum of ranks (Mann and Whitney).

    Args:
        values: of any shape, finite.
        masks: of the same shape, with pixels inside and outside.
    """
    from scipy.stats import rankdata

    ranks = rankdata(values).reshape(values.shape)  # from 1 up, equal values sharing their mean rank
    areas = []
    for mask in masks:
        inside = int(mask.sum())
        above = ranks[mask].sum() - inside * (inside + 1) / 2.0
        areas.append(float(above / (inside * (mask.size - inside))))
    return areas


def _lines(names: Sequence[str]) -> tuple[WordLine, ...]:
    return tuple(WordLine((Word(name),)) for name in names)


def _images(shares: torch.Tensor, masks: Sequence[Bitmap]) -> npt.NDArray[np.float32]:
    """The words' maps, of the masks' size."""
    images = F.interpolate(shares[None].float(), masks[0].shape, mode="bilinear", align_corners=False)[0]
    return images.cpu().numpy()
