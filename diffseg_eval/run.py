"""A run over a dataset: every image is segmented by every method, and measured.

The folder of a run::

    evaluation.json     the settings; a run with others is refused
    pictures/NAME.json  what was measured of each image, see `records`
    results.json, pictures.csv, table.md    what that makes, see `results`
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from diffseg_cli.batch.run_manifest import RunManifest
from diffseg_cli.batch.settings import (
    ModelChoice,
    NestedSettings,
    SegmentSettings,
    WordSettings,
)
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError

from .datasets import open_dataset
from .measures import measure
from .methods import MethodChoice, make_methods, tree_settings
from .records import ImageRecord, RecordFolder
from .types import Dataset

RUN_FILE, RESULTS_FILE = "evaluation.json", "results.json"
FORMAT, VERSION = "diffseg-evaluation", 1


@dataclass(frozen=True)
class DatasetChoice:
    """Which dataset, and what of it; the options are those of `open_dataset`.

    Attributes:
        name: of `datasets.DATASETS`.
        root: its folder; where it lies may change from one run to the next.
        resolution, split, void: None is the dataset's own.
    """

    name: str
    root: Path
    resolution: int | None = None
    split: str | None = None
    void: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """By name, None among them."""
        return {"resolution": self.resolution, "split": self.split, "void": self.void}

    def open(self) -> Dataset:
        """Find the dataset's files; raises as `open_dataset` does."""
        return open_dataset(self.name, self.root, **self.options)


@dataclass(frozen=True)
class EvaluationSettings:
    """What decides on the metrics.

    Attributes:
        dataset: what is segmented.
        methods: by what; no name twice.
        model: whose attention; on what device it runs may change from one run to the next.
        capture: how it is captured.
        segment: DiffSeg's settings.
        words: of the methods by words.
    """

    dataset: DatasetChoice
    methods: tuple[MethodChoice, ...]
    model: ModelChoice
    capture: CaptureSettings
    segment: SegmentSettings
    words: WordSettings = field(default_factory=WordSettings)

    def to_dict(self) -> dict[str, Any]:
        """By name, as they are kept in the run's folder: those that count for a method."""
        groups = {method.group for method in self.methods}
        methods = [method.text for method in self.methods]
        kept = {"dataset": self.dataset.name, **self.dataset.options, "methods": methods}
        if groups - {"pixels"}:
            kept |= {"model": self.model.model, "precision": self.model.precision, **asdict(self.capture)}
        if "diffseg" in groups:
            kept["diffseg"] = self.segment.to_dict()
        tree = tree_settings(self.segment)
        if groups & {"tree", "words"} and tree != NestedSettings():
            kept["tree"] = tree.to_dict()
        return {**kept, **(self.words.to_dict() if "words" in groups else {})}


class EvaluationWorker:
    """Segments and measures one image after the other, into the run's folder."""

    def __init__(self, settings: EvaluationSettings, folder: Path) -> None:
        self._records = record_folder(folder)
        self._dataset = settings.dataset.open()
        self._choices = settings.methods
        self._methods, self._capture = make_methods(
            settings.methods,
            settings.model,
            settings.capture,
            settings.segment,
            settings.dataset.name,
            settings.words,
        )

    def __call__(self, name: str) -> None:
        """Measure one image, and write its record.

        Raises:
            DatasetError: the image or its annotations cannot be read.
            OSError: the record cannot be written.
        """
        image = self._dataset.load(name)
        rows: dict[str, dict[str, Any]] = {}
        seconds = {}
        start = time.perf_counter()
        if self._capture is not None:
            self._capture.of(image).aggregate()
        shared = time.perf_counter() - start
        for choice in self._choices:
            start = time.perf_counter()
            segmentations = self._methods[choice.name]
            labels = {setting: segmentation(image) for setting, segmentation in segmentations.items()}
            elapsed = (time.perf_counter() - start) / len(labels)
            seconds[choice.name] = elapsed + (0.0 if choice.group == "pixels" else shared)
            rows[choice.name] = {
                setting: measure(image, at_setting, self._dataset.measures, choice.group == "words")
                for setting, at_setting in labels.items()
            }
        self._records.write(ImageRecord(name, (image.pixels.height, image.pixels.width), rows, seconds))


def record_folder(folder: Path) -> RecordFolder:
    """Where a run keeps its records."""
    return RecordFolder(folder / "pictures")


def prepare_run(
    folder: Path, settings: EvaluationSettings, images: Sequence[str], overwrite: bool = False
) -> list[str]:
    """Make the folder ready for a run.

    Args:
        folder: of the run; created.
        settings: of the run; written where none are.
        images: names.
        overwrite: forget an earlier run in the folder.

    Returns:
        the names of the images that are yet to be measured.

    Raises:
        InvalidSettingError: the folder is of a run with other settings, is no run's, or cannot be written.
    """
    records, manifest = record_folder(folder), RunManifest(folder / RUN_FILE, FORMAT, VERSION)
    try:
        if manifest.settings is None and records.path.exists():
            raise InvalidSettingError(
                f"Expected {RUN_FILE} beside {records.path}: it says with what settings those were made. "
                "Choose another --out."
            )
        if overwrite:
            records.clear()
            (folder / RESULTS_FILE).unlink(missing_ok=True)
        else:
            manifest.refuse_changes(settings.to_dict(), "measure all images again")
        records.remove_leftovers(images)
        manifest.write(settings.to_dict())
    except OSError as error:
        raise InvalidSettingError(f"Expected a folder that can be written, got {folder}: {error}.") from error
    return [image for image in images if not records.has(image)]
