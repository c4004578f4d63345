"""``diffseg check``: how well a model segments the photographs that come with DiffSeg, and what suits it."""

from __future__ import annotations

import argparse
import io
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from diffseg_core import __version__
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError

from ..batch.settings import DEMO, DEMO_CAPTURE, DEMO_MERGE
from . import options
from .options import only_given
from .progress import progress_bar

DESCRIPTION = """\
Runs a model over ten photographs that come with DiffSeg, at several noise levels and settings, compares the
segments with objects that people drew there, and says which settings suit the model.

The record (--out) can be attached to an issue: it has figures, times, versions and the model's architecture,
and no name of a file, a person or a checkpoint. After Ctrl+C it has what was measured until then.
"""
RECORD = Path("diffseg-check.json")
DONE, SOME_FAILED, INTERRUPTED = 0, 1, 130


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
    """Check, print the report, and write the files.

    Returns:
        the exit status: 0 if all was tried, 1 if some settings failed, 130 after an interrupt.

    Raises:
        DiffSegError: the model cannot be loaded, or nothing could be measured.
    """
    import torch

    from diffseg_core.benchmark.record import as_json, record
    from diffseg_core.benchmark.report import as_text, draw_sheet
    from diffseg_core.benchmark.run import Check, check_measured
    from diffseg_core.benchmark.trials import DEFAULT_LEVEL, DEFAULT_THRESHOLD, plan_for

    from ..batch.segmenter import CheckCapture

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    for path in filter(None, (args.out, args.sheet)):
        if path.is_dir():
            raise InvalidSettingError(f"Expected a file to write, got the folder {path}: name a file in it.")
    is_demo = args.model == DEMO
    settings = replace(
        DEMO_CAPTURE if is_demo else CaptureSettings(DEFAULT_LEVEL), **only_given(args, "working_size")
    )
    capture = CheckCapture(options.model_choice(args), settings)
    threshold = DEMO_MERGE.merge_threshold if is_demo else DEFAULT_THRESHOLD
    plan = plan_for(capture.model["is_transformer"], args.quick, settings, threshold)
    capture.encode_words(plan.photographs)
    bar = progress_bar(None, "steps")

    def on_step(done: int, total: int, what: str) -> None:
        bar.total = total
        bar.set_postfix_str(what, refresh=False)
        bar.update(done - bar.n)

    read_words = None if capture.no_words else capture.read_words
    check = Check(capture, capture.model, plan, on_step, read_words, capture.no_words)
    results = check.results
    with suppress(KeyboardInterrupt), bar:
        check.run()
    print(as_text(results, __version__))
    options.write_file(args.out, as_json(record(results, __version__)).encode())
    print(f"The record is in {args.out}: attach it to an issue to tell others how this model does.")
    if args.sheet is not None and results.labels:
        file = io.BytesIO()
        draw_sheet(results).save(file, "PNG")
        options.write_file(args.sheet, file.getvalue())
    if not results.is_complete:
        print("diffseg: interrupted; the record holds what was measured until then", file=sys.stderr)
        return INTERRUPTED
    check_measured(results)
    return SOME_FAILED if results.of("capture") else DONE
