"""The metrics of a method that was run at several settings: at the best for the set, and for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffseg_core.errors import InvalidSettingError

from .measures import Measurements
from .metrics import LOWER_IS_BETTER, Metric, Values, compute_metrics
from .types import Measure

CHOSEN_BY = {"boundary_precision": "boundary_f", "boundary_recall": "boundary_f"}
"""Metrics of a sweep that are those of the setting which is best by another."""

NOT_OF_A_SWEEP = frozenset({"segments", "accuracy_whole_set", "mean_iou_whole_set"})
"""Metrics that have no best setting: neither many nor few segments are good, and a matching of the whole set
does not fit a set whose images are at different settings."""


@dataclass(frozen=True, eq=False)
class SweepMetric:
    """A metric of a method that was run at several settings.

    Attributes:
        setting: the one that is best for the set as a whole.
        ods: the metric at that setting; of BSDS500 the "optimal dataset scale", ODS.
        ois: the metric with every image at the setting that is best for it; "optimal image
            scale", OIS.
    """

    setting: str
    ods: Metric
    ois: Metric


def sweep_metrics(
    sweep: Mapping[str, Sequence[Measurements]], groups: frozenset[Measure], classes: int = 0
) -> dict[str, SweepMetric]:
    """The metrics of a sweep, by name: as of `compute_metrics` but for those in `NOT_OF_A_SWEEP`.

    The settings are those that were run: unlike the benchmark's code for thresholds of a continuous boundary
    map, nothing is interpolated between them. Of equally good ones the first is taken.

    Args:
        sweep: records by setting, of the same images in the same order.
        groups: what was measured.
        classes: number of classes of the dataset; needed for "classes" and "background".

    Raises:
        InvalidSettingError: no setting, or different numbers of images.
    """
    if len({len(records) for records in sweep.values()}) != 1:
        lengths = {setting: len(records) for setting, records in sweep.items()}
        raise InvalidSettingError(f"Expected records of the same images at every setting, got {lengths}.")
    settings = list(sweep)
    found = [compute_metrics(records, groups, classes) for records in sweep.values()]
    metrics = {}
    for name in found[0]:
        if name not in NOT_OF_A_SWEEP:
            chooser = CHOSEN_BY.get(name, name)
            sign = -1 if chooser in LOWER_IS_BETTER else 1
            by_set = [sign * row[chooser].overall for row in found]
            by_image = np.stack([sign * row[chooser].per_image for row in found])  # [S, N]
            best, best_of_each = (_first_best(np.asarray(scores)) for scores in (by_set, by_image))
            counts = np.stack([row[name].counts for row in found])  # [S, N, K]
            mixed = counts[best_of_each, np.arange(counts.shape[1])]
            at_best = found[int(best)][name]
            metrics[name] = SweepMetric(settings[int(best)], at_best, Metric(mixed, at_best.formula))
    return metrics


def _first_best(scores: Values) -> npt.NDArray[np.int64]:
    """Index of the largest along the first axis; NaN is worse than any number."""
    return np.asarray(np.where(np.isnan(scores), -np.inf, scores).argmax(axis=0))
