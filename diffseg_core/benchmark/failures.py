"""After what a check goes on: what a model may raise, and too little memory. Errors of ours end it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..errors import CaptureError, DiffSegError
from .trials import CheckResults, Trial

NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|bad_alloc", re.IGNORECASE)


@contextmanager
def by_model() -> Iterator[None]:
    """Around a call of the model: what PyTorch raises there is the model's, and told as such.

    Raises:
        CaptureError: for a RuntimeError; one of memory stays what it is.
    """
    try:
        yield
    except RuntimeError as error:
        if is_failure(error):
            raise
        # Tracebacks keep tensors.
        raise CaptureError(
            f"Expected a model that runs with these settings, got {type(error).__name__}: {error}."
        ) from error.with_traceback(None)


@contextmanager
def noted(results: CheckResults, trial: Trial) -> Iterator[None]:
    """Around the work for a trial: its failure is noted in its row, and all other errors go through."""
    try:
        yield
    except (DiffSegError, MemoryError, RuntimeError) as error:
        if not is_failure(error):
            raise
        results.row(trial).error = error.with_traceback(None)  # which would keep the tensors


def is_failure(error: BaseException) -> bool:
    """Whether it is DiffSeg's own word, or memory that does not suffice: an interrupt is neither."""
    if isinstance(error, DiffSegError | MemoryError | torch.OutOfMemoryError):
        return True
    # What CPUs and some devices run out of is a plain RuntimeError.
    return isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)) is not None
