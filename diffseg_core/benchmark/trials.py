"""What is tried on a model: captures, and ways to make segments of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..attention.capture_settings import CaptureSettings
from ..attention.layers import ALL, MIDDLE_THIRD
from ..attention.maps import AttentionMaps
from ..settings import Evidence
from .photographs import NAMES

Method = Literal["hierarchy", "merging", "cut"]
"""As of DiffSeg Hierarchy with its automatic cut, of DiffSeg Segment, and of DiffCut."""

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
    """A capture, and how segments are made of it.

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
    if default_threshold not in plan.thresholds:
        plan = replace(plan, thresholds=tuple(sorted((*plan.thresholds, default_threshold))))
    if quick:
        thresholds = tuple(sorted({*QUICK_THRESHOLDS, default_threshold}))
        plan = replace(
            plan,
            noise_levels=QUICK_LEVELS,
            thresholds=thresholds,
            photographs=QUICK_PHOTOGRAPHS,
            clicks=QUICK_CLICKS,
            is_quick=True,
        )
    if is_transformer:
        plan = replace(plan, thresholds=(), blocks=BLOCKS[:1] if quick else BLOCKS)
    return plan


def evidences_of(maps: AttentionMaps) -> tuple[Evidence, ...]:
    """What there is to tell segments apart, what DiffSeg Hierarchy takes by itself first."""
    if maps.features is None:
        return ("attention",)
    every: tuple[Evidence, ...] = (maps.evidence, "attention", "features", "both")
    return tuple(dict.fromkeys(every))
