"""What is tried on a model, and what was measured: a row for each trial, which `record` writes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..attention.capture_settings import CaptureSettings
from ..attention.layers import ALL, MIDDLE_THIRD
from ..settings import Evidence
from .photographs import NAMES

Entry = dict[str, Any]
"""Plain values by name: a row of a record, or a part of one."""

Method = Literal["hierarchy", "merging", "cut", "words", "colours", "capture"]
"""DiffSeg Hierarchy's automatic cut, DiffSeg Segment, DiffCut, the reading of words, the tree by colours
alone; "capture" has the error of a capture that failed."""

NOISE_LEVELS = (50, 100, 200, 300, 500)
THRESHOLDS = (0.3, 0.45, 0.63, 0.8, 1.0, 1.3)
BLOCKS = (MIDDLE_THIRD, ALL)
DEFAULT_LEVEL, DEFAULT_THRESHOLD = 300, 1.0
DEFAULT_CAPTURE = CaptureSettings(DEFAULT_LEVEL)
CLICKS = 10  # for each object, at most
SMALL = 50_000_000  # parameters: all models of the supported architectures that people use have more
QUICK_PHOTOGRAPHS = ("cat", "coffee", "taipei", "lake")
QUICK_LEVELS, QUICK_THRESHOLDS, QUICK_CLICKS = (100, 300), (0.45, 0.8, 1.0), 5


class Trial(NamedTuple):
    """A capture, and what is made of it.

    Attributes:
        method: one of `Method`.
        capture: its settings, of which noise level and layers count; without a level for colours alone.
        evidence: of a hierarchy what tells segments apart: "attention", "features" or "both"; else None.
        threshold: of merging in nats; else None.
    """

    method: Method
    capture: CaptureSettings
    evidence: Evidence | None = None
    threshold: float | None = None

    def entry(self) -> Entry:
        """Its settings by name, without those that do not count."""
        level, layers = self.capture.noise_level, self.capture.layers
        settings = {
            "noise_level": level,
            "layers": None if level is None else layers,
            **{name: getattr(self, name) for name in ("method", "evidence", "threshold")},
        }
        return {name: value for name, value in settings.items() if value is not None}


COLOURS = Trial("colours", CaptureSettings())


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
        at_levels = (replace(self.default, noise_level=level) for level in self.noise_levels)
        return tuple(dict.fromkeys((self.default, *at_levels)))


def plan_for(
    is_transformer: bool,
    quick: bool = False,
    default: CaptureSettings = DEFAULT_CAPTURE,
    default_threshold: float = DEFAULT_THRESHOLD,
) -> Plan:
    """The plan that suits a model.

    Args:
        is_transformer: or else a UNet.
        quick: four photographs and few settings, to see whether all goes well.
        default, default_threshold: see `Plan`.
    """
    thresholds = {*(QUICK_THRESHOLDS if quick else THRESHOLDS), default_threshold}
    plan = Plan(
        default,
        blocks=BLOCKS if is_transformer else (),
        thresholds=() if is_transformer else tuple(sorted(thresholds)),
        default_threshold=default_threshold,
    )
    if not quick:
        return plan
    return replace(
        plan,
        noise_levels=QUICK_LEVELS,
        blocks=plan.blocks[:1],
        photographs=QUICK_PHOTOGRAPHS,
        clicks=QUICK_CLICKS,
        is_quick=True,
    )


def describe(
    model: torch.nn.Module,
    architecture: str,
    dtype: torch.dtype,
    device: torch.device,
    is_transformer: bool,
    host: str,
) -> Entry:
    """What is said of a model: nothing that tells whose it is, or where it lies.

    The size of a model far smaller than its kind is said with the architecture: what suits DiffSeg Demo
    Model, which is built as SD 1.5 is, is not taken for what suits SD 1.5.

    Args:
        model: the UNet or the transformer.
        architecture: its name.
        dtype: of its weights.
        device: on which it runs, of which the kind is said.
        is_transformer: or else a UNet.
        host: "ComfyUI" or "diffusers".
    """
    parameters = sum(weight.numel() for weight in model.parameters())
    return {
        "architecture": architecture if parameters >= SMALL else f"{architecture}-{parameters / 1e6:.1f}M",
        "parameters": parameters,
        "dtype": str(dtype).removeprefix("torch."),
        "device": device.type,
        "is_transformer": is_transformer,
        "host": host,
    }


@dataclass
class Row:
    """What was measured of one trial.

    Attributes:
        figures: by the photograph's name: `Measures` of segments, `WordFigures` of words.
        seconds: all together, of segments with their captures.
        clicks: by the photograph's name, on the trial's trees: for each object the clicks to each of
            `clicks.WANTED`.
        gains: of words, by the photograph's and the object's name: by how much its own name finds it better.
        error: why the trial failed, or ended before all photographs.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    clicks: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    gains: dict[str, Mapping[str, float]] = field(default_factory=dict)
    error: BaseException | None = None


@dataclass
class CheckResults:
    """All rows; the check fills them in, and they can be read at any time.

    Attributes:
        model: what is said of it, by `describe`.
        plan: what was to be tried.
        no_words: why words were not measured, as the end of a sentence; "" where they are.
        rows: in the order in which the trials were begun.
        labels: int32 ``[H, W]`` of the segments of the best settings, by the photograph's name.
        is_complete: whether the plan was gone through to its end.
    """

    model: Entry
    plan: Plan
    no_words: str = ""
    rows: dict[Trial, Row] = field(default_factory=dict)
    labels: dict[str, npt.NDArray[np.int32]] = field(default_factory=dict)
    is_complete: bool = False

    @property
    def default(self) -> Trial:
        """The hierarchy that a person has without a check: by the evidence that is tried first."""
        trials = (trial for trial in self.of("hierarchy") if trial.capture == self.plan.default)
        return next(trials, Trial("hierarchy", self.plan.default, "attention"))

    def row(self, trial: Trial) -> Row:
        """The trial's row; an empty one where nothing was measured yet."""
        return self.rows.setdefault(trial, Row())

    def of(self, *methods: Method) -> dict[Trial, Row]:
        """The rows of some methods."""
        return {trial: row for trial, row in self.rows.items() if trial.method in methods}

    def finished(self, method: Method) -> dict[Trial, Row]:
        """Those that were made on all photographs of the plan."""
        count = len(self.plan.photographs)
        return {trial: row for trial, row in self.of(method).items() if len(row.figures) == count}
