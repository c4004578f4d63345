"""Results of checks that were never made."""

from __future__ import annotations

from collections.abc import Mapping

from diffseg_core.benchmark.measures import Measures
from diffseg_core.benchmark.trials import CaptureSettings, CheckedModel, CheckResults, Plan, Row, Trial

PHOTOGRAPHS = ("cat", "coffee", "lake")
MODEL = CheckedModel("SD15", 859_520_964, "float16", "cuda", False, "ComfyUI")


def measures(score: float) -> Measures:
    """Some with this score."""
    return Measures(score + 0.01, score - 0.01, score / 2, 7.0)


def hierarchy(level: int, evidence: str = "attention", blocks: str = "recommended") -> Trial:
    return Trial(CaptureSettings(level, layers=blocks), "hierarchy", evidence)  # type: ignore[arg-type]


def merging(level: int, threshold: float) -> Trial:
    return Trial(CaptureSettings(level), "merging", threshold=threshold)


def made_results(
    scores: Mapping[Trial, float],
    colours: float | None = 0.4,
    complete: bool = True,
) -> CheckResults:
    """Results in which every photograph has the same score, by the trial."""
    plan = Plan(photographs=PHOTOGRAPHS)
    results = CheckResults(MODEL, plan, evidence="attention", is_complete=complete)
    for trial, score in scores.items():
        found = {name: measures(score) for name in plan.photographs}
        results.trials[trial] = Row(found, 1.5)
        results.captures[trial.capture] = Row({}, 3.0, len(plan.photographs))
    if colours is not None:
        results.colours = {name: measures(colours) for name in plan.photographs}
        results.clicks[None] = {name: [(6, 10), (2, 4)] for name in plan.photographs}
    return results
