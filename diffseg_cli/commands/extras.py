"""Libraries that only some commands need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffseg_core.errors import InvalidSettingError


@contextmanager
def require_extra() -> Iterator[None]:
    """Say of imports that fail what to do about them.

    Raises:
        InvalidSettingError: a library is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise InvalidSettingError(
            f"Expected the libraries that measure segments, got: {error}. "
            'Install them with the extra "cli" (pip install ".[cli]" in a clone of DiffSeg).'
        ) from error
