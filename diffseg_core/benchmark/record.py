"""A check as rows of plain values: JSON to be attached to an issue, without who made it or where.

It has the versions of DiffSeg and PyTorch, the kind of device, the model's architecture, number of parameters
and type of numbers, figures and seconds. It has no name of a file, a person or a checkpoint, no path
and no prompt; of errors their kind alone, as their text could name something.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .measures import Measures, mean_of
from .trials import CheckResults, Entry, Row, Trial
from .verdicts import choose, finds_by_words

FORMAT, VERSION = "diffseg-check", 2
PLACES = 4  # of decimals
DEMO_MODEL = Path(__file__).parent / "demo_model.json"
"""The figures of the small model that ships with DiffSeg, beside which others are shown.

They were made once, by ``diffseg check --out diffseg_core/benchmark/demo_model.json``."""


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
