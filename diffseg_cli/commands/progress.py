"""How far a run has come, and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ..batch.executor import Outcome

SECONDS_BETWEEN_LINES = 30.0


def progress_bar(total: int | None, noun: str) -> Any:
    """Tqdm's bar, on standard error; where that is no terminal, a line now and then of what takes long.

    Args:
        total: how many things there are to do; None where it is not known yet.
        noun: what they are.
    """
    from tqdm import tqdm

    seconds = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    delay = 0.0 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    return tqdm(total=total, unit=f" {noun}", dynamic_ncols=True, mininterval=seconds, delay=delay)


def show_progress(outcomes: Iterator[Outcome], total: int, noun: str = "images") -> Iterator[Outcome]:
    """Hand on the outcomes of an executor, and show how far it has come."""
    with progress_bar(total, noun) as bar:
        for outcome in outcomes:
            bar.update()
            yield outcome


def print_failures(failures: Sequence[Outcome], total: int, noun: str = "images") -> None:
    """What could not be done, a line each, on standard error."""
    if failures:
        print(f"{len(failures):,} of {total:,} {noun} failed:", file=sys.stderr)
    for failure in failures:
        reason = (failure.error or "").removeprefix(f"{failure.name}: ")
        print(f"  {failure.name}: {reason}", file=sys.stderr)
