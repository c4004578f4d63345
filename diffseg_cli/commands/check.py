"""``diffseg check``: how well a model segments the photographs that come with DiffSeg, and what suits it."""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffseg_core import __version__
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError

from ..batch.settings import DEMO, DEMO_CAPTURE, DEMO_MERGE
from . import options
from .progress import progress_bar

if TYPE_CHECKING:
    from diffseg_core.benchmark.trials import CheckResults

DESCRIPTION = """\
Runs a model over ten photographs that come with DiffSeg, at several noise levels and settings, and compares
the segments with objects that people drew there: beside those of the demo model, and of colours
alone, which any model should beat. Says which settings suit the model.

The record (--out) can be attached to an issue: it has figures, times, the versions of DiffSeg and
PyTorch, and the model's architecture, and no name of a file, a person or a checkpoint.

It can be stopped with Ctrl+C: what was measured until then is printed and written.
"""
RECORD = Path("diffseg-check.json")
DONE, SOME_FAILED, STOPPED = 0, 1, 130


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``diffseg``."""
    parser = commands.add_parser(
        "check",
        help="measure how well your model segments, and which settings suit it",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=RECORD, metavar="FILE", help=f"the record, as JSON ({RECORD})"
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="also draw the photographs with the segments found (PNG)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="four photographs and few settings, to see whether all goes well",
    )
    working_size = {"working_size": options.CAPTURE["working_size"]}
    options.add_settings(parser, working_size, CaptureSettings(), DEMO_CAPTURE)
    options.add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check.

    Returns:
        the exit status: 0 if all was tried, 1 if some settings failed, 130 after an interrupt.

    Raises:
        DiffSegError: the model cannot be loaded, or nothing could be measured.
    """
    import torch

    from diffseg_core.benchmark.run import Check, check_measured
    from diffseg_core.benchmark.trials import DEFAULT_LEVEL, plan_for

    from ..batch.check_capture import CheckCapture

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    for path in filter(None, (args.out, args.sheet)):
        if path.is_dir():
            raise InvalidSettingError(f"Expected a file to write, got the folder {path}: name a file in it.")
    is_demo = args.model == DEMO
    base = DEMO_CAPTURE if is_demo else CaptureSettings()
    if args.working_size is not None:
        base = replace(base, working_size=args.working_size)
    capture = CheckCapture(options.model_choice(args), base)
    plan = plan_for(
        capture.model.is_transformer,
        quick=args.quick,
        default_level=DEFAULT_LEVEL if base.noise_level is None else base.noise_level,
        **({"default_threshold": DEMO_MERGE.merge_threshold} if is_demo else {}),
    )
    capture.encode_words(plan.photographs)
    bar = progress_bar(None, "steps")

    def on_step(done: int, total: int, what: str) -> None:
        bar.total = total
        bar.set_postfix_str(what, refresh=False)
        bar.update(done - bar.n)

    check = Check(
        capture,
        capture.model,
        plan,
        on_step,
        read_words=None if capture.no_words else capture.read_words_in,
        no_words=capture.no_words,
    )
    status = DONE
    try:
        results = check.run()
    except KeyboardInterrupt:
        results, status = check.results, STOPPED
    bar.close()
    _hand_out(results, args)
    if status == STOPPED:
        print("diffseg: interrupted; the record holds what was measured until then", file=sys.stderr)
        return status
    check_measured(results)
    return SOME_FAILED if results.failures else DONE


def _hand_out(results: CheckResults, args: argparse.Namespace) -> None:
    """Print the report, and write the files."""
    from diffseg_core.benchmark.record import as_json, record
    from diffseg_core.benchmark.report import as_text, draw_sheet

    print(as_text(results, __version__))
    options.write_file(args.out, as_json(record(results, __version__)).encode())
    print(f"The record is in {args.out}: attach it to an issue to tell others how this model does.")
    if args.sheet is not None and results.labels:
        from PIL import Image

        file = io.BytesIO()
        pixels = (draw_sheet(results)[0] * 255).round().byte().numpy()
        Image.fromarray(pixels).save(file, "PNG")
        options.write_file(args.sheet, file.getvalue())
