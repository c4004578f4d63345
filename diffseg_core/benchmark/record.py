"""A check as rows of plain values: JSON to be attached to an issue, without who made it or where.

It has the versions of DiffSeg and PyTorch, the kind of device, the model's architecture, number of parameters
and type of numbers, figures and seconds. It has no name of a file, a person or a checkpoint, no path
and no prompt; of errors their kind alone, as their text could name something.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..attention.capture_settings import CaptureSettings
from .measures import Measures, mean_of
from .trials import CheckResults, Row, Trial
from .verdicts import choose, finds_by_words

FORMAT, VERSION = "diffseg-check", 1
PLACES = 4  # of decimals
DEMO_MODEL = Path(__file__).parent / "demo_model.json"
"""The figures of the small model that ships with DiffSeg, beside which others are shown.

They were made once, by ``diffseg check --out diffseg_core/benchmark/demo_model.json``."""

Entry = dict[str, Any]


def record(results: CheckResults, diffseg_version: str) -> Entry:
    """All that was measured, as what JSON can hold.

    Args:
        results: of a check, or of one that was ended.
        diffseg_version: of the package.
    """
    model, plan, choice = results.model, results.plan, choose(results)
    default = {**trial_entry(results.default, results), "merge_threshold": plan.default_threshold}
    chosen = None
    if choice is not None:
        others = {"merge_threshold": choice.merge_threshold, "beats_colours": choice.beats_colours}
        chosen = {**trial_entry(choice.trial, results), **others}
    segments = {trial: row for trial, row in results.trials.items() if trial.method != "words"}
    return {
        "format": FORMAT,
        "version": VERSION,
        "diffseg": diffseg_version,
        "torch": str(torch.__version__),
        "host": model.host,
        "device": model.device,
        "model": {
            "architecture": model.architecture,
            "parameters": model.parameters,
            "dtype": model.dtype,
        },
        "quick": plan.is_quick,
        "complete": results.is_complete,
        "photographs": list(plan.photographs),
        "default": default,
        "chosen": chosen,
        "colours": _segments(results.colours),
        "trials": [
            {**trial_entry(trial, results), "seconds": row.seconds, **_segments(row.figures)}
            for trial, row in segments.items()
        ],
        "clicks": [
            {
                **({"method": "colours"} if trial is None else trial_entry(trial, results)),
                "most": plan.clicks,
                **dict(zip(("to_85", "to_90"), click_means(counts.values()), strict=True)),
                "by_photograph": counts,
            }
            for trial, counts in results.clicks.items()
        ],
        "words": [_words(trial, row, results) for trial, row in results.of("words").items()],
        "word_failures": [
            {**trial_entry(trial, results), "error": type(error).__name__}
            for trial, error in results.word_failures.items()
        ],
        "captures": [
            {
                **capture_entry(settings, results),
                "photographs": row.times,
                "seconds": row.seconds,
            }
            for settings, row in results.captures.items()
        ],
        "failures": [
            {**capture_entry(settings, results), "error": type(error).__name__}
            for settings, error in results.failures.items()
        ],
    }


def as_json(content: Entry) -> str:
    """A record as JSON of some ten kilobytes, with a line for each entry."""
    members = (f" {json.dumps(name)}: {_lines(_rounded(value))}" for name, value in content.items())
    return "{\n" + ",\n".join(members) + "\n}\n"


def capture_entry(settings: CaptureSettings, results: CheckResults) -> Entry:
    """The settings of a capture by name; of a UNet all layers are kept."""
    layers = {"layers": settings.layers} if results.model.is_transformer else {}
    return {"noise_level": settings.noise_level, **layers}


def trial_entry(trial: Trial, results: CheckResults) -> Entry:
    """A trial's settings by name."""
    others = {name: getattr(trial, name) for name in ("evidence", "threshold")}
    given = {name: value for name, value in others.items() if value is not None}
    return {**capture_entry(trial.capture, results), "method": trial.method, **given}


def click_means(counts: Iterable[Sequence[Sequence[int]]], most: int | None = None) -> list[float | None]:
    """The mean clicks to each of `clicks.WANTED` over all objects; None where there is none yet.

    Args:
        counts: of each photograph, for each object the clicks.
        most: as if no more had been made.
    """
    objects = [clicks for of_photograph in counts for clicks in of_photograph]
    if not objects:
        return [None, None]
    means: list[float | None] = np.minimum(objects, np.inf if most is None else most).mean(axis=0).tolist()
    return means


def demo_model_entries(photographs: Sequence[str], clicks: int) -> tuple[Entry, list[float | None]]:
    """Figures and clicks of the demo model, at the settings that suit it.

    Args:
        photographs: names of those that count.
        clicks: for each object, at most.
    """
    content = json.loads(DEMO_MODEL.read_text(encoding="utf-8"))
    keys = ("noise_level", "method", "evidence")
    trial, clicked = (
        next(
            entry for entry in content[kind] if all(entry.get(key) == content["chosen"][key] for key in keys)
        )
        for kind in ("trials", "clicks")
    )
    figures = {name: Measures(*trial["by_photograph"][name]) for name in photographs}
    counts = [clicked["by_photograph"][name] for name in photographs]
    return _segments(figures), click_means(counts, clicks)


def _segments(figures: Mapping[str, Measures]) -> Entry:
    """Means, and the four numbers of `Measures` for each photograph."""
    if not figures:
        return {"by_photograph": {}}
    mean = mean_of(figures.values())
    return {"score": mean.score, **mean._asdict(), "by_photograph": figures}


def _words(trial: Trial, row: Row, results: CheckResults) -> Entry:
    """Means, and for each photograph the numbers of `WordFigures` and its objects' gains, in order.

    ``finds`` is null but at the default capture, and there too where words were not measured on all
    photographs, or on too few.
    """
    is_judged = trial == results.default_words and trial in results.finished("words")
    return {
        **trial_entry(trial, results),
        "photographs": len(row.figures),
        "seconds": row.seconds,
        "finds": finds_by_words(row.gains) if is_judged else None,
        **mean_of(row.figures.values())._asdict(),
        "by_photograph": row.figures,
        "gains": {name: list(gains.values()) for name, gains in row.gains.items()},
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, PLACES) if isinstance(value, float) else value


def _lines(value: Any) -> str:
    """A list with a line for each entry, anything else on one line."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n  " + ",\n  ".join(map(_compact, value)) + "\n ]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
