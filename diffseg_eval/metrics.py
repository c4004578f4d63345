"""What the records of `measures.measure` make of a set of images: a row of `METRICS` for each metric.

A metric is kept as the sums over the images that it is made of (`Metric`), from which that of any resampled
set follows too. Those of classes come by each matching that is measured (see `class_matching`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from diffseg_core.benchmark.clicks import WANTED, clicks_needed

from .class_matching import (
    Counts,
    Matching,
    accuracy,
    count_named,
    divide,
    match_per_image,
    match_whole_set,
    match_with_background,
    mean_iou,
)
from .measures import AFTER_CLICKS, LARGER, Measurements

Values = npt.NDArray[np.float64]
Formula = Callable[[Values], Values]
"""From sums ``[..., K]`` to the metric ``[...]``; NaN where they say nothing."""
Count = Callable[[Sequence[Measurements], int], Values]
"""From the images' records and the number of classes to what each image adds to the sums, ``[N, K]``."""


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric of a set of images, as a function of sums over them.

    Attributes:
        counts: float64 ``[N, K]``, what each image adds to the sums.
        formula: of the sums.
    """

    counts: Values
    formula: Formula

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


@dataclass(frozen=True)
class MetricSpec:
    """A row of `METRICS`.

    Attributes:
        title: of its column.
        key: of a record that it is computed of.
        count, formula: how.
        decimals: that are printed.
        has_interval: whether a table has its interval too.
    """

    title: str
    key: str
    count: Count
    formula: Formula
    decimals: int = 3
    has_interval: bool = False


def ratio(sums: Values) -> Values:
    """The first sum divided by the second; NaN where that is 0."""
    return divide(sums[..., 0], sums[..., 1])


def _mean(
    title: str, key: str, of: Callable[[Any], float | None] = lambda value: value, decimals: int = 3
) -> MetricSpec:
    """The mean over the images of which there is a value."""

    def count(records: Sequence[Measurements], classes: int) -> Values:
        values = [of(record[key]) for record in records]
        return np.array([(0.0, 0.0) if value is None else (value, 1.0) for value in values], np.float64)

    return MetricSpec(title, key, count, ratio, decimals)


def _of_sums(title: str, formula: Formula, *keys: str) -> MetricSpec:
    def count(records: Sequence[Measurements], classes: int) -> Values:
        return np.array([[record[key] for key in keys] for record in records], np.float64)

    return MetricSpec(title, keys[0], count, formula)


def _by_matching(ending: str, title: str, key: str, match: Matching) -> dict[str, MetricSpec]:
    def count(records: Sequence[Measurements], classes: int) -> Values:
        counts = match([record[key] for record in records], classes)
        return np.concatenate(counts, axis=1).astype(np.float64)  # [N, 3 C]

    def of_classes(formula: Callable[[Counts, Counts, Counts], Values]) -> Formula:
        return lambda sums: formula(*np.split(sums, 3, axis=-1))

    return {
        f"accuracy{ending}": MetricSpec(f"ACC{title}", key, count, of_classes(accuracy)),
        f"mean_iou{ending}": MetricSpec(f"mIoU{title}", key, count, of_classes(mean_iou)),
    }


def _of_boundaries(title: str, formula: Formula) -> MetricSpec:
    return _of_sums(title, formula, "matched_truth", "truth", "matched_prediction", "prediction")


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


def _iou_at(title: str, key: str, place: int) -> MetricSpec:
    return replace(_mean(title, key, lambda ious: ious[place]), has_interval=True)


def _of_boxes(name: str, title: str, key: str) -> dict[str, MetricSpec]:
    """Of a tight box and of the larger ones."""
    larger = {
        f"{name}_{share * 100:.0f}": _iou_at(f"{title}{share:.0%} larger", key, place)
        for place, share in enumerate(LARGER)
        if share
    }
    return {name: _iou_at(f"{title}tight box", key, 0), **larger}


def _number_of_clicks(wanted: float) -> MetricSpec:
    name = f"NoC{wanted * 100:.0f}"
    noc = _mean(name, "click_ious", lambda ious: clicks_needed(ious, wanted), decimals=2)
    return replace(noc, has_interval=True)


def _never(wanted: float) -> MetricSpec:
    """In how many images the IoU is not reached."""
    share = _mean(f"never {wanted:.0%}", "click_ious", lambda ious: max(ious) < wanted, decimals=0)
    return replace(share, formula=lambda sums: sums[..., 0])


SECONDS = "seconds_per_prompt"
METRICS: Mapping[str, MetricSpec] = {
    "segments": _mean("segments", "segments", decimals=1),
    **_by_matching("", "", "classes", match_per_image),
    **_by_matching("_whole_set", ", one matching", "classes", match_whole_set),
    **_by_matching("_background", ", background merged", "background", match_with_background),
    **_by_matching("_named", " by name", "named", count_named),
    "covering": _of_sums("covering", ratio, "covered", "area"),
    "best_iou": _mean("best IoU", "best_iou"),
    "rand_index": _mean("Rand index", "rand_index"),
    "variation_of_information": _mean("VI (bits, lower is better)", "variation_of_information"),
    "boundary_precision": _of_boundaries("boundary P", _precision),
    "boundary_recall": _of_boundaries("boundary R", _recall),
    "boundary_f": _of_boundaries("boundary F", _f_measure),
    **{f"noc{wanted * 100:.0f}": _number_of_clicks(wanted) for wanted in WANTED},
    **{f"iou_after_{n}": _iou_at(f"IoU after {n}", "click_ious", n - 1) for n in AFTER_CLICKS},
    "boundary_iou_after_1": _iou_at("boundary IoU after 1", "click_boundary_ious", 0),
    **{f"never_{wanted * 100:.0f}": _never(wanted) for wanted in WANTED},
    **_of_boxes("box_iou", "", "box_ious"),
    **_of_boxes("box_boundary_iou", "boundary IoU, ", "box_boundary_ious"),
    SECONDS: _mean("s/prompt", SECONDS),
}
"""By name, in the order of the columns. All are in 0..1 and better when higher, but for numbers of segments,
clicks and photographs, ``variation_of_information`` in bits, and seconds."""


def compute_metrics(records: Sequence[Measurements], classes: int = 0) -> dict[str, Metric]:
    """The metrics of a set, by name: those of `METRICS` of which there is something in the records.

    Args:
        records: of one method, at least one; an image each.
        classes: number of classes of the dataset; needed for those by a matching.

    The metrics with one matching for the set keep that matching in every resampled set.
    """
    counted: dict[Count, Values] = {}
    metrics = {}
    for name, spec in METRICS.items():
        if spec.key in records[0]:
            if spec.count not in counted:  # what two metrics have in common
                counted[spec.count] = spec.count(records, classes)
            metrics[name] = Metric(counted[spec.count], spec.formula)
    return metrics
