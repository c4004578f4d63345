"""Whether one method is better than another: differences on the same images, with intervals by bootstrap.

As many images as there are, are drawn with replacement, 10,000 times (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, section 13.3), the same for both methods; metrics of sums over
images (accuracy, mean IoU, boundary F, covering over people) are computed anew from the sums over each
such set. The interval holds the middle 95 % of the differences.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffseg_core.errors import InvalidSettingError

from .metrics import Metric, compute_metrics
from .records import ImageRecord
from .results import TITLES, RowName, markdown, metric_text, row_names
from .run import FORMAT, RESULTS_FILE, VERSION, record_folder
from .types import Measure

RESAMPLES, SEED = 10_000, 0
LEVELS = (2.5, 97.5)  # percent
BLOCK = 500  # resampled sets at a time: some MB of weights for thousands of images


@dataclass(frozen=True)
class Difference:
    """One metric of two methods on the same images.

    Attributes:
        metric: its name, see `metrics.compute_metrics`.
        first, other: of each method, on all images.
        difference: other − first.
        low, high: the interval of the difference.
    """

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
        row: the method and its setting.
        dataset: name of its dataset, its ``void`` value, and the names of its classes.
        groups: what was measured.
        images: names of those that are in the results, in order.
    """

    folder: Path
    row: RowName
    dataset: Mapping[str, Any]
    groups: frozenset[Measure]
    images: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.folder}:{self.row}"

    @property
    def classes(self) -> int:
        """How many the dataset has."""
        return len(self.dataset["class_names"])


def resolve_run_method(text: str) -> RunMethod:
    """Find what is written as ``RUN`` or ``RUN:METHOD``, such as ``runs/demo:slic:8``.

    A run alone is its first method, at one setting.

    Raises:
        InvalidSettingError: no finished run, or no such method in it; says which there are.
    """
    pieces = text.split(":")
    splits = [(":".join(pieces[:cut]), ":".join(pieces[cut:])) for cut in range(len(pieces), 0, -1)]
    folder, name = next(((path, rest) for path, rest in splits if Path(path).is_dir()), (text, ""))
    path = Path(folder) / RESULTS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{content['format']} of version {content['version']}")
        dataset, groups, images = content["dataset"], content["measures"], content["pictures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSettingError(
            f"Expected the results of diffseg evaluate in {path}, got {error!r}. A run has them when it is "
            "finished; the same command finishes it."
        ) from error
    rows = row_names(record_folder(Path(folder)).read(images[0]))
    named = [row for row in rows if (str(row) == name if name else row.method == rows[0].method)]
    if len(named) != 1:
        raise InvalidSettingError(
            f"Expected one of the methods of {folder}, written as {folder}:METHOD, got {text!r}. "
            f"There are {', '.join(map(str, rows))}."
        )
    return RunMethod(Path(folder), named[0], dataset, frozenset(groups), tuple(images))


def shared_images(run_methods: Sequence[RunMethod]) -> list[str]:
    """The images that all runs measured, in the first's order.

    Raises:
        InvalidSettingError: the runs are of different datasets, or have no image in common.
    """
    first, *others = run_methods
    for other in others:
        if (other.dataset, other.groups) != (first.dataset, first.groups):
            raise InvalidSettingError(
                f"Expected runs of one dataset, got {_describe(first)} in {first.folder} and "
                f"{_describe(other)} in {other.folder}."
            )
    shared = set(first.images).intersection(*(other.images for other in others))
    if not shared:
        raise InvalidSettingError(
            f"Expected images that all runs have measured, got none: {first.folder} has "
            f"{first.images[0]} and others. Evaluate the same ones (--skip, --limit, --split)."
        )
    return [image for image in first.images if image in shared]


def compare_methods(
    first: RunMethod, other: RunMethod, images: Sequence[str], resamples: int = RESAMPLES
) -> list[Difference]:
    """All metrics of two methods on the same images; those that neither has are left out.

    Args:
        first, other: of one dataset.
        images: names, measured by both.
        resamples: how many sets are drawn.

    Raises:
        InvalidSettingError: an image was measured at different sizes.
        DatasetError: a record is missing or damaged.
    """
    both = (first, other)
    records = [[record_folder(one.folder).read(image) for image in images] for one in both]
    for one, two in zip(*records, strict=True):
        if one.size != two.size:
            raise InvalidSettingError(
                f"Expected runs at one resolution, got {_size(one)} for {one.image} in {first.folder} "
                f"and {_size(two)} in {other.folder}."
            )
    metrics = [
        compute_metrics(
            [record.rows[run_method.row.method][run_method.row.setting] for record in rows],
            run_method.groups,
            run_method.classes,
        )
        for run_method, rows in zip(both, records, strict=True)
    ]
    pairs = {
        name: (one, metrics[1][name])
        for name, one in metrics[0].items()
        if name in metrics[1] and not math.isnan(one.overall) and not math.isnan(metrics[1][name].overall)
    }
    intervals = _intervals(pairs, len(images), resamples)
    return [
        Difference(name, one.overall, two.overall, two.overall - one.overall, *intervals[name])
        for name, (one, two) in pairs.items()
    ]


def difference_table(differences: Sequence[Difference]) -> str:
    """A row for each metric, in Markdown."""
    header = ["", "first", "other", "difference", "95 % interval"]
    rows = []
    for one in differences:
        numbers = [metric_text(one.metric, value) for value in (one.first, one.other)]
        low, high, difference = (
            ("+" if value > 0 else "") + metric_text(one.metric, value)
            for value in (one.low, one.high, one.difference)
        )
        rows.append([TITLES[one.metric], *numbers, difference, f"{low} … {high}"])
    return markdown(header, rows)


def _intervals(
    pairs: dict[str, tuple[Metric, Metric]], images: int, resamples: int
) -> dict[str, tuple[float, float]]:
    """Of every difference, from the same resampled sets."""
    random = np.random.default_rng(SEED)
    drawn: dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {name: [] for name in pairs}
    for start in range(0, resamples, BLOCK):
        sets = min(BLOCK, resamples - start)
        weights = random.multinomial(images, np.full(images, 1 / images), size=sets)  # [S, N]
        for name, (first, other) in pairs.items():
            drawn[name].append(other.resampled(weights) - first.resampled(weights))
    intervals = {}
    for name, blocks in drawn.items():
        # A set that drew no image of which there is a metric says nothing.
        low, high = np.nanpercentile(np.concatenate(blocks), LEVELS)
        intervals[name] = (float(low), float(high))
    return intervals


def _describe(run: RunMethod) -> str:
    void = run.dataset["void"]
    return (
        f"{run.dataset['name']} ({run.classes} classes{'' if void is None else f', void {void}'}; "
        f"{', '.join(sorted(run.groups))})"
    )


def _size(record: ImageRecord) -> str:
    return "×".join(map(str, reversed(record.size)))
