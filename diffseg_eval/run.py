"""A run over a dataset: every image is segmented by every method, and measured.

Its folder lets a run that is cut off go on where it stopped:

evaluation.json     the settings; a run with others is refused
pictures/NAME.json  what was measured of each image; a "/" in its name makes a folder
results.json, pictures.csv, table.md    what that makes, see `results`
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffseg_cli.batch.run_manifest import RunManifest
from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import ModelChoice, SegmentSettings, WordSettings
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import remove_leftovers, write_atomic

from .datasets import open_dataset
from .measures import Measurements, measure
from .methods import MethodChoice
from .segmentations import Context
from .types import DatasetError, Measure
from .word_methods import class_lines

FORMAT, VERSION = "diffseg-evaluation", 3
NAMED: frozenset[Measure] = frozenset({"named"})


@dataclass(frozen=True)
class EvaluationSettings:
    """What decides on the metrics.

    Attributes:
        dataset: what is segmented, of `datasets.DATASETS`.
        root: its folder; where it lies may change from one run to the next.
        options: of `open_dataset`, by name; None is the dataset's own.
        methods: by what; no name twice.
        model: whose attention; on what device it runs may change from one run to the next.
        capture: how it is captured.
        segment: DiffSeg's settings.
        words: of the methods by words.
    """

    dataset: str
    root: Path
    options: Mapping[str, Any]
    methods: tuple[MethodChoice, ...]
    model: ModelChoice
    capture: CaptureSettings
    segment: SegmentSettings
    words: WordSettings

    @property
    def by_words(self) -> bool:
        """Whether a method looks for words."""
        return any(method.spec.needs == "words" for method in self.methods)

    @property
    def needs_model(self) -> bool:
        """Whether any method does."""
        return any(method.spec.needs != "pixels" for method in self.methods)

    def to_dict(self) -> dict[str, Any]:
        """By name, as they are kept in the run's folder; without a model there are fewer that count."""
        names = [method.name for method in self.methods]
        kept = {"dataset": self.dataset, **self.options, "methods": names}
        if self.needs_model:
            kept |= {"model": self.model.model, "precision": self.model.precision, **asdict(self.capture)}
            kept["segment"] = self.segment.to_dict()
        return {**kept, **(self.words.to_dict() if self.by_words else {})}

    def context(self) -> Context:
        """What the methods need; the model is loaded only if one of them needs it.

        Raises:
            InvalidSettingError: a method by words, and a model without a text encoder.
        """
        segmenter = None
        if self.needs_model:
            # Words of one class show whether the model reads any.
            words = class_lines(self.dataset)[:1] if self.by_words else ()
            segmenter = Segmenter(self.model, self.capture, words, further_words=self.by_words)
        return Context(segmenter, self.segment, self.dataset, self.words)


@dataclass(frozen=True)
class ImageRecord:
    """What was measured of one image.

    Attributes:
        image: its name.
        rows: what `measures.measure` gave, by the method's name.
        seconds: what one segmentation took, the capture of attention included, by the method's name.
    """

    image: str
    rows: Mapping[str, Measurements]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class RunFolder:
    """A run's files."""

    path: Path

    def prepare(
        self, settings: Mapping[str, Any], images: Sequence[str], overwrite: bool = False
    ) -> list[str]:
        """Make the folder ready for a run; it is created.

        Args:
            settings: of the run; written where none are.
            images: names.
            overwrite: forget an earlier run in the folder.

        Returns:
            the names of the images that are yet to be measured.

        Raises:
            InvalidSettingError: the folder is of a run with other settings, is no run's, or cannot be
                written.
        """
        manifest = RunManifest(self.path / "evaluation.json", FORMAT, VERSION)
        try:
            if manifest.settings is None and self._records.exists():
                raise InvalidSettingError(
                    f"Expected {manifest.path.name} beside {self._records}: it says with what settings those "
                    "were made. Choose another --out."
                )
            if overwrite:
                for path in (*self._records.rglob("*.json"), self.results):
                    path.unlink(missing_ok=True)
            else:
                manifest.refuse_changes(settings, "measure all images again")
            self.remove_leftovers(images)
            manifest.write(settings)
        except OSError as error:
            raise InvalidSettingError(
                f"Expected a folder that can be written, got {self.path}: {error}."
            ) from error
        return [image for image in images if not self._file(image).exists()]

    def write(self, record: ImageRecord) -> None:
        """Write a record whole or not at all, replacing one of the same image.

        Raises:
            OSError: it cannot be written.
        """
        write_atomic(self._file(record.image), json.dumps(asdict(record)).encode())

    def read(self, image: str) -> ImageRecord:
        """The record of an image.

        Raises:
            DatasetError: there is none, or the file is not one.
        """
        path = self._file(image)
        try:
            record = ImageRecord(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(
                f"Expected the record of an image in {path}, got {error!r}. Remove the file, and evaluate "
                "again: only what is missing is done."
            ) from error
        return record

    def remove_leftovers(self, images: Iterable[str]) -> None:
        """Remove temporary files that killed workers left beside the records; none may be at work."""
        for folder in {self._file(image).parent for image in images}:
            remove_leftovers(folder)

    @property
    def results(self) -> Path:
        """The file of the metrics; it is there when the run is finished."""
        return self.path / "results.json"

    @property
    def _records(self) -> Path:
        return self.path / "pictures"

    def _file(self, image: str) -> Path:
        return self._records / f"{image}.json"


class EvaluationWorker:
    """Segments and measures one image after the other, into the run's folder."""

    def __init__(self, settings: EvaluationSettings, folder: Path) -> None:
        self._folder = RunFolder(folder)
        self._dataset = open_dataset(settings.dataset, settings.root, **settings.options)
        self._methods = settings.methods
        self._context = settings.context()

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
        if self._context.segmenter is not None:
            self._context.maps(image).aggregate()
        shared = time.perf_counter() - start
        for method in self._methods:
            needs = method.spec.needs
            start = time.perf_counter()
            result = method(self._context, image)
            seconds[method.name] = time.perf_counter() - start + (0.0 if needs == "pixels" else shared)
            groups = self._dataset.measures | (NAMED if needs == "words" else frozenset())
            rows[method.name] = measure(image, result, groups)
        self._folder.write(ImageRecord(name, rows, seconds))
