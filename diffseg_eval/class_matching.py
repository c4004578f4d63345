"""Which segment stands for which class, when segments have no names: the best one-to-one matching.

From a contingency table ``H`` of C classes by P segments, P ≥ C, the Hungarian method takes a segment s(c)
for every class so that the sum of the cells ``H[c, s(c)]`` is largest, and then::

    TP[c] = H[c, s(c)]     FN[c] = sum_p H[c, p] - TP[c]     FP[c] = sum_t H[t, s(c)] - TP[c]

are added over the images, and::

    accuracy = sum_c TP[c] / labelled pixels
    mean IoU = mean over the classes that occur of TP[c] / (TP[c] + FP[c] + FN[c])

A class that is absent still takes a segment where one is left over, which counts as its false positives.

Four ways of matching, whose metrics do not compare with one another:

- once **per image**, as DiffSeg (Tian et al., 2024, and google/diffseg) does. Every image names its
  segments anew with the truth in sight: an oracle.
- once for the **whole set**, as PiCIE (Cho et al., 2021) and STEGO (Hamilton et al., 2022) do. It asks that a
  segment's number mean the same in every image, which methods that segment images one by one do not give.
- per image **before a background**, as DiffCut (Couairon et al., 2024, ``eval_diffcut.py``) does: an oracle
  too. The segments are matched with the classes of objects alone, on the pixels of objects; those given to no
  class which the image shows are merged into one, the background (where two objects lie in one segment, the
  other is given one that it does not meet, which is not merged). What there is now is matched once more, with
  the background as a class among the others. The authors count what nobody annotated as background.
- **none**, where a method says the classes' names itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from diffseg_core.benchmark.measures import Table, as_sparse, dense_contingency

Counts = npt.NDArray[Any]
"""Pixels of each class, ``[..., C]``, whole numbers in any dtype."""


class ClassCounts(NamedTuple):
    """Right and wrong pixels of every image and class, each int64 ``[N, C]`` in the order of the images."""

    true_positives: Table
    false_negatives: Table
    false_positives: Table


Matching = Callable[[Sequence[npt.ArrayLike], int], ClassCounts]
"""From the images' tables, ``[[class, segment, pixels], …]`` each, and the number of classes C.

Raises InvalidSettingError for a class beyond C - 1."""


def accuracy(right: Counts, missed: Counts, wrong: Counts) -> npt.NDArray[np.float64]:
    """Correct share of the labelled pixels, ``[...]`` in 0..1; NaN where there are none."""
    return divide(right.sum(axis=-1), (right + missed).sum(axis=-1))


def mean_iou(right: Counts, missed: Counts, wrong: Counts) -> npt.NDArray[np.float64]:
    """Mean intersection over union of the classes that occur, ``[...]`` in 0..1; NaN where none does.

    A class occurs where it has true or predicted pixels.
    """
    ious = divide(right, right + wrong + missed)
    occurs = ~np.isnan(ious)
    return divide(np.where(occurs, ious, 0.0).sum(axis=-1), occurs.sum(axis=-1))


def divide(numerator: Counts, denominator: Counts) -> npt.NDArray[np.float64]:
    """The quotients; NaN where the denominator is 0."""
    quotient = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) != 0)


def match_per_image(tables: Sequence[npt.ArrayLike], classes: int) -> ClassCounts:
    """Match every image for itself.

    As in google/diffseg the segments are columns by their own numbers, and those that no annotated pixel
    carries are columns of zeros, which an absent class may take at no cost.
    """
    images = [_dense(table, classes) for table in tables]
    return _count(images, [_match(table) for table in images], classes)


def match_whole_set(tables: Sequence[npt.ArrayLike], classes: int) -> ClassCounts:
    """Match once, on the sum of all images' tables."""
    images = [_dense(table, classes) for table in tables]
    widest = max((table.shape[1] for table in images), default=classes)
    total = np.zeros((classes, widest), np.int64)
    for table in images:
        total[:, : table.shape[1]] += table
    return _count(images, [_match(total)] * len(images), classes)


def match_with_background(tables: Sequence[npt.ArrayLike], classes: int) -> ClassCounts:
    """Match every image for itself, what is no object's merged; of the C ≥ 2 classes C - 1 is background."""
    return match_per_image([merge_background(table, classes) for table in tables], classes)


def merge_background(table: npt.ArrayLike, classes: int) -> Table:
    """The table of an image with one segment in place of those that are no object's.

    Args:
        table: ``[[class, segment, pixels], …]``.
        classes: C, of which the last is the background.

    Returns:
        int64 ``[E, 3]``: segments that are an object's under their numbers, all others under the number after
        the image's last.
    """
    sparse = as_sparse(table)
    background = classes - 1
    merged = int(sparse[:, 1].max(initial=-1)) + 1
    dense = dense_contingency(sparse, classes, max(background, merged))[:background]
    objects = _match(dense)[dense.any(axis=1)]
    renamed = np.where(np.isin(sparse[:, 1], objects), sparse[:, 1], merged)
    keys, places = np.unique(np.stack((sparse[:, 0], renamed), axis=1), axis=0, return_inverse=True)
    pixels = np.zeros(len(keys), np.int64)
    np.add.at(pixels, places.ravel(), sparse[:, 2])
    return np.column_stack((keys, pixels))


def count_named(tables: Sequence[npt.ArrayLike], classes: int) -> ClassCounts:
    """Count the pixels of every class, where segments are named by classes: nothing is matched.

    A predicted class of C stands for pixels without a name, in a dataset without background: they are right
    for no class, and a miss of the one that is there. More is refused by an InvalidSettingError.
    """
    images = [dense_contingency(table, classes, classes + 1) for table in tables]
    return _count(images, [np.arange(classes)] * len(images), classes)


def _dense(table: npt.ArrayLike, classes: int) -> Table:
    """``[C, max(C, P)]``, with a column for every segment up to the last, annotated or not."""
    sparse = as_sparse(table)
    return dense_contingency(sparse, classes, max(classes, int(sparse[:, 1].max(initial=-1)) + 1))


def _match(table: Table) -> npt.NDArray[np.int64]:
    """The segment of every class, ``[C]``."""
    _, segments = linear_sum_assignment(table, maximize=True)
    return np.asarray(segments, np.int64)


def _count(images: Sequence[Table], matches: Sequence[npt.NDArray[np.int64]], classes: int) -> ClassCounts:
    """What is right and wrong of each image under its match."""
    right, missed, wrong = (np.zeros((len(images), classes), np.int64) for _ in range(3))
    for image, (table, segments) in enumerate(zip(images, matches, strict=True)):
        # A match made on the whole set may hold segments that this image has not.
        rows = np.flatnonzero(segments < table.shape[1])
        columns = segments[rows]
        right[image, rows] = table[rows, columns]
        missed[image] = table.sum(axis=1) - right[image]
        wrong[image, rows] = table[:, columns].sum(axis=0) - right[image, rows]
    return ClassCounts(right, missed, wrong)
