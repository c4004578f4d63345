"""Metrics as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from .results import MEAN_IOU_NAMED, Results

TITLES = {
    "segments": "segments",
    "accuracy": "ACC",
    "mean_iou": "mIoU",
    "accuracy_whole_set": "ACC, one matching",
    "mean_iou_whole_set": "mIoU, one matching",
    "accuracy_background": "ACC, background merged",
    "mean_iou_background": "mIoU, background merged",
    "accuracy_named": "ACC by name",
    "mean_iou_named": "mIoU by name",
    "covering": "covering",
    "best_iou": "best IoU",
    "rand_index": "Rand index",
    "variation_of_information": "VI (bits, lower is better)",
    "boundary_precision": "boundary P",
    "boundary_recall": "boundary R",
    "boundary_f": "boundary F",
}
NOTHING = "–"
SWEEP_NOTE = (
    "ODS and OIS: every metric at the setting at which it is best, for the set as a whole and for each "
    "image; both choose with the truth in sight."
)
MATCHING_NOTE = (
    "ACC and mIoU match segments to classes image by image, with the truth in sight, as DiffSeg's paper "
    'does; "one matching" is that of PiCIE and STEGO, and the two do not compare.'
)
BACKGROUND_NOTE = (
    "Background merged: every image is matched with the truth in sight, and the segments that are no "
    "object's are its background, as in DiffCut's code."
)
NAMED_NOTE = (
    "By name: every pixel has the class whose words were found there, and nothing is matched; what no word "
    "names is background, or wrong where the dataset has no background. words is told which classes each "
    "image shows; words-all looks for all of the dataset's."
)
HUMAN_NOTE = "human: everybody's segmentation against those of the others."
ORACLE_NOTE = "-oracle: told the true number of classes or segments of each image."


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
    """A metric to three decimals, a number of segments to one."""
    if math.isnan(value):
        return NOTHING
    return f"{value:.1f}" if name == "segments" else f"{value:.3f}"


def results_table(results: Results) -> str:
    """A row for every method and setting, two more for every sweep, and below what one must know of it."""
    header = ["method", *(TITLES[name] for name in results.metrics), "s/image"]
    lines = []
    methods = list(results.records[0].rows)
    for method in methods:
        seconds = _seconds_text(results.seconds(method))
        for row, metrics in results.rows.items():
            if row.method == method:
                cells = [metric_text(name, metric.overall) for name, metric in metrics.items()]
                lines.append([str(row), *cells, seconds])
        lines += _sweep_lines(results, method)
    notes = [
        note
        for note, applies in (
            (SWEEP_NOTE, bool(results.sweeps)),
            (MATCHING_NOTE, "classes" in results.groups),
            (BACKGROUND_NOTE, "background" in results.groups),
            (NAMED_NOTE, MEAN_IOU_NAMED in results.metrics),
            (ORACLE_NOTE, any(method.endswith("-oracle") for method in methods)),
            (HUMAN_NOTE, "human" in methods),
        )
        if applies
    ]
    return "\n\n".join([markdown(header, lines), *notes])


def _sweep_lines(results: Results, method: str) -> list[list[str]]:
    if method not in results.sweeps:
        return []
    sweep = results.sweeps[method]
    for_set, for_each = [], []
    for name in results.metrics:
        metric = sweep.get(name)
        for_set.append(metric_text(name, metric.ods.overall) if metric else NOTHING)
        for_each.append(metric_text(name, metric.ois.overall) if metric else NOTHING)
    return [
        [f"{method}, best for the set (ODS)", *for_set, NOTHING],
        [f"{method}, best for each image (OIS)", *for_each, NOTHING],
    ]


def _seconds_text(seconds: float) -> str:
    return NOTHING if math.isnan(seconds) else f"{seconds:.3f}"
