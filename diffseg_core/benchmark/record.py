"""A check as JSON: to be attached to an issue, with nothing in it that tells who made it or where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from ..attention.capture_settings import CaptureSettings
from .choice import choose
from .clicks import ClickCounts
from .measures import Measures, mean_of
from .results import CheckResults
from .trials import Trial
from .word_verdict import finds_by_words
from .words import WordMeans, WordResult, WordTrial

FORMAT, VERSION = "diffseg-check", 1
PLACES = 4  # of decimals


def as_json(results: CheckResults, diffseg_version: str) -> str:
    """All that was measured, in JSON of some ten kilobytes.

    Records of earlier releases have no ``words``; the rest is the same.

    It has the versions of DiffSeg and PyTorch, the kind of device, the model's architecture, number of
    parameters and type of numbers, figures, seconds and memory. It has no name of a file, a person or a
    checkpoint, no path and no prompt; of errors their kind alone, as their text could name something.

    Args:
        results: of a check, or of one that was ended.
        diffseg_version: of the package.
    """
    model, plan = results.model, results.plan
    choice = choose(results)
    content: dict[str, Any] = {
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
        "default": {**_trial(results.default, results), "merge_threshold": plan.default_threshold},
        "chosen": None
        if choice is None
        else {
            **_trial(choice.trial, results),
            "merge_threshold": choice.merge_threshold,
            "beats_colours": choice.beats_colours,
        },
        "colours": _measures(results.colours),
        "trials": [
            {**_trial(each.trial, results), "seconds": round(each.seconds, 2), **_measures(each.measures)}
            for each in results.trials.values()
            if each.measures
        ],
        "clicks": [_clicks(trial, counts, results) for trial, counts in results.clicks.items()],
        "words": [_words(each, results) for each in results.words.values()],
        "word_failures": [
            {**_word_trial(trial, results), "error": type(error).__name__}
            for trial, error in results.word_failures.items()
        ],
        "captures": [
            {
                **_capture(settings, results),
                "photographs": cost.captured,
                "seconds": round(cost.seconds, 2),
                "peak_memory_mb": None if cost.peak_memory is None else round(cost.peak_memory / 2**20),
            }
            for settings, cost in results.costs.items()
        ],
        "failures": [
            {**_capture(settings, results), "error": type(error).__name__}
            for settings, error in results.failures.items()
        ],
    }
    members = (f" {json.dumps(name)}: {_lines(value)}" for name, value in content.items())
    return "{\n" + ",\n".join(members) + "\n}\n"


def measures_of(entry: Mapping[str, Any]) -> dict[str, Measures]:
    """What `as_json` wrote of one trial, by the photograph's name."""
    return {name: Measures(*values) for name, values in entry["by_photograph"].items()}


def clicks_of(entry: Mapping[str, Any], most: int) -> ClickCounts:
    """What `as_json` wrote of clicks, as if no more than ``most`` had been made."""
    counts = {
        name: [tuple(min(each, most) for each in one) for one in every]
        for name, every in entry["by_photograph"].items()
    }
    return ClickCounts(min(most, entry["most"]), counts)


def _lines(value: Any) -> str:
    """A list with a line for each entry, anything else on one line."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n  " + ",\n  ".join(_compact(each) for each in value) + "\n ]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _capture(settings: CaptureSettings, results: CheckResults) -> dict[str, Any]:
    layers = {"layers": settings.layers} if results.model.is_transformer else {}
    return {"noise_level": settings.noise_level, **layers}


def _trial(trial: Trial, results: CheckResults) -> dict[str, Any]:
    told: dict[str, Any] = {**_capture(trial.capture, results), "method": trial.method}
    if trial.method == "hierarchy":
        told["evidence"] = trial.evidence
    if trial.threshold is not None:
        told["threshold"] = trial.threshold
    return told


def _measures(measures: Mapping[str, Measures]) -> dict[str, Any]:
    """Means, and the four numbers of `Measures` for each photograph."""
    if not measures:
        return {"by_photograph": {}}
    mean = mean_of(measures.values())
    by_photograph = {name: list(_rounded(each).values()) for name, each in measures.items()}
    return {"score": round(mean.score, PLACES), **_rounded(mean), "by_photograph": by_photograph}


def _rounded(measures: Measures | WordMeans) -> dict[str, float]:
    return {name: round(value, PLACES) for name, value in vars(measures).items()}


def _words(result: WordResult, results: CheckResults) -> dict[str, Any]:
    """Means, and for each photograph the numbers of `WordMeans`, and the gains of its objects in their order.

    ``finds`` is null but for what DiffSeg Find by Words does, and there too where it was not measured on all
    photographs, or on too few.
    """
    figures = result.figures
    is_judged = result.trial == results.words_of_node and result.trial in results.finished_words
    return {
        **_word_trial(result.trial, results),
        "photographs": len(figures),
        "seconds": round(result.seconds, 2),
        "finds": finds_by_words(figures) if is_judged else None,
        **_rounded(result.mean),
        "by_photograph": {name: list(_rounded(each.means).values()) for name, each in figures.items()},
        "gains": {
            name: [round(gain, PLACES) for gain in each.gains.values()] for name, each in figures.items()
        },
    }


def _word_trial(trial: WordTrial, results: CheckResults) -> dict[str, Any]:
    return {**_capture(trial.capture, results), "way": trial.way}


def _clicks(trial: Trial | None, counts: ClickCounts, results: CheckResults) -> dict[str, Any]:
    whose = {"method": "colours"} if trial is None else _trial(trial, results)
    means = [round(mean, PLACES) for mean in counts.means] if counts.counts else [None, None]
    return {
        **whose,
        "most": counts.most,
        "to_85": means[0],
        "to_90": means[1],
        "by_photograph": counts.counts,
    }
