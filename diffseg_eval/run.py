"""A run over a dataset: every image is segmented by every method, and measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import ModelChoice, SegmentSettings, WordSettings
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError

from .datasets import open_dataset
from .measures import measure
from .methods import MethodChoice
from .run_folder import ImageRecord, RunFolder
from .segmentations import Context
from .types import Measure

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
            segmenter = Segmenter(self.model, self.capture, further_words=self.by_words)
            if self.by_words and not segmenter.reads_words:
                raise InvalidSettingError(
                    f"Expected a model with a text encoder for the methods by words, got {self.model.model}. "
                    "Leave them out, or choose one of Stable Diffusion, SDXL, SD3, Flux.1 or Qwen-Image."
                )
        return Context(segmenter, self.segment, self.dataset, self.words)


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
