"""How far a run has come, on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

from ..batch.executor import Outcome

SECONDS_BETWEEN_LINES = 30.0


def show_progress(outcomes: Iterator[Outcome], total: int, noun: str = "images") -> Iterator[Outcome]:
    """Hand on the outcomes of an executor, and show how many there are, the rate and the time left."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(outcomes, total=total, unit=f" {noun}", dynamic_ncols=True)
        return
    first = written = 0.0
    for done, outcome in enumerate(outcomes, start=1):
        now = time.monotonic()
        if done == 1:
            first = written = now  # before it the model was loaded
        elif now - written >= SECONDS_BETWEEN_LINES and done < total:
            print(progress_line(done, total, now - first, noun), file=sys.stderr, flush=True)
            written = now
        yield outcome


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
