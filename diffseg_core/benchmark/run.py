"""Going through the plan: captures, segments, measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from ..attention.capture_settings import CaptureSettings
from ..attention.maps import AttentionMaps
from ..diffcut.segment_cut import segment_cut
from ..errors import CaptureError, DiffSegError
from ..hierarchy.segment_hierarchy import colour_tree, segment_hierarchy
from ..image.superpixels import superpixels
from ..merging.segment import segment
from ..objects.object_finder import ObjectFinder
from ..segments import Segments
from ..settings import FINEST, Evidence
from .clicks import count_clicks
from .measures import measure
from .photographs import Photograph, read_photographs
from .record import best_trial
from .trials import COLOURS, CheckResults, Entry, Plan, Trial
from .words import WordReader, measure_words, names_of, other_names

Capture = Callable[[torch.Tensor, CaptureSettings], AttentionMaps]
"""What a host does: run its model over an image, float32 ``[1, H, W, 3]`` in 0..1; of a photograph the same
tensor each time."""


class Check:
    """One check of one model.

    Args:
        capture: runs the model.
        model: what is said of it, by `describe`.
        plan: what is tried.
        on_step: called with the number of steps done, their total and what is done, for each step several
            times; what it raises ends the check.
        read_words: reads words with the model; None where it cannot.
        no_words: why it cannot, as the end of the sentence "Words were not measured: …".

    Attributes:
        results: what was measured so far, also when the check was ended.
    """

    def __init__(
        self,
        capture: Capture,
        model: Entry,
        plan: Plan,
        on_step: Callable[[int, int, str], None] = lambda done, total, what: None,
        read_words: WordReader | None = None,
        no_words: str = "the model has no text encoder.",
    ) -> None:
        self.results = CheckResults(model, plan, no_words="" if read_words is not None else no_words)
        self._capture = capture
        self._plan = plan
        self._on_step = on_step
        self._read_words = read_words
        self._photographs = read_photographs(plan.photographs)
        self._leaves: dict[str, torch.Tensor] = {}
        passes = len(plan.captures) + len(plan.blocks) + bool(plan.thresholds)
        passes += 2  # colours and clicks on them
        passes += 2 if read_words is None else 4  # clicks, and words, at two captures
        self._done, self._total = 0, passes * len(plan.photographs)

    @torch.inference_mode()
    def run(self) -> CheckResults:
        """Go through the plan. A setting at which the model fails is noted, and the rest is done.

        Returns:
            the results.
        """
        results, (default, *further) = self.results, self._plan.captures
        self._try(default, sweeps=True)
        self._measure_colours()
        for settings in further:
            self._try(settings)
        best = best_trial(results)
        if best is not None:
            for blocks in self._plan.blocks:
                self._try(replace(best.capture, layers=blocks))
            best = best_trial(results)
        if best is not None and best.capture != default and self._plan.thresholds:
            self._try(best.capture, hierarchies=False, sweeps=True)
        for trial in dict.fromkeys((results.default, best)):
            if trial is not None and trial in results.finished("hierarchy"):
                self._click(trial)
        results.is_complete = True
        self._on_step(self._total, self._total, "done")
        return results

    def _try(self, settings: CaptureSettings, hierarchies: bool = True, sweeps: bool = False) -> None:
        """Capture every photograph at one setting, and measure segments of it."""
        with self._noted(Trial("capture", settings)):
            for photograph in self._photographs:
                what = f"noise level {settings.noise_level}, {photograph.name}"
                started = time.perf_counter()
                maps = self._capture(photograph.images.colours, settings)
                seconds = time.perf_counter() - started
                for trial in self._trials(settings, maps, hierarchies, sweeps):
                    started = time.perf_counter()
                    labels = self._segments(trial, photograph, maps).labels[0].cpu().numpy()
                    row = self.results.row(trial)
                    row.seconds += seconds + time.perf_counter() - started
                    row.figures[photograph.name] = measure(labels, photograph.truth)
                    self._step(what, 0)
                self._step(what)

    def _trials(
        self, settings: CaptureSettings, maps: AttentionMaps, hierarchies: bool, sweeps: bool
    ) -> Iterator[Trial]:
        """What is made of a capture; of the evidences that which DiffSeg Hierarchy takes by itself first."""
        evidences: tuple[Evidence, ...] = ("attention",)
        if maps.features is not None:
            evidences = (maps.evidence, "attention", "features", "both")
        if hierarchies:
            yield from (Trial("hierarchy", settings, evidence) for evidence in dict.fromkeys(evidences))
        if sweeps:
            thresholds = self._plan.thresholds
            yield from (Trial("merging", settings, threshold=threshold) for threshold in thresholds)
            if maps.features is not None and hierarchies:
                yield Trial("cut", settings)

    def _segments(self, trial: Trial, photograph: Photograph, maps: AttentionMaps) -> Segments:
        images = photograph.images
        if trial.threshold is not None:
            return segment(maps, images.size, merge_threshold=trial.threshold)
        if photograph.name not in self._leaves:  # once for all trees of it
            self._leaves[photograph.name] = superpixels(images.colours[0], FINEST.default)
        leaves = [self._leaves[photograph.name]]
        if trial.method == "cut":
            return segment_cut(maps, images, leaves=leaves)
        evidence = trial.evidence or "automatic"
        return segment_hierarchy(maps, images, evidence=evidence, leaves=leaves)

    def _measure_colours(self) -> None:
        row = self.results.row(COLOURS)
        for photograph in self._photographs:
            image = photograph.images.colours[0]
            tree = colour_tree(image)
            cut = Segments.of_hierarchies([tree], [tree.automatic_number()])
            row.figures[photograph.name] = measure(cut.labels[0].numpy(), photograph.truth)
            self._step(f"colours alone, {photograph.name}")
            finder = ObjectFinder(tree, image, attention=False)
            row.clicks[photograph.name] = count_clicks(finder, photograph, self._plan.clicks)
            self._step(f"clicks, {photograph.name}")

    def _click(self, trial: Trial) -> None:
        """Find the objects by clicks, and by their names, on the trees of a trial that was measured."""
        row, self.results.labels = self.results.row(trial), {}
        with self._noted(Trial("capture", trial.capture)):
            for photograph in self._photographs:
                maps = self._capture(photograph.images.colours, trial.capture)
                segments = self._segments(trial, photograph, maps)
                if self._read_words is not None:
                    self._find_words(Trial("words", trial.capture), photograph, segments, maps)
                    self._step(f"words, {photograph.name}")
                image = photograph.images.colours[0]
                finder = ObjectFinder(segments.hierarchies[0], image)
                counts = count_clicks(finder, photograph, self._plan.clicks)
                row.clicks[photograph.name] = counts
                self.results.labels[photograph.name] = segments.labels[0].cpu().numpy()
                self._step(f"clicks, {photograph.name}")

    def _find_words(
        self, trial: Trial, photograph: Photograph, segments: Segments, maps: AttentionMaps
    ) -> None:
        """Look for the objects of a photograph by their names.

        Another tree of the same capture has the same maps of words: what was measured on the first stays.
        Where it fails, words are given up at this capture, and the rest goes on.
        """
        row = self.results.row(trial)
        if self._read_words is None or row.error is not None or photograph.name in row.figures:
            return
        with self._noted(trial):
            started = time.perf_counter()
            right = self._read_words(maps, names_of(photograph.name))
            wrong = self._read_words(maps, other_names(photograph.name))
            seconds = time.perf_counter() - started
            figures, gains = measure_words(photograph, segments, maps, right, wrong)
            row.seconds += seconds
            row.figures[photograph.name], row.gains[photograph.name] = figures, gains

    @contextmanager
    def _noted(self, trial: Trial) -> Iterator[None]:
        """Around the work for a trial: what a model raises, and too little memory, is noted in its row."""
        try:
            yield
        except (DiffSegError, MemoryError, RuntimeError) as error:
            self.results.row(trial).error = error.with_traceback(None)  # which would keep the tensors

    def _step(self, what: str, steps: int = 1) -> None:
        self._done += steps
        self._on_step(min(self._done, self._total), self._total, what)


def check_measured(results: CheckResults) -> None:
    """Refuse results without any figure of the model.

    Raises:
        DiffSegError: why the first capture failed.
    """
    failed = results.of("capture")
    if results.of("hierarchy", "merging", "cut") or not failed:
        return
    error = next(iter(failed.values())).error
    if isinstance(error, DiffSegError):
        raise error
    raise CaptureError(
        f"Expected a model that runs with these settings, got {type(error).__name__}: {error}."
    )
