"""What the records of `measures.measure` make of a set of images.

`compute_metrics` turns the records of a set into its metrics, by name and in this order:

- ``segments``: mean number of segments;
- of classes, by each way of matching that is measured (see `class_matching`), accuracy and mean IoU:
  ``accuracy``, ``mean_iou`` (every image for itself) and ``accuracy_whole_set``, ``mean_iou_whole_set`` of
  "classes"; ``accuracy_background``, ``mean_iou_background`` of "background"; ``accuracy_named`` and
  ``mean_iou_named`` of a method whose labels are classes;
- of "segments" or "annotators": ``covering``, the mean over the images, or of several people's segments the
  covered share of all images' area;
- of "segments": ``best_iou``, the mean over the images;
- of "annotators": ``rand_index`` and ``variation_of_information`` in bits, the means over the images;
- of "boundaries": ``boundary_precision``, ``boundary_recall`` and ``boundary_f``, of pixels of all images.

All are in 0..1 and better when higher, but for ``segments`` and ``variation_of_information``. A metric is
kept as the sums over the images that it is made of (`Metric`), from which that of any resampled set
follows too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .class_matching import (
    accuracy,
    count_named,
    match_per_image,
    match_whole_set,
    match_with_background,
    mean_iou,
)
from .measures import NAMED, Measurements
from .types import Measure

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric of a set of images, as a function of sums over them.

    Attributes:
        counts: float64 ``[N, K]``, what each image adds to the sums.
        formula: from sums ``[..., K]`` to the metric ``[...]``; NaN where they say nothing.
    """

    counts: Values
    formula: Callable[[Values], Values]

    @classmethod
    def nothing(cls, images: int) -> Metric:
        """Of as many images of which there is nothing to say."""
        return cls(np.zeros((images, 2)), _ratio)

    @property
    def overall(self) -> float:
        """The metric of the whole set."""
        return float(self.formula(self.counts.sum(axis=0)))

    @property
    def per_image(self) -> Values:
        """The metric of each image alone, ``[N]``."""
        return self.formula(self.counts)

    def resampled(self, weights: npt.NDArray[Any]) -> Values:
        """The metrics of other sets of the same images, ``[S]``.

        Args:
            weights: ``[S, N]``, how often each image is in each of the S sets.
        """
        return self.formula(weights.astype(np.float64) @ self.counts)


def compute_metrics(
    records: Sequence[Measurements], groups: frozenset[Measure], classes: int = 0
) -> dict[str, Metric]:
    """The metrics of a set, by name; see the module.

    Args:
        records: of one row of one method, an image each.
        groups: what was measured.
        classes: number of classes of the dataset; needed for "classes" and "background".

    The metrics with one matching for the set keep that matching in every resampled set.
    """
    is_named = bool(records) and all(record.get(NAMED) for record in records)
    metrics = {"segments": _mean(records, "segments")}
    for ending, matched, is_measured in (
        ("", match_per_image, "classes" in groups),
        ("_whole_set", match_whole_set, "classes" in groups),
        ("_background", match_with_background, "background" in groups),
        ("_named", count_named, is_named),
    ):
        if is_measured:
            matching = matched([record["table"] for record in records], classes)
            counts = (matching.true_positives, matching.false_negatives, matching.false_positives)
            counted = np.concatenate(counts, axis=1).astype(np.float64)  # [N, 3 C]
            metrics["accuracy" + ending] = Metric(counted, partial(_accuracy, classes=classes))
            metrics["mean_iou" + ending] = Metric(counted, partial(_mean_iou, classes=classes))
    if "annotators" in groups:
        metrics["covering"] = Metric(_columns(records, "covered", "area"), _ratio)
    elif "segments" in groups:
        metrics["covering"] = _mean(records, "covering")
    if "segments" in groups:
        metrics["best_iou"] = _mean(records, "best_iou")
    if "annotators" in groups:
        metrics |= {name: _mean(records, name) for name in ("rand_index", "variation_of_information")}
    if "boundaries" in groups:
        counts_of = _columns(records, "matched_truth", "truth", "matched_prediction", "prediction")
        metrics["boundary_precision"] = Metric(counts_of, _precision)
        metrics["boundary_recall"] = Metric(counts_of, _recall)
        metrics["boundary_f"] = Metric(counts_of, _f_measure)
    return metrics


def _mean(records: Sequence[Measurements], key: str) -> Metric:
    """Of the images of which there is a value."""
    values = [record[key] for record in records]
    pairs = [(0.0, 0.0) if value is None else (value, 1.0) for value in values]
    return Metric(np.array(pairs, np.float64).reshape(-1, 2), _ratio)


def _columns(records: Sequence[Measurements], *keys: str) -> Values:
    return np.array([[record[key] for key in keys] for record in records], np.float64).reshape(-1, len(keys))


def _accuracy(sums: Values, classes: int) -> Values:
    return accuracy(sums[..., :classes], sums[..., classes : 2 * classes])


def _mean_iou(sums: Values, classes: int) -> Values:
    return mean_iou(sums[..., :classes], sums[..., classes : 2 * classes], sums[..., 2 * classes :])


def _ratio(sums: Values) -> Values:
    quotient = np.full(sums.shape[:-1], np.nan)
    return np.divide(sums[..., 0], sums[..., 1], out=quotient, where=sums[..., 1] != 0)


def _recall(sums: Values) -> Values:
    return _share(sums[..., 0], sums[..., 1])


def _precision(sums: Values) -> Values:
    return _share(sums[..., 2], sums[..., 3])


def _f_measure(sums: Values) -> Values:
    precision, recall = _precision(sums), _recall(sums)
    return _share(2 * precision * recall, precision + recall)


def _share(part: Values, whole: Values) -> Values:
    """0 where there is no boundary at all, as in the benchmark."""
    return part / np.where(whole == 0, 1, whole)
