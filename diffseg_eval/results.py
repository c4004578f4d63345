"""What the records of a run make: metrics of the set, as numbers and as files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .measures import Measurements
from .metrics import Metric, compute_metrics
from .records import ImageRecord
from .sweep_metrics import SweepMetric, sweep_metrics
from .types import Measure

MEAN_IOU_NAMED = "mean_iou_named"


@dataclass(frozen=True)
class RowName:
    """A row of the results: a method at one setting.

    Attributes:
        method: its name.
        setting: "" where there is only one.
    """

    method: str
    setting: str

    def __str__(self) -> str:
        return f"{self.method}:{self.setting}" if self.setting else self.method


@dataclass(frozen=True, eq=False)
class Results:
    """The metrics of a set of images.

    Attributes:
        records: of its images, at least one, in the order of the dataset; all of the same methods.
        groups: what was measured.
        classes: number of classes of the dataset.
    """

    records: Sequence[ImageRecord]
    groups: frozenset[Measure]
    classes: int

    @cached_property
    def rows(self) -> dict[RowName, dict[str, Metric]]:
        """The metrics of every method at every setting, by name: the same names in each row."""
        found = {
            row: compute_metrics(self._measured(row), self.groups, self.classes) for row in self._row_names()
        }
        every = max(found.values(), key=len)  # methods by words have metrics that the others have not
        absent = Metric.nothing(len(self.records))
        return {row: {name: metrics.get(name, absent) for name in every} for row, metrics in found.items()}

    @cached_property
    def sweeps(self) -> dict[str, dict[str, SweepMetric]]:
        """The metrics of every method with several settings, by name."""
        found = {}
        for method, settings in self.records[0].rows.items():
            if len(settings) > 1:
                sweep = {setting: self._measured(RowName(method, setting)) for setting in settings}
                found[method] = sweep_metrics(sweep, self.groups, self.classes)
        return found

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics, in order."""
        return list(next(iter(self.rows.values())))

    @property
    def main_metric(self) -> str:
        """By which images are ranked: mean IoU of the classes, or the covering of the segments.

        Where the first method is one by words, that of the classes by name.
        """
        first = next(iter(self.rows.values())) if self.records else {}
        if MEAN_IOU_NAMED in first and not math.isnan(first[MEAN_IOU_NAMED].overall):
            return MEAN_IOU_NAMED
        for group, metric in (("classes", "mean_iou"), ("background", "mean_iou_background")):
            if group in self.groups:
                return metric
        return "covering"

    def seconds(self, method: str) -> float:
        """Mean time of one segmentation; NaN of what is no computation."""
        times = [record.seconds[method] for record in self.records if method in record.seconds]
        return float(np.mean(times)) if times else math.nan

    def as_json(self) -> dict[str, Any]:
        """The metrics of the set; null where there is nothing to measure."""
        rows = [
            {
                "method": row.method,
                "setting": row.setting,
                "metrics": {name: number(metric.overall) for name, metric in metrics.items()},
                "seconds": number(self.seconds(row.method)),
            }
            for row, metrics in self.rows.items()
        ]
        sweeps = {
            method: {
                name: {
                    "setting": metric.setting,
                    "ods": number(metric.ods.overall),
                    "ois": number(metric.ois.overall),
                }
                for name, metric in metrics.items()
            }
            for method, metrics in self.sweeps.items()
        }
        return {"rows": rows, "sweeps": sweeps}

    def as_csv(self) -> str:
        """The metrics of every image alone: a line for each image, method and setting.

        Of metrics with one matching for the set, what the image has under that matching. Empty where there
        is nothing to measure.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["picture", "method", "setting", *self.metrics])
        values = {
            row: np.stack([metric.per_image for metric in metrics.values()], axis=1)
            for row, metrics in self.rows.items()
        }
        for index, record in enumerate(self.records):
            for row, of_row in values.items():
                cells = ["" if math.isnan(value) else f"{value:.8g}" for value in of_row[index]]
                writer.writerow([record.image, row.method, row.setting, *cells])
        return text.getvalue()

    def _row_names(self) -> list[RowName]:
        return [
            RowName(method, setting) for method, found in self.records[0].rows.items() for setting in found
        ]

    def _measured(self, row: RowName) -> list[Measurements]:
        return [record.rows[row.method][row.setting] for record in self.records]


def number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value


def best_rows(results: Results) -> dict[str, RowName]:
    """One row of every method: of a sweep the setting at which the main metric is best for the set."""
    rows = {}
    for row in results.rows:
        sweep: Mapping[str, SweepMetric] | None = results.sweeps.get(row.method)
        setting = sweep[results.main_metric].setting if sweep else row.setting
        rows[row.method] = RowName(row.method, setting)
    return rows
