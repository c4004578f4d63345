"""What is tried on a model, and what was found so far: rows that `record` and `report` write out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..attention.capture_settings import CaptureSettings
from ..attention.layers import ALL, MIDDLE_THIRD
from ..attention.maps import AttentionMaps
from ..settings import Evidence
from .measures import Measures
from .photographs import NAMES

Method = Literal["hierarchy", "merging", "cut", "words"]
"""DiffSeg Hierarchy's automatic cut, DiffSeg Segment, DiffCut, or the reading of words."""

NOISE_LEVELS = (50, 100, 200, 300, 500)
THRESHOLDS = (0.3, 0.45, 0.63, 0.8, 1.0, 1.3)
BLOCKS = (MIDDLE_THIRD, ALL)
DEFAULT_LEVEL, DEFAULT_THRESHOLD = 300, 1.0
DEFAULT_CAPTURE = CaptureSettings(DEFAULT_LEVEL)
CLICKS = 10  # for each object, at most
QUICK_PHOTOGRAPHS = ("cat", "coffee", "taipei", "lake")
QUICK_LEVELS, QUICK_THRESHOLDS, QUICK_CLICKS = (100, 300), (0.45, 0.8, 1.0), 5


@dataclass(frozen=True)
class Trial:
    """A capture, and what is made of it.

    Attributes:
        capture: its settings.
        method: one of `Method`.
        evidence: of a hierarchy what tells segments apart: "attention", "features" or "both"; else None.
        threshold: of merging in nats; else None.
    """

    capture: CaptureSettings
    method: Method
    evidence: Evidence | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes:
        default: the capture settings that a person has without a check.
        noise_levels: to try, the default among them or not.
        blocks: of a transformer, other choices to try; none for a UNet.
        thresholds: of merging to try; none for a transformer, for which the paper's method is not made.
        default_threshold: that a person has without a check.
        photographs: on which.
        clicks: for each object, at most.
        is_quick: whether it is a part of the whole check only.
    """

    default: CaptureSettings = DEFAULT_CAPTURE
    noise_levels: tuple[int, ...] = NOISE_LEVELS
    blocks: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = THRESHOLDS
    default_threshold: float = DEFAULT_THRESHOLD
    photographs: tuple[str, ...] = NAMES
    clicks: int = CLICKS
    is_quick: bool = False

    @property
    def captures(self) -> tuple[CaptureSettings, ...]:
        """The captures at all noise levels, the default's first."""
        others = (replace(self.default, noise_level=level) for level in self.noise_levels)
        return tuple(dict.fromkeys((self.default, *others)))


def plan_for(
    is_transformer: bool,
    quick: bool = False,
    default_level: int = DEFAULT_LEVEL,
    default_threshold: float = DEFAULT_THRESHOLD,
) -> Plan:
    """The plan that suits a model.

    Args:
        is_transformer: or else a UNet.
        quick: four photographs and few settings, to see whether all goes well.
        default_level: the noise level that a person has without a check.
        default_threshold: the merge threshold likewise.
    """
    plan = Plan(CaptureSettings(default_level), default_threshold=default_threshold)
    if quick:
        plan = replace(
            plan,
            noise_levels=QUICK_LEVELS,
            thresholds=QUICK_THRESHOLDS,
            photographs=QUICK_PHOTOGRAPHS,
            clicks=QUICK_CLICKS,
            is_quick=True,
        )
    if is_transformer:
        return replace(plan, thresholds=(), blocks=BLOCKS[:1] if quick else BLOCKS)
    return replace(plan, thresholds=tuple(sorted({*plan.thresholds, default_threshold})))


def evidences_of(maps: AttentionMaps) -> tuple[Evidence, ...]:
    """What there is to tell segments apart, what DiffSeg Hierarchy takes by itself first."""
    if maps.features is None:
        return ("attention",)
    all_three: tuple[Evidence, ...] = (maps.evidence, "attention", "features", "both")
    return tuple(dict.fromkeys(all_three))


class CheckedModel(NamedTuple):
    """What is said of the model: nothing that tells whose it is, or where it lies.

    Attributes:
        architecture: its name.
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
class Row:
    """What was measured of one trial, or of captures at one setting.

    Attributes:
        figures: by the photograph's name: `Measures` of segments, `WordFigures` of words; none of captures.
        seconds: all together.
        times: of captures, how many were made.
        gains: of words, by the photograph's and the object's name: by how much its own name finds it better.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    times: int = 0
    gains: dict[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass
class CheckResults:
    """All rows; the check fills them in, and they can be read at any time.

    Attributes:
        model: what is said of it.
        plan: what was to be tried.
        trials: of segments and of words, in the order in which they were begun.
        colours: of the tree by colours alone, by the photograph's name.
        clicks: by ``None`` for colours alone, else by the trial whose tree they were made on, and by the
            photograph's name: for each object the clicks to each of `clicks.WANTED`.
        no_words: why words were not measured, as the end of a sentence; "" where they are.
        captures: what captures took, by their settings; a photograph may be captured more than once.
        failures: why captures failed, by their settings.
        word_failures: why reading words failed.
        labels: int32 ``[H, W]`` of the segments of the default and of the best settings so far, by the trial
            and the photograph's name.
        evidence: what DiffSeg Hierarchy takes by itself; None before the first capture.
        is_complete: whether the plan was gone through to its end.
    """

    model: CheckedModel
    plan: Plan
    trials: dict[Trial, Row] = field(default_factory=dict)
    colours: dict[str, Measures] = field(default_factory=dict)
    clicks: dict[Trial | None, dict[str, list[tuple[int, ...]]]] = field(default_factory=dict)
    no_words: str = ""
    captures: dict[CaptureSettings, Row] = field(default_factory=dict)
    failures: dict[CaptureSettings, BaseException] = field(default_factory=dict)
    word_failures: dict[Trial, BaseException] = field(default_factory=dict)
    labels: dict[Trial, dict[str, npt.NDArray[np.int32]]] = field(default_factory=dict)
    evidence: Evidence | None = None
    is_complete: bool = False

    @property
    def default(self) -> Trial:
        """The hierarchy that a person has without a check."""
        return Trial(self.plan.default, "hierarchy", self.evidence or "attention")

    @property
    def default_words(self) -> Trial:
        """The words at the default capture, by which the model is judged."""
        return Trial(self.plan.default, "words")

    def of(self, method: str) -> dict[Trial, Row]:
        """The trials of a method."""
        return {trial: row for trial, row in self.trials.items() if trial.method == method}

    def finished(self, method: str) -> dict[Trial, Row]:
        """Those that were made on all photographs of the plan."""
        photographs = len(self.plan.photographs)
        return {trial: row for trial, row in self.of(method).items() if len(row.figures) == photographs}
