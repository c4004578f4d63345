"""How far a run has come, on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..batch.executor import Outcome

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """A bar on a terminal, else a line now and then, from the second thing that is done on.

    Args:
        noun: what things are.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._bar: Any = None  # tqdm's
        self._first: float | None = None
        self._written = 0.0

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """Say how many are done, the rate and the time left."""
        if sys.stderr.isatty():
            if self._bar is None:
                from tqdm import tqdm

                self._bar = tqdm(total=total, unit=f" {self._noun}", dynamic_ncols=True)
            self._bar.set_postfix_str(what, refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if self._first is None:
            self._first = self._written = now  # before it the model was loaded
        elif now - self._written >= SECONDS_BETWEEN_LINES and done < total:
            line = progress_line(done, total, now - self._first, self._noun)
            print(f"{line}: {what}" if what else line, file=sys.stderr, flush=True)
            self._written = now

    def close(self) -> None:
        """Leave the bar where it is."""
        if self._bar is not None:
            self._bar.close()


def show_progress(outcomes: Iterator[Outcome], total: int, noun: str = "images") -> Iterator[Outcome]:
    """Hand on the outcomes of an executor, and show how far it has come."""
    progress = Progress(noun)
    for done, outcome in enumerate(outcomes, start=1):
        progress(done, total)
        yield outcome
    progress.close()


def progress_line(done: int, total: int, seconds: float, noun: str) -> str:
    """One human-readable line.

    Args:
        done: at least 2.
        total: of them all.
        seconds: since the first was done.
        noun: what they are.

    >>> progress_line(31, 101, 60.0, "images")
    '31 of 101 images, 0.50 a second, 2:20 left'
    """
    rate = (done - 1) / seconds
    minutes, rest = divmod(round((total - done) / rate), 60)
    return f"{done:,} of {total:,} {noun}, {rate:.2f} a second, {minutes}:{rest:02} left"


def print_notes(outcomes: Sequence[Outcome]) -> None:
    """What is worth telling of those that are done, a line each, on standard output."""
    for outcome in outcomes:
        if outcome.note is not None:
            print(f"  {outcome.name}: {outcome.note}")


def print_failures(failures: Sequence[Outcome], total: int, noun: str = "images") -> None:
    """What could not be done, a line each, on standard error."""
    if failures:
        print(f"{len(failures):,} of {total:,} {noun} failed:", file=sys.stderr)
    for failure in failures:
        reason = (failure.error or "").removeprefix(f"{failure.name}: ")
        print(f"  {failure.name}: {reason}", file=sys.stderr)
