"""What the records of a run make: metrics of the set, as a table and as files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import numpy as np

from diffseg_core import __version__
from diffseg_core.output.atomic_files import write_atomic

from .bootstrap import intervals
from .metrics import METRICS, Metric, compute_metrics, ratio
from .run import FORMAT, VERSION, EvaluationSettings, ImageRecord, RunFolder
from .types import Dataset

PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "pillow", "diffusers")
NOTHING = "–"
NOTES = {
    "mean_iou": "ACC and mIoU match segments to classes image by image, with the truth in sight, as "
    'DiffSeg\'s paper does; "one matching" is that of PiCIE and STEGO, and the two do not compare.',
    "mean_iou_background": "Background merged: every image is matched with the truth in sight, and the "
    "segments that are no object's are its background, as in DiffCut's code.",
    "mean_iou_named": "By name: every pixel has the class whose words were found there, and nothing is "
    "matched; what no word names is background, or wrong where the dataset has no background. words knows "
    "which classes each image shows; words-all looks for all of the dataset's.",
}
"""What one must know of a column."""
INTERVAL_NOTE = (
    "In brackets: the interval that holds the figure with 95 % confidence (bootstrap over the images)."
)
ORACLE_NOTE = "-oracle: given the true number of classes or segments of each image."


class Results:
    """The metrics of a set of images.

    Args:
        records: of its images, at least one, in the order of the dataset; all of the same methods.
        classes: number of classes of the dataset.

    Attributes:
        rows: the metrics of every method, by name: the same names in each row.
        metrics: their names, in order.
        seconds: mean time of one segmentation, by the method's name.
    """

    def __init__(self, records: Sequence[ImageRecord], classes: int) -> None:
        self.records = records
        measured = {
            row: compute_metrics([record.rows[row] for record in records], classes) for row in records[0].rows
        }
        most = max(measured.values(), key=len)  # methods by words have metrics that the others have not
        self.metrics = list(most)
        absent = Metric(np.zeros((len(records), 2)), ratio)
        self.rows = {
            row: {name: metrics.get(name, absent) for name in self.metrics}
            for row, metrics in measured.items()
        }
        self.seconds = {row: float(np.mean([record.seconds[row] for record in records])) for row in self.rows}

    def as_json(self) -> list[dict[str, Any]]:
        """The rows of the set; null where there is nothing to measure."""
        rows = []
        for row, metrics in self.rows.items():
            values = {name: metric.overall for name, metric in metrics.items()}
            known = {name: None if math.isnan(value) else value for name, value in values.items()}
            rows.append({"method": row, "metrics": known, "seconds": self.seconds[row]})
        return rows

    def as_csv(self) -> str:
        """The metrics of every image alone: a line for each image and method.

        Of metrics with one matching for the set, what the image has under that matching. Empty where there
        is nothing to measure.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["picture", "method", *self.metrics])
        per_image = {row: [metric.per_image for metric in of.values()] for row, of in self.rows.items()}
        for index, record in enumerate(self.records):
            for row, metrics in per_image.items():
                cells = ["" if math.isnan(values[index]) else f"{values[index]:.8g}" for values in metrics]
                writer.writerow([record.image, row, *cells])
        return text.getvalue()

    def as_table(self) -> str:
        """A row for every method, and below what one must know of it, in Markdown."""
        lines = []
        for row, metrics in self.rows.items():
            cells = {name: metric_text(name, metric.overall) for name, metric in metrics.items()}
            with_interval = {name: metrics[name].resampled for name in metrics if METRICS[name].has_interval}
            for name, interval in intervals(with_interval, len(self.records)).items():
                cells[name] += f" [{', '.join(metric_text(name, value) for value in interval)}]"
            lines.append([row, *cells.values(), f"{self.seconds[row]:.3f}"])
        notes = [note for name, note in NOTES.items() if name in self.metrics]
        if any(METRICS[name].has_interval for name in self.metrics):
            notes.append(INTERVAL_NOTE)
        if any(row.endswith("-oracle") for row in self.rows):
            notes.append(ORACLE_NOTE)
        header = ["method", *(METRICS[name].title for name in self.metrics), "s/image"]
        return "\n\n".join([markdown(header, lines), *notes])


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers.

    >>> print(markdown(["a", "b"], [["x", "1"]]))
    | a | b |
    | --- | ---: |
    | x | 1 |
    """
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def metric_text(name: str, value: float) -> str:
    """A metric to its decimals."""
    return NOTHING if math.isnan(value) else f"{value:.{METRICS[name].decimals}f}"


def write_results(
    folder: RunFolder,
    results: Results,
    settings: EvaluationSettings,
    dataset: Dataset,
    missing: Sequence[str] = (),
) -> str:
    """Write ``results.json``, ``pictures.csv`` and ``table.md``.

    Args:
        folder: of the run.
        results: of the images that were measured.
        settings: of the run.
        dataset: of which the images are.
        missing: names of images that should have been measured too.

    Returns:
        the table with a line on the images above it, as in ``table.md``.

    Raises:
        OSError: a file cannot be written.
    """
    total = len(results.records) + len(missing)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "dataset": {
            "name": settings.dataset,
            "resolution": settings.options["resolution"],
            "void": settings.options["void"],
            "class_names": list(dataset.class_names),
        },
        "settings": settings.to_dict(),
        "pictures": [record.image for record in results.records],
        "missing": list(missing),
        "rows": results.as_json(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {"diffseg": __version__, **{package: version(package) for package in PACKAGES}},
    }
    lacking = f" of {total:,}; {len(missing):,} failed" if missing else ""
    heading = f"{settings.dataset}, {len(results.records):,} images{lacking}"
    text = f"{heading}\n\n{results.as_table()}\n"
    write_atomic(folder.path / "pictures.csv", results.as_csv().encode())
    write_atomic(folder.path / "table.md", text.encode())
    write_atomic(folder.results, (json.dumps(content, indent=1) + "\n").encode())
    return text
