"""The last result of every benchmark, in a file beside the page that shows them.

A benchmark that is left out of a run keeps its result, with the occasion of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from .beside_reference import BesideReference
from .captured_step import CapturedStep
from .demo_model import DemoModel
from .large_images import LargeImageRow
from .machine import Occasion
from .scaling import ScalingRow
from .timing import Spread

Result = TypeVar("Result")


@dataclass(frozen=True)
class Measured(Generic[Result]):
    """A result, and when and on what it was measured."""

    result: Result
    occasion: Occasion


@dataclass(frozen=True)
class Record:
    """Every benchmark's last result; None where there is none."""

    captured_step: Measured[CapturedStep] | None = None
    reference: Measured[BesideReference] | None = None
    scaling: Measured[tuple[ScalingRow, ...]] | None = None
    large_images: Measured[tuple[LargeImageRow, ...]] | None = None
    demo_model: Measured[DemoModel] | None = None

    @property
    def occasions(self) -> list[Occasion]:
        """Of all results, without the empty ones."""
        every = (getattr(self, field.name) for field in fields(self))
        return [measured.occasion for measured in every if measured is not None]


def save(record: Record, path: Path) -> None:
    """Write a record, replacing the one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(record), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> Record:
    """Read a record; an empty one where there is no file."""
    if not path.is_file():
        return Record()
    values = json.loads(path.read_text(encoding="utf-8"), object_hook=_with_spreads)
    return Record(
        captured_step=_measured(CapturedStep, values["captured_step"]),
        reference=_measured(BesideReference, values["reference"]),
        scaling=_measured(_rows_of(ScalingRow), values["scaling"]),
        large_images=_measured(_rows_of(LargeImageRow), values.get("large_images")),
        demo_model=_measured(DemoModel, values["demo_model"]),
    )


def _measured(make: Any, value: dict[str, Any] | None) -> Measured[Any] | None:
    if value is None:
        return None
    result = value["result"]
    made = make(**result) if isinstance(result, dict) else make(result)
    return Measured(made, Occasion(**value["occasion"]))


def _rows_of(row: Callable[..., Any]) -> Callable[[list[dict[str, Any]]], tuple[Any, ...]]:
    return lambda rows: tuple(row(**values) for values in rows)


def _with_spreads(value: dict[str, Any]) -> Any:
    """An object of JSON; a `Spread` where it has the keys of one."""
    return Spread(**value) if value.keys() == {field.name for field in fields(Spread)} else value
