"""How well a model finds the objects of the photographs by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ..attention.capture_settings import CaptureSettings
from ..attention.maps import AttentionMaps
from ..segments import Segments
from ..words.find_words import find_words
from ..words.lines import Word, WordAttention, WordLine
from ..words.scores import word_maps
from .photographs import NAMES, Bitmap, Photograph, object_names

WordReader = Callable[
    [torch.Tensor, CaptureSettings, AttentionMaps, Sequence[WordLine]],
    WordAttention,
]
"""What a host does of a model with a text encoder: read words in an image, float32 ``[1, H, W, 3]`` in 0..1,
of which the maps were captured at these settings."""


class WordFigures(NamedTuple):
    """Means over the objects of one photograph, or over photographs of these means; all 0..1.

    Attributes:
        auc: area under the curve of true against false positives of the word's map, `area_under_curve`: the
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
    at = NAMES.index(photograph)
    following = (*NAMES[at + 1 :], *NAMES[:at])
    others = dict.fromkeys(name for each in following for name in names[each])
    return _lines([name for name in others if name not in names[photograph]][: len(names[photograph])])


def measure_words(
    photograph: Photograph,
    segments: Segments,
    maps: AttentionMaps,
    own: WordAttention,
    others: WordAttention,
) -> tuple[WordFigures, dict[str, float]]:
    """Compare the maps and masks of words with the objects of a photograph.

    Args:
        photograph: with its objects, two or more.
        segments: of the photograph, with a hierarchy.
        maps: of the photograph, with the empty prompt.
        own: attention to the words of `names_of`.
        others: to those of `other_names`.

    Returns:
        the means over the objects, and by the object's name how much higher ``auc`` is than ``others`` for
        it alone.
    """
    count = len(photograph.objects)
    masks = [photograph.mask(index) for index in range(count)]
    right = _curves(photograph, word_maps(maps, own).shares, masks)
    wrong = _curves(photograph, word_maps(maps, others).shares, masks)
    found, absent = find_words(segments, maps, own), find_words(segments, maps, others)
    bitmaps = found.masks[0].cpu().numpy()
    means = WordFigures(
        auc=float(np.diagonal(right).mean()),
        others=float(wrong.mean()),
        swapped=float(right[~np.eye(count, dtype=bool)].mean()),
        iou=float(np.mean([_iou(bitmap, mask) for bitmap, mask in zip(bitmaps, masks, strict=True)])),
        found=float(np.mean([each.found for each in found.found[0]])),
        absent=float(np.mean([each.found for each in absent.found[0]])),
    )
    gains = np.diagonal(right) - wrong.mean(axis=0)
    return means, dict(zip(photograph.objects, gains.tolist(), strict=True))


def area_under_curve(values: npt.NDArray[np.floating], mask: Bitmap) -> float:
    """The chance that a value inside a mask is higher than one outside; of two equal ones half of it counts.

    Args:
        values: of any shape, finite.
        mask: of the same shape, with pixels inside and outside.
    """
    return float(_area_under_curve(_ranks(values), mask))


def _lines(names: Sequence[str]) -> tuple[WordLine, ...]:
    return tuple(WordLine((Word(name),)) for name in names)


def _curves(photograph: Photograph, shares: torch.Tensor, masks: Sequence[Bitmap]) -> npt.NDArray[np.float64]:
    """The area under the curve of every word's map for every object, ``[words, objects]``."""
    size = tuple(photograph.images.size)
    images = F.interpolate(shares[None].float(), size=size, mode="bilinear", align_corners=False)[0]
    curves = []
    for image in images.cpu().numpy():
        ranks = _ranks(image)
        curves.append([_area_under_curve(ranks, mask) for mask in masks])
    return np.array(curves)


def _ranks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """From 1 up, equal values sharing their mean rank."""
    from scipy.stats import rankdata

    ranks: npt.NDArray[np.float64] = rankdata(values).reshape(values.shape)
    return ranks


def _area_under_curve(ranks: npt.NDArray[np.float64], mask: Bitmap) -> float:
    """By the sum of ranks (Mann and Whitney)."""
    inside = int(mask.sum())
    outside = mask.size - inside
    return float((ranks[mask].sum() - inside * (inside + 1) / 2.0) / (inside * outside))


def _iou(mask: npt.NDArray[np.bool_], truth: Bitmap) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())
