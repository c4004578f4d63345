"""The command ``diffseg``: options and printing; the work is done by `batch`, and by `diffseg_eval`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from diffseg_core import __version__
from diffseg_core.errors import DiffSegError

from . import check, segment

REFUSED, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: what follows the program's name; that of the process if None.

    Returns:
        the exit status: 0 if all is done, 1 if some images failed, 2 if nothing could be done, 130 after
        an interrupt from the keyboard.
    """
    parser = argparse.ArgumentParser(
        prog="diffseg",
        description="Segments of everything in images, from a Stable Diffusion model's self-attention.",
    )
    parser.add_argument("--version", action="version", version=f"diffseg {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    segment.add_parser(commands)
    with suppress(ModuleNotFoundError):  # it comes with the extra "eval"
        import_module("diffseg_eval.commands").add_parsers(commands)
    check.add_parser(commands)
    args = parser.parse_args(argv)
    try:
        status: int = args.run(args)
    except DiffSegError as error:
        print(f"diffseg: {error}", file=sys.stderr)
        return REFUSED
    except ImportError as error:
        print(
            f"diffseg: Expected the libraries that load models and measure segments, got: {error}. Install "
            'them with the extras "cli" and "eval" (pip install ".[cli,eval]" in a clone of DiffSeg).',
            file=sys.stderr,
        )
        return REFUSED
    except KeyboardInterrupt:
        print("diffseg: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return INTERRUPTED
    return status
