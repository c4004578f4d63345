"""Which of the settings that were tried suit the model, whether it is of any use, and whether words are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .measures import Measures, mean_of
from .trials import COLOURS, CheckResults, Entry, Row, Trial

TIE = 0.01
"""By this much of the score other settings must be better than the default ones to be chosen: ten photographs
do not tell smaller differences."""
MARGIN, ERRORS = 0.02, 2.0
"""By this much the model's own score must be above that of colours alone, and by so many standard errors of
the difference over the photographs. The margin is greater than `TIE`, as the best of many settings is
compared; the errors keep a model with random weights, which may be better on one photograph, from passing."""
FEWEST = 6
"""Of fewer photographs nothing is said of words: models of random weights pass too often on them."""
WORD_MARGIN = 0.1
"""By this much the area under the curve of the objects' own names must be above that of others."""
LEVEL = 0.975
"""How much of Student's distribution lies below as many standard errors as words must exceed."""


def best_trial(results: CheckResults) -> Trial | None:
    """The hierarchy with the best score of those that were made on all photographs; None before the first.

    The default one is kept unless another is better by `TIE`.
    """
    return _best(results.finished("hierarchy"), results.default)


def choose(results: CheckResults) -> Entry | None:
    """What suits the model, by what was measured so far; None before anything was on all photographs.

    Returns:
        the settings of `best_trial` by name, as in a record; ``merge_threshold`` for DiffSeg Segment at that
        capture, None where it was not tried; ``beats_colours``, see `beats`.
    """
    trial = best_trial(results)
    if trial is None:
        return None
    merged = {key: row for key, row in results.finished("merging").items() if key.capture == trial.capture}
    usual = Trial("merging", trial.capture, threshold=results.plan.default_threshold)
    merging = _best(merged, usual)
    colours = results.rows.get(COLOURS, Row()).figures
    return {
        **trial.entry(),
        "merge_threshold": None if merging is None else merging.threshold,
        "beats_colours": beats(results.rows[trial].figures, colours),
    }


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


def finds_by_words(gains: Mapping[str, Mapping[str, float]]) -> bool | None:
    """Whether the objects' own names find them better than others do, by `WORD_MARGIN` and more than chance.

    Chance is Student's, over photographs and over names, and both must be passed. Objects of one photograph
    depend on one another, as they share a prompt and the other words; objects of one name depend on one
    another in all photographs, as a random model that happens to draw "sky" to the top does it everywhere: a
    name counts once, with the mean over its objects.

    Args:
        gains: by the photograph's and the object's name.

    Returns:
        None for fewer than `FEWEST` photographs.
    """
    from scipy.special import stdtrit

    if len(gains) < FEWEST:
        return None
    by_name: dict[str, list[float]] = {}
    for of_objects in gains.values():
        for name, gain in of_objects.items():
            by_name.setdefault(name, []).append(gain)
    over_photographs = [float(np.mean(list(of_objects.values()))) for of_objects in gains.values()]
    over_names = [float(np.mean(of_name)) for of_name in by_name.values()]
    return all(
        clearly_above(means, WORD_MARGIN, float(stdtrit(len(means) - 1, LEVEL)))
        for means in (over_photographs, over_names)
    )


def clearly_above(differences: Sequence[float], margin: float, errors: float) -> bool:
    """Whether the mean is above a margin, and above so many of its standard errors.

    Args:
        differences: at least one; of a single one the error is unknown, and only the margin counts.
        margin: that the mean must exceed.
        errors: how many standard errors it must exceed.
    """
    error = np.std(differences, ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return bool(np.mean(differences) > max(margin, errors * error))


def _best(rows: Mapping[Trial, Row], usual: Trial) -> Trial | None:
    scores = {trial: mean_of(row.figures.values()).score for trial, row in rows.items()}
    if not scores:
        return None
    best = max(scores, key=lambda trial: scores[trial])  # the first of equals
    return usual if usual in scores and scores[best] < scores[usual] + TIE else best
