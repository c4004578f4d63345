"""A crew of one: this process, unit after unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from diffseg_core.errors import DiffSegError

from .crew import Outcome, Unit, Worker


class LocalCrew:
    """Does the units in order, in this process."""

    def run(self, make_worker: Callable[[], Worker[Unit]], units: Sequence[Unit]) -> Iterator[Outcome]:
        """See `Crew.run`. Without units no worker is made; what making it raises ends the run."""
        if units:
            worker = make_worker()
            for unit in units:
                yield attempt(worker, unit)


def attempt(worker: Worker[Unit], unit: Unit) -> Outcome:
    """Let a worker do one unit; an exception becomes the outcome's error, an interrupt goes on."""
    try:
        worker(unit)
    except Exception as error:  # whatever one picture does must not end the run of a thousand
        return Outcome(str(unit), in_one_line(error))
    return Outcome(str(unit))


def in_one_line(error: Exception) -> str:
    """What went wrong, for people; errors that are not DiffSeg's own say of what type they are."""
    text = " ".join(str(error).split())
    if isinstance(error, DiffSegError) and text:
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name
