"""Who does the work of a run: the contract between a run and those that carry it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

Unit = TypeVar("Unit")
Worker = Callable[[Unit], None]
"""Does one unit of work and writes its result whole or not at all; raises if the unit cannot be done."""


@dataclass(frozen=True)
class Outcome:
    """What became of one unit of work.

    Attributes:
        name: of the unit, for people (``str(unit)``).
        error: why it failed, in one line; None if its result is written.
    """

    name: str
    error: str | None = None


class Crew(Protocol):
    """One process, or many on many machines."""

    def run(self, make_worker: Callable[[], Worker[Unit]], units: Sequence[Unit]) -> Iterator[Outcome]:
        """Do every unit, in any order; yields as they come.

        Args:
            make_worker: makes a worker, expensively (it may load a model): called once per process, and
                pickled on its way to other machines.
            units: what to do; pickled too. ``str(unit)`` names one for people.

        Yields:
            one outcome per unit. A unit that raises does not end the run.
        """
        ...
