"""What is measured of one picture, and what that makes of a set of pictures.

`measure` gives the record of one segmentation of one picture: counts and figures that go into JSON as they
are. `statistics` turns the records of a set into its figures, by name and in this order:

- ``segments``: mean number of segments;
- of "classes": ``accuracy`` and ``mean_iou`` with every picture matched for itself, ``accuracy_whole_set``
  and ``mean_iou_whole_set`` with one matching for the set;
- of "segments" or "people": ``covering``, the mean over the pictures, or of several people's segments the
  covered share of all pictures' area;
- of "segments": ``best_iou``, the mean over the pictures;
- of "people": ``rand_index`` and ``variation_of_information`` in bits, the means over the pictures;
- of "boundaries": ``boundary_precision``, ``boundary_recall`` and ``boundary_f``, of pixels of all pictures.

All are in 0..1 and better when higher, but for ``segments`` and what is in `LOWER_IS_BETTER`. A figure is
kept as the sums over the pictures that it is made of (`Statistic`), from which that of any resampled set
follows too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from diffseg_core.errors import InvalidSettingError

from ..errors import DatasetError
from .annotated import AnnotatedPicture, Measure
from .boundaries import boundary_of, count_boundaries
from .class_matching import ClassMatching, accuracy, match_per_picture, match_whole_set, mean_iou
from .contingency import Labels, sparse_contingency
from .regions import (
    Overlaps,
    covering,
    mean_best_iou,
    mean_variation_of_information,
    probabilistic_rand_index,
)

Record = Mapping[str, Any]
"""The measures of one segmentation of one picture, as `measure` gives them and JSON keeps them."""

Values = npt.NDArray[np.float64]

LOWER_IS_BETTER = frozenset({"variation_of_information"})

CHOSEN_BY = {"boundary_precision": "boundary_f", "boundary_recall": "boundary_f"}
"""Figures of a sweep that are those of the setting which is best by another."""

NOT_OF_A_SWEEP = frozenset({"segments", "accuracy_whole_set", "mean_iou_whole_set"})
"""Figures that have no best setting: neither many nor few segments are good, and a matching of the whole set
does not fit a set whose pictures are at different settings."""


def measure(picture: AnnotatedPicture, labels: Labels, groups: frozenset[Measure]) -> dict[str, Any]:
    """Measure one segmentation of one picture.

    Args:
        picture: with the annotations that the groups need.
        labels: integers from 0 up, ``[H, W]`` of the picture's size. Labels larger than the number of pixels
            cannot have been counted from 0; they are replaced by their ranks.
        groups: what to measure.

    Returns:
        What JSON can hold; null where nothing is annotated that could be measured:

        - always ``segments``: how many there are;
        - "classes": ``table``, the sparse contingency table ``[[class, segment, pixels], …]``, −1 for pixels
          without a class;
        - "segments": ``covering`` and ``best_iou``, 0..1;
        - "people": ``covered`` and ``area``, pixels summed over people; ``rand_index``, 0..1, and
          ``variation_of_information``, bits, means over people;
        - "boundaries": the pixel counts ``matched_truth``, ``truth``, ``matched_prediction``, ``prediction``
          of `boundaries.BoundaryCounts`.

    Raises:
        InvalidSettingError: labels that are not as they should be (see `check_labels`).
        DatasetError: the picture has no annotations for one of the groups.
    """
    check_labels(labels, (picture.image.height, picture.image.width))
    names, ranks = np.unique(labels, return_inverse=True)
    if names[-1] >= labels.size:
        labels = ranks.reshape(labels.shape)
    record: dict[str, Any] = {"segments": len(names)}
    if "classes" in groups:
        if picture.classes is None:
            raise _not_annotated(picture, "classes")
        record["table"] = sparse_contingency(picture.classes, labels).tolist()
    if groups & {"segments", "people"}:
        record |= _measure_regions(picture, labels, groups)
    if "boundaries" in groups:
        if not picture.boundaries:
            raise _not_annotated(picture, "boundaries")
        record |= count_boundaries(boundary_of(labels), picture.boundaries)._asdict()
    return record


def check_labels(labels: Labels, shape: tuple[int, int]) -> None:
    """Refuse what is no segmentation of a picture.

    Args:
        labels: what a method gave.
        shape: height and width of the picture.

    Raises:
        InvalidSettingError: labels of another shape, not integers, or below 0.
    """
    if labels.shape != shape:
        raise InvalidSettingError(
            f"Expected labels of the picture's height and width {shape}, got {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InvalidSettingError(f"Expected labels of an integer type, got {labels.dtype}.")
    if int(labels.min()) < 0:
        raise InvalidSettingError(
            f"Expected labels from 0 up, got {int(labels.min())}. Every pixel must be in a "
            "segment: number what is left over as a segment of its own."
        )


def _measure_regions(
    picture: AnnotatedPicture, labels: Labels, groups: frozenset[Measure]
) -> dict[str, float | int | None]:
    if not picture.segments:
        raise _not_annotated(picture, "segments")
    overlaps = [Overlaps.of(truth, labels) for truth in picture.segments]
    found: dict[str, float | int | None] = {}
    if "segments" in groups:
        found["covering"] = _or_none(covering(overlaps))
        found["best_iou"] = _or_none(mean_best_iou(overlaps))
    if "people" in groups:
        found["covered"] = sum(overlap.covered for overlap in overlaps)
        found["area"] = sum(overlap.area for overlap in overlaps)
        found["rand_index"] = _or_none(probabilistic_rand_index(overlaps))
        found["variation_of_information"] = _or_none(mean_variation_of_information(overlaps))
    return found


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value


def _not_annotated(picture: AnnotatedPicture, what: str) -> DatasetError:
    return DatasetError(
        f"Expected {what} in the annotations of {picture.name}, got none. "
        "Measure only what the data set's annotations allow."
    )


@dataclass(frozen=True, eq=False)
class Statistic:
    """A figure of a set of pictures, as a function of sums over them.

    Attributes:
        counts: float64 ``[N, K]``, what each picture adds to the sums.
        figure: from sums ``[..., K]`` to the figure ``[...]``; NaN where they say nothing.
    """

    counts: Values
    figure: Callable[[Values], Values]

    @property
    def of_set(self) -> float:
        """The figure of the whole set."""
        return float(self.figure(self.counts.sum(axis=0)))

    @property
    def of_each(self) -> Values:
        """The figure of each picture alone, ``[N]``."""
        return self.figure(self.counts)

    def of_samples(self, weights: npt.NDArray[Any]) -> Values:
        """The figures of other sets of the same pictures, ``[S]``.

        Args:
            weights: ``[S, N]``, how often each picture is in each of the S sets.
        """
        return self.figure(weights.astype(np.float64) @ self.counts)


def statistics(
    records: Sequence[Record], groups: frozenset[Measure], classes: int = 0
) -> dict[str, Statistic]:
    """The figures of a set, by name; see the module.

    Args:
        records: of one row of one method, a picture each.
        groups: what was measured.
        classes: number of classes of the data set; needed for "classes".

    The figures with one matching for the set keep that matching in every resampled set.
    """
    found = {"segments": _mean(records, "segments")}
    if "classes" in groups:
        tables = [record["table"] for record in records]
        for ending, matching in (
            ("", match_per_picture(tables, classes)),
            ("_whole_set", match_whole_set(tables, classes)),
        ):
            counts = _class_counts(matching)
            found["accuracy" + ending] = Statistic(counts, partial(_accuracy, classes=classes))
            found["mean_iou" + ending] = Statistic(counts, partial(_mean_iou, classes=classes))
    if "people" in groups:
        found["covering"] = Statistic(_columns(records, "covered", "area"), _ratio)
    elif "segments" in groups:
        found["covering"] = _mean(records, "covering")
    if "segments" in groups:
        found["best_iou"] = _mean(records, "best_iou")
    if "people" in groups:
        found |= {name: _mean(records, name) for name in ("rand_index", "variation_of_information")}
    if "boundaries" in groups:
        counts = _columns(records, "matched_truth", "truth", "matched_prediction", "prediction")
        found["boundary_precision"] = Statistic(counts, _precision)
        found["boundary_recall"] = Statistic(counts, _recall)
        found["boundary_f"] = Statistic(counts, _f_measure)
    return found


def summarise(records: Sequence[Record], groups: frozenset[Measure], classes: int = 0) -> dict[str, float]:
    """The figures of a set as plain numbers; arguments and names as of `statistics`.

    NaN where no picture has what is measured.
    """
    return {name: statistic.of_set for name, statistic in statistics(records, groups, classes).items()}


@dataclass(frozen=True, eq=False)
class SweepFigure:
    """A figure of a method that was run at several settings.

    Attributes:
        setting: the one that is best for the set as a whole.
        best_for_set: the figure at that setting; of BSDS500 the "optimal data-set scale", ODS.
        best_for_each: the figure with every picture at the setting that is best for it; "optimal image
            scale", OIS.
    """

    setting: str
    best_for_set: Statistic
    best_for_each: Statistic


def sweep_statistics(
    sweep: Mapping[str, Sequence[Record]], groups: frozenset[Measure], classes: int = 0
) -> dict[str, SweepFigure]:
    """The figures of a sweep, by name: as of `statistics` but for those in `NOT_OF_A_SWEEP`.

    The settings are those that were run: unlike the benchmark's code for thresholds of a continuous boundary
    map, nothing is interpolated between them. Of equally good ones the first is taken.

    Args:
        sweep: records by setting, of the same pictures in the same order.
        groups: what was measured.
        classes: number of classes of the data set; needed for "classes".

    Raises:
        InvalidSettingError: no setting, or different numbers of pictures.
    """
    if len({len(records) for records in sweep.values()}) != 1:
        lengths = {setting: len(records) for setting, records in sweep.items()}
        raise InvalidSettingError(f"Expected records of the same pictures at every setting, got {lengths}.")
    settings = list(sweep)
    found = [statistics(records, groups, classes) for records in sweep.values()]
    figures = {}
    for name in found[0]:
        if name not in NOT_OF_A_SWEEP:
            chooser = CHOSEN_BY.get(name, name)
            sign = -1 if chooser in LOWER_IS_BETTER else 1
            by_set = [sign * row[chooser].of_set for row in found]
            by_picture = np.stack([sign * row[chooser].of_each for row in found])  # [S, N]
            best, best_of_each = (_first_best(np.asarray(scores)) for scores in (by_set, by_picture))
            counts = np.stack([row[name].counts for row in found])  # [S, N, K]
            mixed = counts[best_of_each, np.arange(counts.shape[1])]
            at_best = found[int(best)][name]
            figures[name] = SweepFigure(settings[int(best)], at_best, Statistic(mixed, at_best.figure))
    return figures


def _first_best(scores: Values) -> npt.NDArray[np.int64]:
    """Index of the largest along the first axis; NaN is worse than any number."""
    return np.asarray(np.where(np.isnan(scores), -np.inf, scores).argmax(axis=0))


def _mean(records: Sequence[Record], key: str) -> Statistic:
    """Of the pictures of which there is a value."""
    values = [record[key] for record in records]
    pairs = [(0.0, 0.0) if value is None else (value, 1.0) for value in values]
    return Statistic(np.array(pairs, np.float64).reshape(-1, 2), _ratio)


def _columns(records: Sequence[Record], *keys: str) -> Values:
    return np.array([[record[key] for key in keys] for record in records], np.float64).reshape(-1, len(keys))


def _class_counts(matching: ClassMatching) -> Values:
    """``[N, 3 C]``: true positives, false negatives, false positives."""
    counts = (matching.true_positives, matching.false_negatives, matching.false_positives)
    return np.concatenate(counts, axis=1).astype(np.float64)


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
