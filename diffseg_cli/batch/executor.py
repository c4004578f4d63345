"""Who does the work of a run: the contract between a run and those that carry it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Worker = Callable[[Task], str | None]
"""Does one task and writes its result whole or not at all; raises if the task cannot be done.

Returns what is worth telling of it, in one line, if anything is.
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one task.

    Attributes:
        name: of the task, human-readable (``str(task)``).
        error: why it failed, in one line; None if its result is written.
        note: what is worth telling of it, in one line.
    """

    name: str
    error: str | None = None
    note: str | None = None


class Executor(Protocol):
    """One process, or many on many machines."""

    def run(self, make_worker: Callable[[], Worker[Task]], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Do every task, in any order; yields as they come.

        Args:
            make_worker: makes a worker, expensively (it may load a model): called once per process, and
                pickled on its way to other machines.
            tasks: what to do; pickled too. ``str(task)`` is its human-readable name.

        Yields:
            one outcome per task. A task that raises does not end the run.
        """
        ...
