"""An executor of one process: this one, task after task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from diffseg_core.errors import DiffSegError

from .executor import Outcome, Task, Worker


class LocalExecutor:
    """Does tasks in order, in this process."""

    def run(self, make_worker: Callable[[], Worker[Task]], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """See `Executor.run`. Without tasks no worker is made; what making it raises ends the run."""
        if tasks:
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
