"""Images to look at: the photograph, the truth, and what methods made of it, next to one another."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw

from diffseg_core.output.atomic_files import write_atomic
from diffseg_core.output.overlay import draw_overlay
from diffseg_core.segments import Segments, order_by_area

from .evaluation_run import EvaluationSettings
from .human_agreement import HUMAN
from .results import Results, RowName, best_rows
from .table import TITLES, metric_text
from .types import VOID, AnnotatedImage

MAX_METHODS = 3
CAPTION, GAP = 20, 6  # pixels: height of the captions, space between the panels
OPACITY = 0.6
QUALITY = 90  # of JPEG


@dataclass(frozen=True)
class ComparisonImage:
    """One image to draw; a task of an executor.

    Attributes:
        image: its name.
        file: what to write.
        captions: by row; which rows there are.
    """

    image: str
    file: Path
    captions: tuple[tuple[RowName, str], ...]

    def __str__(self) -> str:
        return self.image


@dataclass(frozen=True)
class ComparisonWorkerFactory:
    """Loads the model, and gives a worker for an executor.

    Attributes:
        settings: of the run.
        threads: CPU threads of the process; None leaves them as they are.
    """

    settings: EvaluationSettings
    threads: int | None = None

    def __call__(self) -> ComparisonWorker:
        """Load the model."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return ComparisonWorker(self.settings)


class ComparisonWorker:
    """Segments images once more, and draws them.

    Args:
        settings: of the run.
    """

    def __init__(self, settings: EvaluationSettings) -> None:
        self._dataset = settings.dataset.open()
        methods, _ = settings.make_methods()
        self._methods = {method.name: method for method in methods}

    def __call__(self, comparison: ComparisonImage) -> None:
        """Draw one image.

        Raises:
            DatasetError: the image or its annotations cannot be read.
            OSError: the file cannot be written.
        """
        image = self._dataset.load(comparison.image)
        panels = [
            (comparison.image, np.array(image.pixels)),
            ("truth", paint(image, truth_of(image))),
        ]
        for row, caption in comparison.captions:
            labels = self._methods[row.method].segment(image)[row.setting]
            panels.append((caption, paint(image, labels)))
        jpeg = io.BytesIO()
        side_by_side(panels).save(jpeg, format="JPEG", quality=QUALITY)
        write_atomic(comparison.file, jpeg.getvalue())


def choose_comparison_images(results: Results, count: int, folder: Path) -> list[ComparisonImage]:
    """The best and the worst images of the first method.

    Args:
        results: with at least one method other than "human"; up to three are drawn.
        count: how many of either, best and worst; no image is in both.
        folder: for ``best_01_NAME.jpg``, the best, and ``worst_01_NAME.jpg``, the worst. What it has of such
            names is removed.
    """
    for path in [*folder.glob("best_*.jpg"), *folder.glob("worst_*.jpg")]:
        path.unlink()
    metric = results.main_metric
    drawn = [row for method, row in best_rows(results).items() if method != HUMAN][:MAX_METHODS]
    values = {row: results.rows[row][metric].per_image for row in drawn}
    first = values[drawn[0]]
    ranked = sorted(np.flatnonzero(~np.isnan(first)).tolist(), key=lambda index: -first[index])
    worst = ranked[count:][-count:][::-1]
    chosen = []
    for kind, indices in (("best", ranked[:count]), ("worst", worst)):
        for rank, index in enumerate(indices, start=1):
            name = results.records[index].image
            file = folder / f"{kind}_{rank:02}_{name.replace('/', '_')}.jpg"
            captions = _captions({row: float(per_image[index]) for row, per_image in values.items()}, metric)
            chosen.append(ComparisonImage(name, file, captions))
    return chosen


def truth_of(image: AnnotatedImage) -> npt.NDArray[np.int32]:
    """What is drawn as the truth: the first person's segments, or the classes."""
    if image.segments or image.classes is None:
        return image.segments[0]
    return image.classes


def paint(image: AnnotatedImage, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Segments in colours over the image, uint8 ``[H, W, 3]``; what is not annotated stays as it is."""
    found = np.unique(labels[labels != VOID])
    ranks = np.where(labels == VOID, VOID, np.searchsorted(found, labels))
    ordered, _ = order_by_area(torch.from_numpy(ranks), torch.zeros(len(found), 1, 1))
    drawn = draw_overlay(image.pixels, Segments(ordered[None], ()), opacity=OPACITY, numbers=False)
    painted: npt.NDArray[np.uint8] = np.rint(drawn[0].numpy() * 255).astype(np.uint8)
    return painted


def side_by_side(panels: Sequence[tuple[str, npt.NDArray[np.uint8]]]) -> Image.Image:
    """Images of one size in a row, each under its caption."""
    height, width = panels[0][1].shape[:2]
    joined = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + CAPTION), "white")
    for place, (caption, pixels) in enumerate(panels):
        left = place * (width + GAP)
        panel = Image.new("RGB", (width, height + CAPTION), "white")
        ImageDraw.Draw(panel).text((2, 4), caption, fill="black")
        panel.paste(Image.fromarray(pixels), (0, CAPTION))
        joined.paste(panel, (left, 0))
    return joined


def _captions(values: Mapping[RowName, float], metric: str) -> tuple[tuple[RowName, str], ...]:
    title = TITLES[metric]
    return tuple((row, f"{row}, {title} {metric_text(metric, value)}") for row, value in values.items())
