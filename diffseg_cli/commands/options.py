"""Options that several commands share, and the settings that are read from them.

An option of a setting is a row: its range, options and default are those of `diffseg_core.settings`, as the
nodes' are. What is not given is what suits the model: the demo model has settings of its own, all others have
the paper's.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import diffseg_core.settings as allowed
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.attention.layers import checked_layers
from diffseg_core.checks import Choice, Number, Setting
from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import write_atomic
from diffseg_core.words.lines import SEPARATORS, parse_words

from ..batch.executor import Execute, run_locally
from ..batch.settings import (
    DEMO,
    DEMO_CAPTURE,
    DEMO_MERGE,
    MergeSettings,
    ModelChoice,
    NestedSettings,
    Precision,
    SegmentSettings,
    WordSettings,
)

NOISED = "noised"
HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z])")
NO_TEXT_ENCODER = (
    "Expected a model with a text encoder {0}, got the demo model, which has none. Choose one of Stable "
    "Diffusion, SDXL, SD3, Flux.1 or Qwen-Image with --model."
)


Options = dict[str, tuple[Setting, str]]
"""What each setting may be, and the help on it, by the setting's name; ``--name`` asks for it."""

CAPTURE: Options = {
    "noise_level": (allowed.NOISE_LEVEL, "that the model is given; -1 is its architecture's own"),
    "noise_seed": (allowed.NOISE_SEED, "of the noise of a noised input"),
    "working_size": (
        allowed.WORKING_SIZE,
        "side of a square of the area at which the model works, from 64; 0 is the model's own size",
    ),
}
MERGE: Options = {
    "merge_threshold": (allowed.MERGE_THRESHOLD, "higher gives fewer segments"),
    "merge_passes": (allowed.MERGE_PASSES, "how often maps are merged"),
    "anchors": (
        allowed.ANCHORS,
        "starting points per side of a grid; at most the shorter side of an image's attention grid",
    ),
    "refinement": (allowed.REFINEMENT, "of the merged maps"),
    "smallest_area": (
        allowed.SMALLEST_PIECE,
        "of the image; connected pieces smaller than this join a neighbour",
    ),
}
TREE: Options = {
    "height": (allowed.HEIGHT, "how different two segments may be and still join"),
    "neighbours_only": (
        allowed.NEIGHBOURS_ONLY,
        "join only what has a common border, or things of one kind wherever they are",
    ),
    "contrast": (allowed.CONTRAST, "how much contrast keeps neighbours apart"),
    "colour": (allowed.COLOUR, "how much colours count beside the attention"),
    "finest": (allowed.FINEST, "of the image; area of the finest segments"),
}
WORDS: Options = {
    "words_threshold": (allowed.WORD_THRESHOLD, "of a word's own range; lower takes more"),
    "background_offset": (allowed.BACKGROUND_OFFSET, "added to the background's scores; higher takes less"),
}
CUTS = ("granularity", "height")


def add_settings(
    group: argparse._ArgumentGroup | argparse.ArgumentParser, options: Options, usual: Any, demo: Any = None
) -> None:
    """Add the options of settings, whose help has range and default; what is not given is None.

    Args:
        group: to which they are added.
        options: one for each setting.
        usual: settings with the defaults as attributes.
        demo: those of the demo model, where they differ.
    """
    for name, (setting, text) in options.items():
        default, demo_default = getattr(usual, name), getattr(demo or usual, name)
        kinds: dict[str, Any] = {}
        if isinstance(setting, Number):
            unit = "percent" if setting.is_share else setting.unit or ("n" if setting.whole else "x")
            kinds = {"type": number(setting), "metavar": unit.upper()}
            text += ", {:g}..{:g}".format(*setting.limits)
        elif isinstance(setting, Choice):
            kinds = {"type": hyphenated, "choices": [hyphenated(choice) for choice in setting.options]}
        else:
            kinds = {"action": argparse.BooleanOptionalAction}
        if default is not None and not isinstance(default, bool):
            text += f" ({default})" if default == demo_default else f" ({default}; demo model {demo_default})"
        group.add_argument(_option(name), help=text, default=None, **kinds)


def whole(lowest: int, highest: int) -> Callable[[str], Any]:
    """The type of an option of the command's own: whole numbers of a range."""
    return number(Number("a number", lowest, highest, whole=True))


def number(setting: Number) -> Callable[[str], Any]:
    """Numbers that a setting may be, a share in percent; refused in the setting's own words."""

    def parse(text: str) -> Any:
        value: Any = text
        for kind in (float, int):  # whole numbers of any length stay exact
            with suppress(ValueError):
                value = kind(text)
        try:
            if not setting.is_share:
                return setting.checked(value)
            setting.checked_percent(value)
        except InvalidSettingError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return float(value)

    return parse


def hyphenated(text: str) -> str:
    """A choice of several words."""
    return text.replace(" ", "-")


def granularity(text: str) -> int:
    """A number of segments; 0 stands for "auto"."""
    return 0 if text == "auto" else int(number(allowed.NUMBER)(text))


def layers(text: str) -> str:
    """Which layers, see `CaptureSettings`; words may have hyphens between."""
    try:
        return checked_layers(HYPHEN.sub(" ", text))
    except InvalidSettingError as error:
        raise argparse.ArgumentTypeError(f"{error}") from error


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model runs, and how: read them with `model_choice`; ``threads`` is read as it is."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default=DEMO,
        help='"demo" (default), a folder in diffusers\' layout, a checkpoint file (.safetensors, .ckpt) of '
        "SD 1.x, SD 2.x or SDXL, or an id of the Hugging Face hub (SD3, Flux.1, Qwen-Image: folder or id)",
    )
    group.add_argument(
        "--device",
        default="auto",
        help='"auto" (default), "cpu", "cuda", "cuda:1", "mps" …; with --ray "cuda", which is the GPU of '
        "each process",
    )
    group.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="auto",
        help="auto (default) is float16 on an accelerator (bfloat16 for SD3, Flux.1 and Qwen-Image) and "
        "float32 on a CPU",
    )
    group.add_argument("--threads", type=whole(1, 4096), metavar="N", help="CPU threads of each process")


def add_capture_options(parser: argparse.ArgumentParser) -> None:
    """As of DiffSeg Capture Attention: read them with `capture_settings`."""
    group = parser.add_argument_group("capture", "as of the node DiffSeg Capture Attention")
    group.add_argument(
        "--input-mode",
        choices=("clean", NOISED),
        help="clean (default): the model sees the image itself; noised: the level's noise is added",
    )
    add_settings(group, CAPTURE, CaptureSettings(), DEMO_CAPTURE)
    group.add_argument(
        "--layers",
        type=layers,
        metavar="TEXT",
        help="which attention layers to keep: recommended (default), all; of a Stable Diffusion model "
        "finest, finest-two, all-but-finest; of a transformer (SD3, Flux.1, Qwen-Image) middle-third, or "
        'blocks from 0 as in "7-9, 12"',
    )


def add_segment_options(parser: argparse.ArgumentParser) -> None:
    """As of DiffSeg Segment and DiffSeg Hierarchy: read them with `segment_settings`."""
    group = parser.add_argument_group("segmentation", "as of the node DiffSeg Segment")
    add_settings(group, MERGE, MergeSettings(), DEMO_MERGE)
    group.add_argument(
        "--refine-edges",
        action="store_true",
        help="move borders to the image's edges, as the node DiffSeg Refine Edges does",
    )
    group = parser.add_argument_group(
        "nested segments",
        "as of the node DiffSeg Hierarchy, in place of the above; with --granularity or --height",
    )
    group.add_argument(
        "--granularity", type=granularity, metavar="N|auto", help="how many in each image, or auto"
    )
    add_settings(group, TREE, NestedSettings())


def add_word_options(parser: argparse.ArgumentParser, note: str = "") -> argparse._ArgumentGroup:
    """How things are found by words: read them with `word_settings`."""
    group = parser.add_argument_group("words", f"as of the node DiffSeg Find by Words{note}")
    add_settings(group, WORDS, WordSettings())
    return group


def add_executor_options(parser: argparse.ArgumentParser) -> None:
    """Who does the work: read them with `make_executor`."""
    group = parser.add_argument_group("many processes and machines")
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="share the work out with Ray: over this machine's processors or GPUs (local), or over the "
        "cluster at an address (auto, host:port, ray://host:port)",
    )
    group.add_argument(
        "--workers", type=whole(1, 100_000), metavar="N", help="processes with a model each; needs --ray"
    )


def model_choice(args: argparse.Namespace) -> ModelChoice:
    """The model; a path is made absolute, so that it means the same in every process."""
    path = Path(args.model)
    is_path = args.model != DEMO and path.exists()
    return ModelChoice(str(path.resolve()) if is_path else args.model, args.device, args.precision)


def capture_settings(args: argparse.Namespace) -> CaptureSettings:
    """What is given, over what suits the model.

    Raises:
        InvalidSettingError: a seed for a noise that is not added.
    """
    if args.noise_seed is not None and args.input_mode != NOISED:
        raise InvalidSettingError(
            f"Expected --input-mode {NOISED} together with --noise-seed {args.noise_seed}: "
            "a clean input has no noise."
        )
    settings = only_given(args, "noise_level", "noise_seed", "working_size", "layers")
    if args.input_mode == NOISED:
        settings.setdefault("noise_seed", 0)
    return replace(DEMO_CAPTURE if args.model == DEMO else CaptureSettings(), **settings)


def segment_settings(args: argparse.Namespace) -> SegmentSettings:
    """What is given, over what suits the model.

    Raises:
        InvalidSettingError: options of one way to segment together with those of the other, or two cuts.
    """
    merged, cut = only_given(args, *MERGE), only_given(args, *CUTS)
    tree = only_given(args, *(name for name in TREE if name not in CUTS))
    method: MergeSettings | NestedSettings
    if not cut:
        if tree:
            raise InvalidSettingError(
                f"Expected --granularity or --height together with {_listed(tree)}, which counts for nested "
                "segments only, got neither. Add --granularity auto, or leave it out."
            )
        method = replace(DEMO_MERGE if args.model == DEMO else MergeSettings(), **merged)
    elif merged or len(cut) > 1:
        raise InvalidSettingError(
            f"Expected one way to segment, got {_listed(merged | cut)}. For nested segments leave "
            "--granularity or --height, for merged ones neither."
        )
    else:
        method = NestedSettings(cut.get("granularity") or None, cut.get("height"), **tree)
    return SegmentSettings(method, args.refine_edges)


def word_settings(args: argparse.Namespace) -> WordSettings:
    """What is given, over the defaults; without what is looked for."""
    return WordSettings(**only_given(args, *WORDS))


def word_search(args: argparse.Namespace) -> WordSettings | None:
    """What is looked for by ``--words``, and how; None where none are given.

    In one line, commas stand between classes and | between words of one class; in several, a class is in each
    line and commas stand between its words.

    Raises:
        InvalidSettingError: words that cannot be read, settings of words without any, words for a model
            that cannot read them, or together with settings of segments that they have no use for.
    """
    text = args.words
    if text is None:
        without_use = only_given(args, *WORDS)
        if without_use:
            raise InvalidSettingError(f"Expected --words together with {_listed(without_use)}, got none.")
        return None
    if args.model == DEMO:
        raise InvalidSettingError(NO_TEXT_ENCODER.format("together with --words"))
    without_use = only_given(args, *MERGE, *CUTS)
    if without_use:
        raise InvalidSettingError(
            f"Expected --words alone, got {_listed(without_use)} too: words take parts of a hierarchy, "
            "however it is cut. Leave one of them out."
        )
    lines = text if "\n" in text else re.sub(SEPARATORS, "\n", text).replace("|", ",")
    parse_words(lines)
    return replace(word_settings(args), words=lines)


def write_file(path: Path, content: bytes) -> None:
    """Write a file that an option names, whole or not at all.

    Raises:
        InvalidSettingError: it cannot be written.
    """
    try:
        write_atomic(path.expanduser(), content)
    except OSError as error:
        raise InvalidSettingError(
            f"Expected a file that can be written, got {path}: {error.strerror}. Choose another."
        ) from error


def make_executor(args: argparse.Namespace) -> Execute:
    """This process, or Ray's.

    Raises:
        InvalidSettingError: workers without Ray.
    """
    if args.ray is None:
        if args.workers is not None:
            raise InvalidSettingError(f"Expected --ray together with --workers {args.workers}.")
        return partial(run_locally, threads=args.threads)
    from ..batch.ray_executor import run_with_ray

    return partial(
        run_with_ray,
        address=args.ray,
        workers=args.workers,
        cpus_per_worker=args.threads,
        use_gpus=not args.device.startswith("cpu"),
    )


def only_given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The values of options that are given: the others are None."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _option(name: str) -> str:
    """A setting's name as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def _listed(names: Iterable[str]) -> str:
    return " ".join(map(_option, names))
