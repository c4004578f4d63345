"""Options that several commands share, and the settings that are read from them.

The names and ranges of capture and segmentation are those of the nodes. What is not given is what suits the
model: the demo model has settings of its own, all others have the paper's.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from diffseg_core.attention.resolutions import Resolutions
from diffseg_core.errors import InvalidSettingError
from diffseg_core.merging.segment import Refinement

from ..batch.crew import Crew
from ..batch.local_crew import LocalCrew
from ..batch.settings import (
    DEMO,
    DEMO_CAPTURE,
    DEMO_SEGMENT,
    CaptureSettings,
    ModelChoice,
    Precision,
    SegmentSettings,
)

CLEAN, NOISED = "clean", "noised"
RAY_ADDRESS = re.compile(r"auto|local|(\w+://)?[^\s/]+:\d+")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model runs, and how: read them with `model_choice`; ``threads`` is read as it is."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default=DEMO,
        help='"demo" (default), a folder in diffusers\' layout, a checkpoint file (.safetensors, .ckpt) of '
        "SD 1.x, SD 2.x or SDXL, or an id of the Hugging Face hub",
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
        help="auto (default) is float16 on an accelerator and float32 on a CPU",
    )
    group.add_argument("--threads", type=whole(1, 4096), metavar="N", help="CPU threads of each process")


def add_capture_options(parser: argparse.ArgumentParser) -> None:
    """As of DiffSeg Capture Attention: read them with `capture_settings`."""
    group = parser.add_argument_group("capture", "as of the node DiffSeg Capture Attention")
    group.add_argument(
        "--timestep", type=whole(0, 999), metavar="N", help=f"0..999 ({_defaults('timestep')})"
    )
    group.add_argument(
        "--input-mode",
        choices=(CLEAN, NOISED),
        help="clean (default): the model sees the picture itself; noised: the timestep's noise is added",
    )
    group.add_argument(
        "--noise-seed", type=whole(0, 2**64 - 1), metavar="N", help="of the noise of a noised input (0)"
    )
    group.add_argument(
        "--working-size",
        type=_working_size,
        metavar="PIXELS",
        help="side of a square of the area at which the model works, from 64; 0 is the model's own size "
        f"({_defaults('working_size')})",
    )
    group.add_argument(
        "--resolutions",
        type=_hyphenated,
        choices=[_hyphenated(choice) for choice in get_args(Resolutions)],
        help="which of the model's attention resolutions to keep (all)",
    )


def add_segment_options(parser: argparse.ArgumentParser) -> None:
    """As of DiffSeg Segment: read them with `segment_settings`."""
    group = parser.add_argument_group("segmentation", "as of the node DiffSeg Segment")
    group.add_argument(
        "--merge-threshold",
        type=number(0.01, 10),
        metavar="NATS",
        help=f"0.01..10; higher gives fewer segments ({_defaults('merge_threshold')})",
    )
    group.add_argument(
        "--merge-passes", type=whole(1, 20), metavar="N", help=f"1..20 ({_defaults('merge_passes')})"
    )
    group.add_argument(
        "--anchors",
        type=whole(2, 128),
        metavar="N",
        help=f"starting points per side of a grid, 2..128 ({_defaults('anchors')}); "
        "at most the shorter side of a picture's attention grid",
    )
    group.add_argument("--refinement", choices=get_args(Refinement), help="none (default) or kmeans")
    group.add_argument(
        "--smallest-area",
        type=number(0, 50),
        metavar="PERCENT",
        help="of the picture, 0..50; connected pieces smaller than this join a neighbour "
        f"({_defaults('smallest_area')})",
    )
    group.add_argument(
        "--granularity",
        type=granularity,
        metavar="N|auto",
        help="segments of the node DiffSeg Hierarchy in place of those of the settings above: how many in "
        "each picture, or auto",
    )
    group.add_argument(
        "--refine-edges",
        action="store_const",
        const=True,
        help="move borders to the picture's edges, as the node DiffSeg Refine Edges does",
    )


def granularity(text: str) -> int:
    """Read a number of segments; 0 stands for "auto"."""
    return 0 if text == "auto" else whole(1, 2000)(text)


def add_crew_options(parser: argparse.ArgumentParser) -> None:
    """Who does the work: read them with `make_crew`."""
    group = parser.add_argument_group("many processes and machines")
    group.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="share the work out with Ray: over this machine's processors or GPUs, or over the cluster at "
        "ADDRESS (auto, host:port, ray://host:port). Write --ray=ADDRESS, or --ray behind everything else",
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
    base = DEMO_CAPTURE if args.model == DEMO else CaptureSettings()
    given = {name: getattr(args, name) for name in ("timestep", "working_size")}
    if args.input_mode == NOISED:
        given["noise_seed"] = args.noise_seed or 0
    if args.resolutions is not None:
        given["resolutions"] = args.resolutions.replace("-", " ")
    return replace(base, **_only_given(given))


def segment_settings(args: argparse.Namespace) -> SegmentSettings:
    """What is given, over what suits the model."""
    base = DEMO_SEGMENT if args.model == DEMO else SegmentSettings()
    return replace(base, **_only_given({name: getattr(args, name) for name in vars(base)}))


def make_crew(args: argparse.Namespace) -> Crew:
    """This process, or Ray's.

    Raises:
        InvalidSettingError: workers without Ray, or something that is no address.
    """
    if args.ray is None:
        if args.workers is not None:
            raise InvalidSettingError(f"Expected --ray together with --workers {args.workers}.")
        return LocalCrew()
    if args.ray and not RAY_ADDRESS.fullmatch(args.ray):
        raise InvalidSettingError(
            f"Expected an address such as auto, host:6379 or ray://host:10001 after --ray, got {args.ray!r}. "
            "Write --ray=ADDRESS, or put --ray behind everything else."
        )
    from ..batch.ray_crew import RayCrew

    return RayCrew(args.ray or None, args.workers, args.threads, use_gpus=not args.device.startswith("cpu"))


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A type of argparse: whole numbers of a range."""
    return _in_range(int, "a whole number", lowest, highest)


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """A type of argparse: numbers of a range."""
    return _in_range(float, "a number", lowest, highest)


def _in_range(
    convert: Callable[[str], Any], kind: str, lowest: float, highest: float
) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"expected {kind} from {lowest} to {highest}, got {text!r}")
        return value

    return parse


def _working_size(text: str) -> int:
    return 0 if text == "0" else whole(64, 4096)(text)


def _hyphenated(text: str) -> str:
    return text.replace(" ", "-")


def _only_given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _defaults(name: str) -> str:
    """The default of a setting, and that of the demo model where it has another."""
    for usual, demo in ((CaptureSettings(), DEMO_CAPTURE), (SegmentSettings(), DEMO_SEGMENT)):
        if hasattr(usual, name):
            value, other = getattr(usual, name), getattr(demo, name)
            return f"{value:g}" if value == other else f"{value:g}; demo model {other:g}"
    raise AttributeError(name)
