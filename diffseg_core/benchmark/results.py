"""What a check has found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..attention.capture_settings import CaptureSettings
from ..settings import Evidence
from .clicks import ClickCounts
from .measures import Measures, mean_of
from .trials import Plan, Trial
from .words import WordResult, WordTrial, ways_of


@dataclass(frozen=True)
class CheckedModel:
    """What is said of the model: nothing that tells whose it is, or where it lies.

    Attributes:
        architecture: by which presets are kept.
        parameters: how many.
        dtype: of its weights, as PyTorch calls it, without "torch.".
        device: the kind: "cpu", "cuda" and so on.
        is_transformer: or else a UNet.
        host: "ComfyUI" or "diffusers".
    """

    architecture: str
    parameters: int
    dtype: str
    device: str
    is_transformer: bool
    host: str


@dataclass
class TrialResult:
    """One trial on the photographs that it was made on.

    Attributes:
        trial: which.
        measures: by the photograph's name.
        seconds: of making the segments, all photographs together.
    """

    trial: Trial
    measures: dict[str, Measures] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def mean(self) -> Measures:
        """Over the photographs."""
        return mean_of(self.measures.values())


@dataclass
class CaptureCost:
    """What the captures at one setting took.

    Attributes:
        captured: how many photographs.
        seconds: all together.
        peak_memory: bytes, of the accelerator during them or of the process up to then; None if unknown.
    """

    captured: int = 0
    seconds: float = 0.0
    peak_memory: int | None = None


@dataclass
class CheckResults:
    """All of it; the check fills it in, and it can be read at any time.

    Attributes:
        model: what is said of it.
        plan: what was to be tried.
        trials: what was measured, in the order in which it was begun.
        colours: of the tree by colours alone, by the photograph's name.
        clicks: by ``None`` for colours alone, else by the trial whose tree they were made on.
        words: how well the objects are found by their names, in the order in which it was begun.
        no_words: why words were not measured, as the end of a sentence; "" where they are.
        word_failures: why reading words failed, by what they were read of.
        costs: of captures, by their settings.
        failures: why captures failed, by their settings.
        labels: int32 ``[H, W]`` of the segments of the default and of the best settings so far, by the trial
            and the photograph's name.
        evidence: what DiffSeg Hierarchy takes by itself; None before the first capture.
        is_complete: whether the plan was gone through to its end.
    """

    model: CheckedModel
    plan: Plan
    trials: dict[Trial, TrialResult] = field(default_factory=dict)
    colours: dict[str, Measures] = field(default_factory=dict)
    clicks: dict[Trial | None, ClickCounts] = field(default_factory=dict)
    words: dict[WordTrial, WordResult] = field(default_factory=dict)
    no_words: str = ""
    word_failures: dict[WordTrial, BaseException] = field(default_factory=dict)
    costs: dict[CaptureSettings, CaptureCost] = field(default_factory=dict)
    failures: dict[CaptureSettings, BaseException] = field(default_factory=dict)
    labels: dict[Trial, dict[str, npt.NDArray[np.int32]]] = field(default_factory=dict)
    evidence: Evidence | None = None
    is_complete: bool = False

    @property
    def default(self) -> Trial:
        """The hierarchy that a person has without a check."""
        return Trial(self.plan.default, "hierarchy", self.evidence or "attention")

    @property
    def words_of_node(self) -> WordTrial:
        """The trial of words that does what DiffSeg Find by Words does, by which the model is judged."""
        return WordTrial(self.plan.default, ways_of(self.model.is_transformer)[0])

    @property
    def finished_words(self) -> Mapping[WordTrial, WordResult]:
        """The trials of words that were made on all photographs of the plan."""
        photographs = len(self.plan.photographs)
        return {trial: result for trial, result in self.words.items() if len(result.figures) == photographs}

    def finished(self, method: str) -> Mapping[Trial, TrialResult]:
        """The trials of a method that were made on all photographs of the plan."""
        return {
            trial: result
            for trial, result in self.trials.items()
            if trial.method == method and len(result.measures) == len(self.plan.photographs)
        }
