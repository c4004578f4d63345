"""What only some commands need, and which extra brings it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Protocol

from diffseg_core.errors import InvalidSettingError


class Command(Protocol):
    """A command of ``diffseg``."""

    def add_parser(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add it to the others, with the function that runs it as ``run``."""


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


def evaluation_command(name: str) -> Command | ModuleType:
    """A command of ``diffseg_eval``, where that package is there; else one that says how to get it."""
    try:
        return import_module(f"diffseg_eval.{name}_command")
    except ModuleNotFoundError:
        return _Missing(name)


class _Missing:
    """In place of a command whose package is not installed.

    Args:
        name: of the command.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def add_parser(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the name alone; whatever follows it is refused when it runs."""
        parser = commands.add_parser(self._name, help='needs the extra "eval"', add_help=False)
        parser.add_argument("others", nargs=argparse.REMAINDER)
        parser.set_defaults(run=self._run)

    def _run(self, args: argparse.Namespace) -> int:
        with require_extra():
            return int(import_module(f"diffseg_eval.{self._name}_command").run(args))
