"""Measure segmentation quality: ``python -m benchmarks.quality ROOT [--limit N] [--skip N] [--json FILE]``.

ROOT is a folder as :class:`benchmarks.dataset.CocoPanoptic` reads it. Every method sees the same 512 by 512
centre crops and every measure is taken on them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .baselines import BASELINES, LabelMap, Photo
from .dataset import PANOPTIC_VOID, AnnotatedPhoto, CocoPanoptic, centre_crop_512
from .demo_predictor import demo_method
from .metrics import HungarianScore, mean_best_iou, segmentation_covering

Method = Callable[[Image.Image], npt.NDArray[Any]]
"""From an RGB picture of 512 by 512 to integer labels from 0 up, ``[512, 512]``."""


@dataclass(frozen=True)
class Quality:
    """What one method reached on a set of pictures.

    Attributes:
        accuracy, mean_iou: DiffSeg's own measure (:class:`benchmarks.metrics.HungarianScore`), 0..1.
        covering, best_iou: agreement with the panoptic segments, 0..1, averaged over the pictures.
        segments: mean number of segments a picture.
        seconds: mean wall time a picture, in the method alone.
        pictures: how many pictures were measured.
    """

    accuracy: float
    mean_iou: float
    covering: float
    best_iou: float
    segments: float
    seconds: float
    pictures: int


@dataclass
class _Tally:
    """One method's running measurements."""

    hungarian: HungarianScore = field(default_factory=HungarianScore)
    coverings: list[float] = field(default_factory=list)
    best_ious: list[float] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, photo: AnnotatedPhoto, method: Method) -> None:
        start = time.perf_counter()
        prediction = np.asarray(method(photo.image))
        self.seconds.append(time.perf_counter() - start)
        self.segments.append(np.unique(prediction).size)
        self.hungarian.add(photo.coco27, prediction)
        self.coverings.append(segmentation_covering(photo.panoptic, prediction, PANOPTIC_VOID))
        self.best_ious.append(mean_best_iou(photo.panoptic, prediction, PANOPTIC_VOID))

    def quality(self) -> Quality:
        return Quality(
            accuracy=self.hungarian.accuracy,
            mean_iou=self.hungarian.mean_iou,
            # A crop without any annotated pixel has no covering (NaN) and is left out of the mean.
            covering=float(np.nanmean(self.coverings)),
            best_iou=float(np.nanmean(self.best_ious)),
            segments=float(np.mean(self.segments)),
            seconds=float(np.mean(self.seconds)),
            pictures=len(self.seconds),
        )


def evaluate(
    root: str | Path, methods: Mapping[str, Method], limit: int | None = None, skip: int = 0
) -> dict[str, Quality]:
    """Measure every method on the same pictures.

    Args:
        root: a folder as :class:`benchmarks.dataset.CocoPanoptic` reads it.
        methods: a method under each row's name.
        limit: how many pictures to take, in the order of their names; ``None`` takes all.
        skip: how many pictures to pass over first, for a held-out part.

    Returns:
        The methods' qualities under the same names, in the same order.

    Raises:
        ValueError: no picture is left to measure, or a prediction is not an integer ``[512, 512]``.

    Example::

        evaluate(root, {"left and right": lambda image: np.arange(512)[None].repeat(512, 0) // 256}, limit=10)
    """
    dataset = CocoPanoptic(root)
    names = dataset.names[skip:] if limit is None else dataset.names[skip : skip + limit]
    if not names:
        raise ValueError(f"No picture left of {len(dataset)} with skip {skip} and limit {limit}.")
    tallies = {name: _Tally() for name in methods}
    for picture in names:
        photo = centre_crop_512(dataset.load(picture))
        for name, method in methods.items():
            tallies[name].add(photo, method)
    return {name: tally.quality() for name, tally in tallies.items()}


def baseline_methods() -> dict[str, Method]:
    """The baselines as methods on pictures."""
    return {name: partial(_segment_pixels, baseline) for name, baseline in BASELINES.items()}


def _segment_pixels(baseline: Callable[[Photo], LabelMap], image: Image.Image) -> LabelMap:
    return baseline(np.array(image))


def format_table(qualities: Mapping[str, Quality]) -> str:
    """The qualities as a Markdown table, a row per method."""
    lines = [
        "| method | ACC | mIoU | covering | best IoU | segments | s/picture |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, q in qualities.items():
        lines.append(
            f"| {name} | {q.accuracy:.3f} | {q.mean_iou:.3f} | {q.covering:.3f} | {q.best_iou:.3f} "
            f"| {q.segments:.1f} | {q.seconds:.3f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=main.__doc__)
    parser.add_argument("root", type=Path, help="folder with images/, panoptic/ and coco27/")
    parser.add_argument("--limit", type=_count, help="measure at most this many pictures")
    parser.add_argument("--skip", type=_count, default=0, help="pass over this many pictures first")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)

    methods = {"demo model": demo_method()} | baseline_methods()
    qualities = evaluate(options.root, methods, options.limit, options.skip)
    print(format_table(qualities))
    if options.json is not None:
        figures = {name: asdict(quality) for name, quality in qualities.items()}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {number}")
    return number


if __name__ == "__main__":
    main()
