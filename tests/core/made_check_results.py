"""Results of checks that were never made."""

from __future__ import annotations

from collections.abc import Mapping

from diffseg_core.benchmark.measures import Measures
from diffseg_core.benchmark.trials import (
    COLOURS,
    CaptureSettings,
    CheckResults,
    Plan,
    Row,
    Trial,
)

PHOTOGRAPHS = ("cat", "coffee", "lake")
MODEL = {
    "architecture": "SD15",
    "parameters": 859_520_964,
    "dtype": "float16",
    "device": "cuda",
    "is_transformer": False,
    "host": "ComfyUI",
}


def measures(score: float) -> Measures:
    """Some with this score."""
    return Measures(score + 0.01, score - 0.01, score / 2, 7.0)


def hierarchy(level: int, evidence: str = "attention", blocks: str = "recommended") -> Trial:
    return Trial("hierarchy", CaptureSettings(level, layers=blocks), evidence)  # type: ignore[arg-type]


def merging(level: int, threshold: float) -> Trial:
    return Trial("merging", CaptureSettings(level), threshold=threshold)


def made_results(
    scores: Mapping[Trial, float],
    colours: float | None = 0.4,
    complete: bool = True,
) -> CheckResults:
    """Results in which every photograph has the same score, by the trial."""
    plan = Plan(photographs=PHOTOGRAPHS)
    results = CheckResults(MODEL, plan, is_complete=complete)
    for trial, score in scores.items():
        results.rows[trial] = Row({name: measures(score) for name in PHOTOGRAPHS}, 4.5)
    if colours is not None:
        figures = {name: measures(colours) for name in PHOTOGRAPHS}
        results.rows[COLOURS] = Row(figures, clicks={name: [(6, 10), (2, 4)] for name in PHOTOGRAPHS})
    return results
