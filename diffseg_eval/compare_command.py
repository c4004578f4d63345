"""``diffseg compare``: whether one method is better than another on the same images."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from diffseg_cli.commands.extras import require_extra
from diffseg_core.errors import InvalidSettingError

DESCRIPTION = """\
Compares runs of diffseg evaluate with the first one named, on the images that all have measured: the
difference of every metric, the interval that holds it with 95 % confidence (bootstrap over the images),
and on how many images it is better and worse.

RUN is the folder of a run, and stands for its first method; RUN:METHOD is any row of its table, as in
runs/bsds500-demo:slic:8, so that methods of one run can be compared as well.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``diffseg``."""
    parser = commands.add_parser(
        "compare",
        help="compare runs of evaluate, with confidence intervals",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN[:METHOD]", help="the first, and those to compare with it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the metrics to FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare.

    Returns:
        the exit status, 0.

    Raises:
        DiffSegError: fewer than two, or runs that cannot be compared.
    """
    with require_extra():
        from .comparison import compare, difference_table, resolve_run_method, shared_images

    if len(args.runs) < 2:
        raise InvalidSettingError(f"Expected two runs or more to compare, got {args.runs[0]} alone.")
    first, *others = map(resolve_run_method, args.runs)
    images = shared_images([first, *others])
    comparisons = []
    for other in others:
        differences = compare(first, other, images)
        print(f"{other} against {first}, {len(images):,} images\n\n{difference_table(differences)}\n")
        comparisons.append(
            {"other": str(other), "metrics": [asdict(difference) for difference in differences]}
        )
    if args.json is not None:
        _write(args.json, {"first": str(first), "pictures": images, "comparisons": comparisons})
    return 0


def _write(path: Path, content: object) -> None:
    from diffseg_core.output.atomic_files import write_atomic

    try:
        write_atomic(path.expanduser().resolve(), (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise InvalidSettingError(f"Expected a file that can be written after --json: {error}.") from error
