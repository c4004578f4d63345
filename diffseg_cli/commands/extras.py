"""What only some commands need, and which extra brings it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

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
            'Install them with the extra "eval" (pip install ".[eval]" in a clone of DiffSeg).'
        ) from error


def add_evaluation(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands of ``diffseg_eval``; where it is not installed, ones that say how to get it."""
    try:
        import_module("diffseg_eval.commands").add_parsers(commands)
    except ModuleNotFoundError:
        for name in ("evaluate", "compare"):
            parser = commands.add_parser(name, help='needs the extra "eval"', add_help=False)
            parser.add_argument("others", nargs=argparse.REMAINDER)
            parser.set_defaults(run=_refuse)


def _refuse(args: argparse.Namespace) -> int:
    with require_extra():
        import_module("diffseg_eval.commands")
    return 2
