"""Whether one method is better than another: differences on the same images, with intervals by bootstrap."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from diffseg_core.errors import InvalidSettingError

from .bootstrap import Statistic, intervals
from .metrics import METRICS, SECONDS, Metric, compute_metrics
from .results import markdown, metric_text
from .run import FORMAT, VERSION, RunFolder

OPTIONS = ("resolution", "void")  # of datasets, that change what is measured


class Difference(NamedTuple):
    """One metric of two methods on the same images: of each, other − first, and the interval of that."""

    metric: str
    first: float
    other: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class RunMethod:
    """A row of a finished run.

    Attributes:
        folder: of the run.
        row: the method's name.
        dataset: name of its dataset, its options, and the names of its classes.
        images: names of those that are in the results, in order.
    """

    folder: RunFolder
    row: str
    dataset: Mapping[str, Any]
    images: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.folder.path}:{self.row}"


def resolve_run_method(text: str) -> RunMethod:
    """Find what is written as ``RUN`` or ``RUN:METHOD``, such as ``runs/demo:slic:8``.

    A run alone is its only method.

    Raises:
        InvalidSettingError: no finished run, or no such method in it; says which there are.
    """
    pieces = text.split(":")
    splits = [(":".join(pieces[:cut]), ":".join(pieces[cut:])) for cut in range(len(pieces), 0, -1)]
    path, name = next((split for split in splits if Path(split[0]).is_dir()), (text, ""))
    folder = RunFolder(Path(path))
    try:
        content = json.loads(folder.results.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{content['format']} of version {content['version']}")
        dataset, images = content["dataset"], tuple(content["pictures"])
        rows = [row["method"] for row in content["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSettingError(
            f"Expected the results of diffseg evaluate in {folder.results}, got {error!r}. A run has them "
            "when it is finished; the same command finishes it."
        ) from error
    name = name or rows[0]
    if name not in rows:
        raise InvalidSettingError(
            f"Expected one of the methods of {path}, written as {path}:METHOD, got {text!r}. "
            f"There are {', '.join(rows)}."
        )
    return RunMethod(folder, name, dataset, images)


def shared_images(run_methods: Sequence[RunMethod]) -> list[str]:
    """The images that all runs measured, in the first's order.

    Raises:
        InvalidSettingError: the runs are of different datasets, or have no image in common.
    """
    first, *compared = run_methods
    for other in compared:
        if other.dataset != first.dataset:
            raise InvalidSettingError(
                f"Expected runs of one dataset, got {_describe(first)} in {first.folder.path} and "
                f"{_describe(other)} in {other.folder.path}."
            )
    shared = set(first.images).intersection(*(other.images for other in compared))
    if not shared:
        raise InvalidSettingError(
            f"Expected images that all runs have measured, got none: {first.folder.path} has "
            f"{first.images[0]} and others. Evaluate the same ones (--skip, --limit, --split)."
        )
    return [image for image in first.images if image in shared]


def compare_methods(first: RunMethod, other: RunMethod, images: Sequence[str]) -> list[Difference]:
    """All metrics of two methods on the same images; those that one has not, and times, are left out.

    Args:
        first, other: of one dataset.
        images: names, measured by both.

    Raises:
        DatasetError: a record is missing or damaged.
    """
    metrics, other_metrics = (
        compute_metrics(
            [run_method.folder.read(image).rows[run_method.row] for image in images],
            len(first.dataset["class_names"]),
        )
        for run_method in (first, other)
    )
    names = [
        name
        for name, metric in metrics.items()
        if name in other_metrics
        and name != SECONDS
        and not math.isnan(metric.overall + other_metrics[name].overall)
    ]
    statistics = {name: _difference(metrics[name], other_metrics[name]) for name in names}
    differences = []
    for name, interval in intervals(statistics, len(images)).items():
        values = metrics[name].overall, other_metrics[name].overall
        differences.append(Difference(name, *values, values[1] - values[0], *interval))
    return differences


def _difference(first: Metric, other: Metric) -> Statistic:
    return lambda weights: other.resampled(weights) - first.resampled(weights)


def difference_table(differences: Sequence[Difference]) -> str:
    """A row for each metric, in Markdown."""
    header = ["", "first", "other", "difference", "95 % interval"]
    rows = []
    for row in differences:
        numbers = [metric_text(row.metric, value) for value in (row.first, row.other)]
        low, high, difference = (
            ("+" if value > 0 else "") + metric_text(row.metric, value)
            for value in (row.low, row.high, row.difference)
        )
        rows.append([METRICS[row.metric].title, *numbers, difference, f"{low} … {high}"])
    return markdown(header, rows)


def _describe(run: RunMethod) -> str:
    options = [f", {name} {run.dataset[name]}" for name in OPTIONS if run.dataset[name] is not None]
    return f"{run.dataset['name']} ({len(run.dataset['class_names'])} classes{''.join(options)})"
