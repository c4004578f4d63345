"""``diffseg evaluate`` and ``diffseg compare``: how good segments are, and whether one method is better."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from diffseg_cli.batch.settings import DEMO, ModelChoice
from diffseg_cli.commands import options
from diffseg_core.errors import InvalidSettingError

if TYPE_CHECKING:
    from .run import EvaluationSettings
    from .types import Dataset

EVALUATE = """\
Segments the images of a dataset by DiffSeg and by other methods, measures all against what people drew,
and prints a table.

Datasets: cocostuff27, cityscapes27 and coco27-panoptic (27 classes); voc, context and coco-object (classes
before a background, by the protocol of DiffCut); ade20k (150 classes); bsds500; and folder, for images of
your own (images/ and labels/). Each is read in the layout in which it is downloaded; an error says what that
is and where to get it.

And two of objects, one in each image (images/ and masks/, of 0, 255 for the object, 128 for what does not
count; or COCO's images/, panoptic/ and panoptic.json, of which it is the largest thing of 3 to 60 percent of
the image): clicks (simulated as in the literature: number of clicks to IoU .85 and .90, at most 20) and boxes
(tight, 10 and 20 percent larger), both with the boundary IoU. Their methods are object (of the node DiffSeg
Select), colour-object (on colours alone), of boxes box (the box itself), grabcut (OpenCV's, on the prompts
alone) and object-grabcut (the same started at the object).

Methods, or all: diffseg; hierarchy (hierarchy:10 for ten segments in each image); diffseg-refined and
hierarchy-refined (with refined edges); features-hierarchy and both-hierarchy (on the model's features in
place of its attention, and on both); colour-hierarchy (on neither); diffcut (normalised cut; diffcut:0.7 for
another threshold than 0.5) and cut (the same with borders along the image's edges); kmeans (on the same
attention; kmeans:6 has k fixed, as the paper's K-Means-C), kmeans-oracle (given the true number of classes,
its K-Means-S), colour-kmeans and colour-kmeans-oracle (on colours); one-segment, grid:3, slic:8 and
felzenszwalb:800. slic:8,16,32 has a row for each number. Not among all: words and words-all (given the names
of the classes in each image, or all), of a model with a text encoder, on voc, context, coco-object,
cityscapes27 and ade20k.

A run that was stopped goes on where it stopped, by the same command, also with a larger --limit. Its folder
has results.json, pictures.csv (every image and method) and table.md.
"""
COMPARE = """\
Compares runs of diffseg evaluate with the first one named, on the images that all have measured: the
difference of every metric, and the interval that holds it with 95 % confidence (bootstrap over the images).

RUN is the folder of a run, and stands for its first method; RUN:METHOD is any row of its table, as in
runs/bsds500-demo:slic:8, so that methods of one run can be compared as well.
"""
DEFAULT_RUNS = Path("runs")


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands to those of ``diffseg``."""
    parser = commands.add_parser(
        "evaluate",
        help="measure the quality of segments on a dataset",
        description=EVALUATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", help="which dataset, see above")
    parser.add_argument("--root", required=True, type=Path, metavar="DIR", help="folder of the dataset")
    parser.add_argument(
        "--out", type=Path, metavar="RUN", help=f"folder of the run ({DEFAULT_RUNS}/DATASET-MODEL)"
    )
    parser.add_argument("--overwrite", action="store_true", help="forget an earlier run in the folder")
    parser.add_argument("--methods", metavar="NAME,NAME…", help="which methods, see above")
    group = parser.add_argument_group("dataset")
    group.add_argument("--limit", type=options.whole(1, 10**9), metavar="N", help="at most so many images")
    group.add_argument(
        "--skip", type=options.whole(0, 10**9), default=0, metavar="N", help="pass over so many first"
    )
    group.add_argument(
        "--every",
        type=options.whole(1, 10**9),
        default=1,
        metavar="N",
        help="of those then only the first of every N (1); --every 2 and --skip 1 --every 2 are two halves",
    )
    group.add_argument(
        "--resolution",
        type=options.whole(1, 4096),
        metavar="N",
        help="side of the square to which images of COCO, Cityscapes, Pascal and ADE20K are cropped and "
        "resized (512; of voc, context, coco-object and ade20k 1024)",
    )
    group.add_argument("--split", choices=("train", "val", "test"), help="of bsds500 (val)")
    group.add_argument(
        "--void",
        type=options.whole(0, 255),
        metavar="VALUE",
        help="of folder: the value of pixels that are not annotated",
    )
    options.add_model_options(parser)
    options.add_capture_options(parser)
    options.add_segment_options(parser)
    options.add_word_options(parser, ", of words and words-all")
    options.add_executor_options(parser)
    parser.set_defaults(run=evaluate)
    parser = commands.add_parser(
        "compare",
        help="compare runs of evaluate, with confidence intervals",
        description=COMPARE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN[:METHOD]", help="the first, and those to compare with it"
    )
    parser.set_defaults(run=compare)


def evaluate(args: argparse.Namespace) -> int:
    """Evaluate.

    Returns:
        the exit status: 0 if all images are measured, 1 if some failed.

    Raises:
        DiffSegError: the run as a whole is not possible.
    """
    from diffseg_cli.commands.progress import print_failures, show_progress

    from .results import Results, write_results
    from .run import EvaluationWorker, RunFolder

    execute = options.make_executor(args)
    dataset, settings = _open(args)
    images = _images(dataset.names, args.skip, args.limit, args.every)
    folder = RunFolder(_folder(args, settings.model))
    remaining = folder.prepare(settings.to_dict(), images, args.overwrite)
    outcomes = execute(partial(EvaluationWorker, settings, folder.path), remaining)
    failures = [outcome for outcome in show_progress(outcomes, len(remaining)) if outcome.error is not None]

    folder.remove_leftovers(remaining)
    missing = {outcome.name for outcome in failures}
    measured = [folder.read(image) for image in images if image not in missing]
    if measured:
        results = Results(measured, len(dataset.class_names))
        print(write_results(folder, results, settings, dataset, sorted(missing)))
    print_failures(failures, len(images))
    return 1 if failures else 0


def compare(args: argparse.Namespace) -> int:
    """Compare.

    Returns:
        the exit status, 0.

    Raises:
        DiffSegError: fewer than two, or runs that cannot be compared.
    """
    from .comparison import compare_methods, difference_table, resolve_run_method, shared_images

    if len(args.runs) < 2:
        raise InvalidSettingError(f"Expected two runs or more to compare, got {args.runs[0]} alone.")
    first, *compared = map(resolve_run_method, args.runs)
    images = shared_images([first, *compared])
    for other in compared:
        table = difference_table(compare_methods(first, other, images))
        print(f"{other} against {first}, {len(images):,} images\n\n{table}\n")
    return 0


def _open(args: argparse.Namespace) -> tuple[Dataset, EvaluationSettings]:
    """Check all options against one another and against the dataset."""
    from .datasets import open_dataset
    from .methods import parse_methods, task_of
    from .run import EvaluationSettings
    from .word_methods import class_lines

    root = args.root.expanduser().resolve()
    of_dataset = {name: getattr(args, name) for name in ("resolution", "split", "void")}
    dataset = open_dataset(args.dataset, root, **of_dataset)
    settings = EvaluationSettings(
        args.dataset,
        root,
        of_dataset,
        parse_methods(args.methods, task_of(dataset.measures)),
        options.model_choice(args),
        options.capture_settings(args),
        options.segment_settings(args),
        options.word_settings(args),
    )
    if settings.by_words:  # whether the model reads words, before it is loaded
        class_lines(args.dataset)
        if args.model == DEMO:
            raise InvalidSettingError(options.NO_TEXT_ENCODER.format("for the methods by words"))
    elif args.words_threshold is not None or args.background_offset is not None:
        raise InvalidSettingError(
            "Expected words or words-all among the methods for --words-threshold and --background-offset, "
            "got neither. Add one of them, or leave the settings out."
        )
    return dataset, settings


def _images(names: Sequence[str], skip: int, limit: int | None, every: int) -> Sequence[str]:
    chosen = names[skip::every][:limit]
    if not chosen:
        raise InvalidSettingError(f"Expected --skip below the dataset's {len(names):,} images, got {skip:,}.")
    return chosen


def _folder(args: argparse.Namespace, choice: ModelChoice) -> Path:
    """``--out``, or ``runs/DATASET-MODEL`` with the last part of a path or an id for the model."""
    model = Path(choice.model).name.removesuffix(".safetensors").removesuffix(".ckpt")
    usual = DEFAULT_RUNS / f"{args.dataset}-{re.sub(r'[^A-Za-z0-9._-]+', '_', model)}"
    folder: Path = args.out or usual
    return folder.expanduser().resolve()
