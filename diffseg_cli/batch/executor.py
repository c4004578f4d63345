"""Who does the work of a run: one process, this one, or others by the same contract (`run_with_ray`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from diffseg_core.errors import DiffSegError

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


class ExecutorError(DiffSegError, RuntimeError):
    """The processes that share the work of a run cannot be had."""


Execute = Callable[[Callable[[], Worker[Any]], Sequence[Any]], Iterator[Outcome]]
"""Does every task, in any order, and yields one outcome for each as they come; one that raises does not end
the run. What makes a worker may load a model: it is called once per process, and pickled on its way to other
machines, as the tasks are. Without tasks no worker is made; what making it raises ends the run.
"""


def run_locally(
    make_worker: Callable[[], Worker[Task]], tasks: Sequence[Task], threads: int | None = None
) -> Iterator[Outcome]:
    """Do tasks in order, in this process, see `Execute`; with so many CPU threads, None for those it has."""
    if not tasks:
        return
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    worker = make_worker()
    for task in tasks:
        yield attempt(worker, task)


def attempt(worker: Worker[Task], task: Task) -> Outcome:
    """Let a worker do one task; an exception becomes the outcome's error, an interrupt goes on."""
    try:
        note = worker(task)
    except Exception as error:  # whatever one image does must not end the run of a thousand
        return Outcome(str(task), in_one_line(error))
    return Outcome(str(task), note=note)


def in_one_line(error: Exception) -> str:
    """What went wrong, in one line; errors that are not DiffSeg's own say of what type they are."""
    text = " ".join(str(error).split())
    if isinstance(error, DiffSegError) and text:
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name
