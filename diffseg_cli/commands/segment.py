"""``diffseg segment``: the segments of many images, as files."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from diffseg_core.errors import InvalidSettingError

from . import options

DESCRIPTION = """\
Segments images, and writes for each a label map (NAME_labels.png, 16-bit grey: a segment's index + 1), an
overlay to look at (NAME_overlay.png), areas, boxes and masks (NAME_segments.json, COCO instances), and the
same for COCO's panoptic tools (NAME_panoptic.json, NAME_panoptic.png). At the end, panoptic.json and
instances.json hold the annotations of all images in the output folder.

Inputs are files and folders (searched with all below them). NAME is the path below the folder, without the
ending. A run that was stopped goes on where it stopped, by the same command. Images that cannot be read are
listed at the end, and the exit status is then 1.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``diffseg``."""
    parser = commands.add_parser(
        "segment",
        help="segment images into label maps, overlays and COCO annotations",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="an image or a folder")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument(
        "--save-masks", action="store_true", help="write each mask to a file too: NAME_masks/000.png …"
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="DIR",
        help="find one object in each image instead, by clicks, boxes and strokes in DIR/NAME.json, such as "
        '[{"x": 120, "y": 80}, {"box": [10, 20, 200, 150]}] (points of DiffSeg Select Segments)',
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="do images again that are done, with any settings"
    )
    options.add_model_options(parser)
    options.add_capture_options(parser)
    options.add_segment_options(parser)
    options.add_word_options(parser).add_argument(
        "--words",
        metavar="WORDS",
        help="find what these mean in each image, by the model's own attention to text: classes as in \"cup, "
        'table", words of one class as in "cup|mug, table", !hand for what is never chosen, (cup:1.3) for a '
        "word's weight, which Qwen-Image leaves out; in a text of several lines, a class in each and commas "
        "between its words",
    )
    options.add_executor_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segment the images.

    Returns:
        the exit status: 0 if all are done, 1 if some failed.

    Raises:
        DiffSegError: the run as a whole is not possible.
    """
    from ..batch.discovery import count_endings, find_images
    from ..batch.segment_run import RunSettings, SegmentWorker, finish_run, prepare_run
    from .progress import print_failures, show_progress

    out = args.out.expanduser().resolve()
    execute = options.make_executor(args)
    prompts = None if args.prompts is None else args.prompts.expanduser().resolve()
    if prompts is not None and not prompts.is_dir():
        raise InvalidSettingError(f"Expected a folder of prompts after --prompts, got {args.prompts}.")
    words = options.word_search(args)
    if words is not None and prompts is not None:
        raise InvalidSettingError("Expected --words or --prompts, got both. Leave one of them out.")
    if (prompts is not None or words is not None) and args.height is None and args.granularity is None:
        args.granularity = 0  # objects are found in a hierarchy, whatever its cut
    settings = RunSettings(
        options.model_choice(args),
        options.capture_settings(args),
        options.segment_settings(args),
        args.save_masks,
        prompts,
        words,
    )
    no_images: set[Path] = set()
    images = find_images(args.inputs, out, no_images)
    remaining = prepare_run(images, out, settings, args.overwrite)
    outcomes = execute(partial(SegmentWorker, settings, out), remaining)
    done = list(show_progress(outcomes, len(remaining)))
    failures = [outcome for outcome in done if outcome.error is not None]
    passed_over = f"; other files, passed over: {count_endings(no_images)}" if no_images else ""
    print(
        f"Images: {len(images):,}; segmented into {args.out}: {len(remaining) - len(failures):,}; "
        f"done before: {len(images) - len(remaining):,}{passed_over}"
    )
    for outcome in done:
        if outcome.note is not None:
            print(f"  {outcome.name}: {outcome.note}")
    print_failures(failures, len(images))
    finish_run(images, out)
    return 1 if failures else 0
