"""Going through the plan: captures, segments, measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from ..attention.capture_settings import CaptureSettings
from ..attention.maps import AttentionMaps
from ..diffcut.segment_cut import segment_cut
from ..errors import CaptureError, DiffSegError
from ..hierarchy.segment_hierarchy import segment_hierarchy
from ..image.superpixels import superpixels
from ..merging.segment import segment
from ..objects.object_finder import ObjectFinder
from ..objects.prompts import Click
from ..progress import callbacks
from ..segments import Segments
from ..settings import FINEST
from .clicks import WANTED, Truth, click_ious, clicks_needed
from .colours import colour_tree
from .failures import by_model, noted
from .measures import measure
from .photographs import Bitmap, Photograph, read_photographs
from .trials import (
    CheckedModel,
    CheckResults,
    Plan,
    Row,
    Trial,
    evidences_of,
)
from .verdicts import best_trial
from .words import WordReader, measure_words, names_of, other_names

Capture = Callable[[torch.Tensor, CaptureSettings], AttentionMaps]
"""What a host does: run its model over an image, float32 ``[1, H, W, 3]`` in 0..1; of a photograph the same
tensor each time."""


class Check:
    """One check of one model.

    Args:
        capture: runs the model.
        model: what is said of it.
        plan: what is tried.
        on_step: called with the number of steps done, their total and what was done; what it raises ends the
            check, as does what ``on_work`` raises.
        on_work: called many times meanwhile.
        read_words: reads words with the model; None where it cannot.
        no_words: why it cannot, as the end of the sentence "Words were not measured: …".

    Attributes:
        results: what was found so far, also when the check was ended.
    """

    def __init__(
        self,
        capture: Capture,
        model: CheckedModel,
        plan: Plan,
        on_step: Callable[[int, int, str], None] = lambda done, total, what: None,
        on_work: Callable[[], None] = lambda: None,
        read_words: WordReader | None = None,
        no_words: str = "the model has no text encoder.",
    ) -> None:
        self.results = CheckResults(model, plan, no_words="" if read_words is not None else no_words)
        self._capture = capture
        self._plan = plan
        self._on_step = on_step
        self._on_work = on_work
        self._read_words = read_words
        self._photographs = read_photographs(plan.photographs)
        self._leaves: dict[str, torch.Tensor] = {}
        passes = len(plan.captures) + len(plan.blocks) + 4  # the control, and clicks on it and two captures
        if read_words is not None:
            passes += 2  # words on the same two
        self._done, self._total = 0, (passes + bool(plan.thresholds)) * len(plan.photographs)

    @torch.inference_mode()
    def run(self) -> CheckResults:
        """Go through the plan. A setting at which the model fails is noted, and the rest is done.

        Returns:
            the results.
        """
        with callbacks(self._on_work):
            return self._run()

    def _run(self) -> CheckResults:
        default, *others = self._plan.captures
        self._try(default, sweeps=True)
        trees = dict(self._colours())
        for settings in others:
            self._try(settings)
        best = best_trial(self.results)
        if best is not None:
            for blocks in self._plan.blocks:
                self._try(replace(best.capture, layers=blocks))
            best = best_trial(self.results)
        if best is not None and best.capture != default and self._plan.thresholds:
            self._try(best.capture, hierarchies=False, sweeps=True)
        self._click(None, trees)
        for trial in dict.fromkeys((self.results.default, best)):
            if trial is not None and trial in self.results.finished("hierarchy"):
                self._click(trial, {})
        self.results.is_complete = True
        self._on_step(self._total, self._total, "done")
        return self.results

    def _try(self, settings: CaptureSettings, hierarchies: bool = True, sweeps: bool = False) -> None:
        """Capture every photograph at one setting, and measure segments of it."""
        with noted(self.results.failures, settings):
            for photograph in self._photographs:
                maps = self._captured(photograph, settings)
                for trial in self._trials(settings, maps, hierarchies, sweeps):
                    self._measure(trial, photograph, maps)
                self._step(f"noise level {settings.noise_level}, {photograph.name}")
        kept = {self.results.default, best_trial(self.results)}
        self.results.labels = {trial: each for trial, each in self.results.labels.items() if trial in kept}

    def _trials(
        self, settings: CaptureSettings, maps: AttentionMaps, hierarchies: bool, sweeps: bool
    ) -> Iterator[Trial]:
        evidences = evidences_of(maps)
        if self.results.evidence is None:
            self.results.evidence = evidences[0]
        if hierarchies:
            yield from (Trial(settings, "hierarchy", evidence) for evidence in evidences)
        if sweeps:
            yield from (Trial(settings, "merging", threshold=each) for each in self._plan.thresholds)
            if maps.features is not None and hierarchies:
                yield Trial(settings, "cut")

    def _captured(self, photograph: Photograph, settings: CaptureSettings) -> AttentionMaps:
        row = self.results.captures.setdefault(settings, Row())
        started = time.perf_counter()
        with by_model():
            maps = self._capture(photograph.images.colours, settings)
        row.seconds += time.perf_counter() - started
        row.times += 1
        self._on_work()
        return maps

    def _measure(self, trial: Trial, photograph: Photograph, maps: AttentionMaps) -> None:
        started = time.perf_counter()
        labels = self._segments(trial, photograph, maps).labels[0].cpu().numpy()
        row = self.results.trials.setdefault(trial, Row())
        row.seconds += time.perf_counter() - started
        row.figures[photograph.name] = measure(labels, photograph.truth)
        if trial.method == "hierarchy":
            self.results.labels.setdefault(trial, {})[photograph.name] = labels

    def _segments(self, trial: Trial, photograph: Photograph, maps: AttentionMaps) -> Segments:
        images = photograph.images
        if trial.method == "merging":
            assert trial.threshold is not None
            return segment(maps, images.size, merge_threshold=trial.threshold)
        if trial.method == "cut":
            return segment_cut(maps, images, leaves=[self._leaves_of(photograph)])
        return segment_hierarchy(
            maps,
            images,
            evidence=trial.evidence or "automatic",
            leaves=[self._leaves_of(photograph)],
        )

    def _leaves_of(self, photograph: Photograph) -> torch.Tensor:
        """The superpixels of a photograph, found once for all trees of it."""
        if photograph.name not in self._leaves:
            image = photograph.images.colours[0]
            self._leaves[photograph.name] = superpixels(image, FINEST.default)
        return self._leaves[photograph.name]

    def _colours(self) -> Iterator[tuple[str, ObjectFinder]]:
        for photograph in self._photographs:
            image = photograph.images.colours[0]
            tree = colour_tree(image)
            cut = Segments.of_hierarchies([tree], [tree.automatic_number()])
            self.results.colours[photograph.name] = measure(cut.labels[0].numpy(), photograph.truth)
            self._step(f"colours alone, {photograph.name}")
            yield photograph.name, ObjectFinder(tree, image, attention=False)

    def _click(self, trial: Trial | None, finders: dict[str, ObjectFinder]) -> None:
        counts = self.results.clicks.setdefault(trial, {})
        with nullcontext() if trial is None else noted(self.results.failures, trial.capture):
            for photograph in self._photographs:
                if trial is None:
                    finder = finders[photograph.name]
                else:
                    maps = self._captured(photograph, trial.capture)
                    segments = self._segments(trial, photograph, maps)
                    self._words(trial.capture, photograph, segments, maps)
                    image = photograph.images.colours[0]
                    finder = ObjectFinder(segments.hierarchies[0], image)
                counts[photograph.name] = count_clicks(finder, photograph, self._plan.clicks, self._on_work)
                self._step(f"clicks, {photograph.name}")

    def _words(
        self, settings: CaptureSettings, photograph: Photograph, segments: Segments, maps: AttentionMaps
    ) -> None:
        """Look for the objects of a photograph by their names.

        Another tree of the same capture has the same maps of words: what was measured on the first stays.
        Where it fails, words are given up at this capture, and the rest goes on.
        """
        if self._read_words is None:
            return
        trial = Trial(settings, "words")
        known = self.results.trials.get(trial, Row())
        if trial not in self.results.word_failures and photograph.name not in known.figures:
            image = photograph.images.colours
            with noted(self.results.word_failures, trial):
                started = time.perf_counter()
                with by_model():
                    own, others = (
                        self._read_words(image, settings, maps, lines)
                        for lines in (names_of(photograph.name), other_names(photograph.name))
                    )
                seconds = time.perf_counter() - started
                figures, gains = measure_words(photograph, segments, maps, own, others)
                row = self.results.trials.setdefault(trial, Row())
                row.seconds += seconds
                row.figures[photograph.name], row.gains[photograph.name] = figures, gains
            self._on_work()
        self._step(f"words, {photograph.name}")

    def _step(self, what: str) -> None:
        self._done += 1
        self._on_step(min(self._done, self._total), self._total, what)


def count_clicks(
    finder: ObjectFinder, photograph: Photograph, most: int, on_click: Callable[[], None] = lambda: None
) -> list[tuple[int, ...]]:
    """Click every object of a photograph until it is found, by the protocol of `clicks`.

    All that is not the object counts, annotated or not, as it does for a person who wants it.

    Args:
        finder: of this photograph.
        photograph: with its objects.
        most: clicks for each.
        on_click: called before each click; what it raises ends the call.

    Returns:
        for each object the clicks to each of `WANTED`, at most ``most``.
    """

    def mask_at(clicks: Sequence[Click]) -> Bitmap:
        on_click()
        return finder.find(clicks).mask

    counts = []
    for index in range(len(photograph.objects)):
        mask = photograph.mask(index)
        ious = click_ious(mask_at, Truth(mask, np.zeros_like(mask)), most, max(WANTED))
        counts.append(tuple(clicks_needed(ious, wanted, most) for wanted in WANTED))
    return counts


def check_measured(results: CheckResults) -> None:
    """Refuse results without any figure of the model.

    Raises:
        DiffSegError: why the first capture failed.
    """
    if results.trials or not results.failures:
        return
    error = next(iter(results.failures.values()))
    if isinstance(error, DiffSegError):
        raise error
    raise CaptureError(
        f"Expected a model that can be captured, got {type(error).__name__}: {error}. Nothing was measured."
    )
