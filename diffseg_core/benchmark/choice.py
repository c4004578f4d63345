"""Which of the settings that were tried suit the model, and whether it is of any use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .differences import clearly_above
from .measures import Measures
from .results import CheckResults, TrialResult
from .trials import Method, Trial

TIE = 0.01
"""By this much of the score other settings must be better than the default ones to be chosen: ten photographs
do not tell smaller differences."""
MARGIN, ERRORS = 0.02, 2.0
"""By this much the model's own score must be above that of colours alone, and by so many standard errors of
the difference over the photographs. The margin is greater than `TIE`, as the best of many settings is
compared; the errors keep a model with random weights, which may be better on one photograph, from passing."""


@dataclass(frozen=True)
class Choice:
    """What suits the model.

    Attributes:
        trial: the capture and the hierarchy's evidence.
        merge_threshold: for DiffSeg Segment at that capture; None where it was not tried.
        beats_colours: whether the model adds anything; None where colours alone were not measured yet.
    """

    trial: Trial
    merge_threshold: float | None
    beats_colours: bool | None


def best_trial(results: CheckResults) -> Trial | None:
    """The hierarchy with the best score of those that were made on all photographs; None before the first.

    The default one is kept unless another is better by `TIE`.
    """
    return _best(results.finished("hierarchy"), results.default)


def choose(results: CheckResults) -> Choice | None:
    """Choose by what was measured so far; None before anything was measured on all photographs."""
    trial = best_trial(results)
    if trial is None:
        return None
    merged = {
        each: result for each, result in results.finished("merging").items() if each.capture == trial.capture
    }
    method: Method = "merging"
    usual = Trial(trial.capture, method, threshold=results.plan.default_threshold)
    threshold = _best(merged, usual)
    return Choice(
        trial,
        None if threshold is None else threshold.threshold,
        beats(results.trials[trial].measures, results.colours),
    )


def beats(model: Mapping[str, Measures], colours: Mapping[str, Measures]) -> bool | None:
    """Whether a model is better than colours alone, see `MARGIN`.

    Args:
        model, colours: of the same photographs, by their names.

    Returns:
        None where colours alone were not measured on all of them.
    """
    if not model.keys() <= colours.keys():
        return None
    return clearly_above([model[name].score - colours[name].score for name in model], MARGIN, ERRORS)


def _best(results: Mapping[Trial, TrialResult], usual: Trial) -> Trial | None:
    if not results:
        return None
    best = max(results, key=lambda trial: results[trial].mean.score)  # the first of equals
    if usual in results and results[best].mean.score < results[usual].mean.score + TIE:
        return usual
    return best
