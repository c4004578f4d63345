"""A run over a dataset: every image is segmented by every method, and measured.

The folder of a run::

    evaluation.json     the settings; a run with others is refused
    pictures/NAME.json  what was measured of each image, see `records`
    results.json, pictures.csv, table.md    what that makes, see `results`
    side_by_side/       images to look at, see `side_by_side`
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from diffseg_cli.batch.run_manifest import describe_changes, read_run_manifest, write_run_manifest
from diffseg_cli.batch.settings import (
    ModelChoice,
    NestedSettings,
    SegmentSettings,
    WordSettings,
    read_earlier,
)
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError

from .attention_methods import SharedCapture
from .datasets import open_dataset
from .earlier_names import method_today
from .human_agreement import measure_human_agreement
from .measures import measure
from .method_choices import MethodChoice
from .methods import make_methods, tree_settings
from .records import ImageRecord, RecordFolder
from .types import AnnotatedImage, Dataset, Method

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

    def open(self) -> Dataset:
        """Find the dataset's files; raises as `open_dataset` does."""
        return open_dataset(self.name, self.root, self.resolution, self.split, self.void)


@dataclass(frozen=True)
class EvaluationSettings:
    """What decides on the metrics.

    Attributes:
        dataset: what is segmented.
        methods: by what; no name twice.
        model: whose attention; on what device it runs may change from one run to the next.
        capture: how it is captured.
        segment: DiffSeg's settings, with the name under which each is recorded.
        words: of the methods by words.
    """

    dataset: DatasetChoice
    methods: tuple[MethodChoice, ...]
    model: ModelChoice
    capture: CaptureSettings
    segment: tuple[tuple[str, SegmentSettings], ...]
    words: WordSettings = field(default_factory=WordSettings)

    def to_dict(self) -> dict[str, Any]:
        """By name, as they are kept in the run's folder; of the model only where a method needs it."""
        dataset = {name: value for name, value in vars(self.dataset).items() if name not in ("name", "root")}
        kept = {"dataset": self.dataset.name, **dataset, "methods": [method.text for method in self.methods]}
        if any(method.needs_model for method in self.methods):
            kept |= {"model": self.model.model, "precision": self.model.precision, **asdict(self.capture)}
        if any(method.is_diffseg for method in self.methods):
            kept["diffseg"] = {name: settings.to_dict() for name, settings in self.segment}
        tree = tree_settings(dict(self.segment))
        by_words = any(method.is_by_words for method in self.methods)
        has_tree = by_words or any(method.cuts_a_tree for method in self.methods)
        if has_tree and tree != NestedSettings():
            kept["tree"] = tree.to_dict()
        if by_words:
            kept |= self.words.to_dict()
        return kept

    def make_methods(self) -> tuple[list[Method], SharedCapture | None]:
        """The methods that look at images, and the capture that some share; loads the model if one does."""
        settings = dict(self.segment)
        return make_methods(self.methods, self.model, self.capture, settings, self.dataset.name, self.words)


@dataclass(frozen=True)
class EvaluationWorkerFactory:
    """Loads the model, and gives a worker for an executor.

    Attributes:
        settings: of the run.
        folder: of the run, absolute.
        threads: CPU threads of the process; None leaves them as they are.
    """

    settings: EvaluationSettings
    folder: Path
    threads: int | None = None

    def __call__(self) -> EvaluationWorker:
        """Load the model."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return EvaluationWorker(self.settings, self.folder)


class EvaluationWorker:
    """Segments and measures one image after the other.

    Args:
        settings: of the run.
        folder: of the run.
    """

    def __init__(self, settings: EvaluationSettings, folder: Path) -> None:
        self._settings = settings
        self._records = record_folder(folder)
        self._dataset = settings.dataset.open()
        self._methods, self._capture = settings.make_methods()

    def __call__(self, name: str) -> None:
        """Measure one image, and write its record.

        Raises:
            DatasetError: the image or its annotations cannot be read.
            OSError: the record cannot be written.
        """
        image = self._dataset.load(name)
        rows: dict[str, dict[str, Any]] = {}
        seconds = {}
        shared = self._capture_seconds(image)
        by_name = {method.name: method for method in self._methods}
        for choice in self._settings.methods:
            if not choice.looks_at_image:
                rows[choice.name] = {"": measure_human_agreement(image, self._dataset.measures)}
                continue
            start = time.perf_counter()
            labels = by_name[choice.name].segment(image)
            elapsed = (time.perf_counter() - start) / len(labels)
            seconds[choice.name] = elapsed + (shared if choice.needs_model else 0.0)
            rows[choice.name] = {
                setting: measure(image, found, self._dataset.measures, choice.is_by_words)
                for setting, found in labels.items()
            }
        size = (image.pixels.height, image.pixels.width)
        self._records.write(ImageRecord(name, size, rows, seconds))

    def _capture_seconds(self, image: AnnotatedImage) -> float:
        """Capture the attention for the methods that use it; the time that it takes."""
        start = time.perf_counter()
        if self._capture is not None:
            self._capture.of(image).aggregate()
        return time.perf_counter() - start


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
    records = record_folder(folder)
    try:
        before = _settings_before(folder)
        if before is None and records.path.exists():
            raise InvalidSettingError(
                f"Expected {RUN_FILE} beside {records.path}: it says with what settings those were made. "
                "Choose another --out."
            )
        if overwrite:
            records.clear()
            (folder / RESULTS_FILE).unlink(missing_ok=True)
        elif before is not None and (changes := describe_changes(before, settings.to_dict())):
            raise InvalidSettingError(
                f"Expected the settings of the run in {folder}, got others: {changes}. Choose another "
                "--out, or --overwrite to measure all images again."
            )
        records.remove_leftovers(images)
        write_run_manifest(folder / RUN_FILE, FORMAT, VERSION, settings.to_dict())
    except OSError as error:
        raise InvalidSettingError(f"Expected a folder that can be written, got {folder}: {error}.") from error
    return [image for image in images if not records.has(image)]


def _settings_before(folder: Path) -> dict[str, Any] | None:
    """The settings of an earlier run as they would be kept now; None if there was none."""
    found = read_run_manifest(folder / RUN_FILE, FORMAT, VERSION)
    if found is None:
        return None
    before = {**found, "methods": list(map(method_today, found["methods"]))}
    if "diffseg" in before:
        before["diffseg"] = {name: read_earlier(each) for name, each in before["diffseg"].items()}
    return before
