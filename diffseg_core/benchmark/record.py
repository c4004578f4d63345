"""A check as rows of plain values: JSON to be attached to an issue, without who made it or where.

It has the versions of DiffSeg and PyTorch, the kind of device, the model's architecture, number of parameters
and type of numbers, figures and seconds. It has no name of a file, a person or a checkpoint, no path
and no prompt; of errors their kind alone, as their text could name something. It says which of the settings
that were tried suit the model, whether it is of any use, and whether words are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .measures import Measures, mean_of
from .trials import COLOURS, CheckResults, Entry, Row, Trial

FORMAT, VERSION = "diffseg-check", 2
PLACES = 4  # of decimals
DEMO_MODEL = Path(__file__).parent / "demo_model.json"
"""The figures of the small model that ships with DiffSeg, beside which others are shown.

They were made once, by ``diffseg check --out diffseg_core/benchmark/demo_model.json``."""

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


def record(results: CheckResults, diffseg_version: str) -> Entry:
    """All that was measured, as what JSON can hold.

    Args:
        results: of a check, or of one that was ended.
        diffseg_version: of the package.

    Returns:
        what was checked, the ``default`` and the ``chosen`` settings (null where there are none), and
        ``rows``: for each trial its settings (``noise_level``, ``layers``, ``method``, ``evidence``,
        ``threshold``), and as far as it has them

        - ``error``: the kind of error that ended it;
        - ``photographs``, ``seconds`` for each, the means of `Measures` with their ``score`` (or of
          `WordFigures`), and ``by_photograph`` the numbers of these, in order;
        - ``to_85`` and ``to_90``, the mean clicks to these IoUs, at ``most`` so many, and ``clicks``, for
          each object of each photograph;
        - of words ``gains`` of each object; ``finds`` at the default capture, where words were measured on
          all photographs: null where these are too few.
    """
    plan = results.plan
    return {
        "format": FORMAT,
        "version": VERSION,
        "diffseg": diffseg_version,
        "torch": str(torch.__version__),
        "model": results.model,
        "quick": plan.is_quick,
        "complete": results.is_complete,
        "photographs": list(plan.photographs),
        "default": {**results.default.entry(), "merge_threshold": plan.default_threshold},
        "chosen": choose(results),
        "rows": [
            _entry(trial, row, results) for trial, row in results.rows.items() if row.figures or row.error
        ],
    }


def as_json(content: Entry) -> str:
    """A record as JSON of some ten kilobytes, with a line for each row."""
    plain = json.loads(
        json.dumps(content, allow_nan=False), parse_float=lambda digits: round(float(digits), PLACES)
    )
    rows = ",\n ".join(json.dumps(row, separators=(",", ":")) for row in plain.pop("rows"))
    members = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in plain.items()]
    return "{" + ",\n ".join([*members, f'"rows": [\n {rows}\n ]']) + "\n}\n"


def click_means(counts: Iterable[Sequence[Sequence[int]]], most: int) -> dict[str, float]:
    """The mean clicks to each of `clicks.WANTED` over all objects.

    Args:
        counts: of each photograph, for each object the clicks; at least one.
        most: as if no more had been made.
    """
    objects = [clicks for of_photograph in counts for clicks in of_photograph]
    return dict(zip(("to_85", "to_90"), np.minimum(objects, most).mean(axis=0).tolist(), strict=True))


def key(entry: Entry) -> tuple[Any, ...]:
    """What tells the rows of a record apart."""
    return tuple(entry.get(name) for name in ("method", "noise_level", "layers", "evidence", "threshold"))


def demo_model_entry(photographs: Sequence[str], most: int) -> Entry:
    """The row of the demo model at the settings that suit it, as if fewer had been measured.

    Args:
        photographs: names of those that count.
        most: clicks for each object, at most.
    """
    content = json.loads(DEMO_MODEL.read_text(encoding="utf-8"))
    row = next(row for row in content["rows"] if key(row) == key(content["chosen"]))
    mean = mean_of(Measures(*row["by_photograph"][name]) for name in photographs)
    return {**mean._asdict(), **click_means((row["clicks"][name] for name in photographs), most)}


def _entry(trial: Trial, row: Row, results: CheckResults) -> Entry:
    entry = trial.entry()
    if row.error is not None:
        entry["error"] = type(row.error).__name__
    if row.figures:
        count, mean = len(row.figures), mean_of(row.figures.values())
        entry |= {"photographs": count, "seconds": row.seconds / count, **mean._asdict()}
        if isinstance(mean, Measures):
            entry["score"] = mean.score
        else:
            if trial.capture == results.plan.default and trial in results.finished("words"):
                entry["finds"] = finds_by_words(row.gains)
            entry["gains"] = {name: list(gains.values()) for name, gains in row.gains.items()}
        entry["by_photograph"] = row.figures
    if row.clicks:
        most = results.plan.clicks
        entry |= {**click_means(row.clicks.values(), most), "most": most, "clicks": row.clicks}
    return entry


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
