"""The figures of the small model that ships with DiffSeg, beside which others are shown.

They were made once, by ``diffseg check --out diffseg_core/benchmark/boxed_model.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .clicks import ClickCounts
from .measures import Measures
from .record import clicks_of, measures_of

FILE = Path(__file__).parent / "boxed_model.json"


@dataclass(frozen=True)
class BoxedModel:
    """Its figures at the settings that suit it.

    Attributes:
        measures: by the photograph's name.
        clicks: on the same photographs.
    """

    measures: dict[str, Measures]
    clicks: ClickCounts


def boxed_model(photographs: Sequence[str], clicks: int) -> BoxedModel | None:
    """The figures on some of the photographs.

    Args:
        photographs: their names.
        clicks: for each object, at most.

    Returns:
        None where they have not been made yet.
    """
    if not FILE.is_file():
        return None
    record = json.loads(FILE.read_text(encoding="utf-8"))
    measured = measures_of(_of_chosen(record, "trials"))
    counted = clicks_of(_of_chosen(record, "clicks"), clicks)
    return BoxedModel(
        {name: measured[name] for name in photographs},
        ClickCounts(counted.most, {name: counted.counts[name] for name in photographs}),
    )


def _of_chosen(record: dict[str, Any], kind: str) -> dict[str, Any]:
    """The entry of the settings that were chosen."""
    keys = ("noise_level", "method", "evidence")
    chosen = [record["chosen"][key] for key in keys]
    entry: dict[str, Any] = next(each for each in record[kind] if [each.get(key) for key in keys] == chosen)
    return entry
