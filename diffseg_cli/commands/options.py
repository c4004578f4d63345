"""Options that several commands share, and the settings that are read from them.

The names and ranges of capture and segmentation are those of the nodes. What is not given is what suits the
model: the demo model has settings of its own, all others have the paper's.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from diffseg_core.attention.architectures import ARCHITECTURES
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError
from diffseg_core.settings import NOISE_LEVEL, NOISE_SEED, REFINEMENT, WORKING_SIZE

from ..batch.executor import Executor
from ..batch.local_executor import LocalExecutor
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
    setting_of,
)
from .argument_types import entered, granularity, layers
from .argument_types import whole as whole

CLEAN, NOISED = "clean", "noised"
RAY_ADDRESS = re.compile(r"auto|local|(\w+://)?[^\s/]+:\d+")


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
        "--noise-level",
        type=entered(NOISE_LEVEL),
        metavar="N",
        help="that the model is to expect, 0..1000; -1 is the architecture's own "
        f"({ARCHITECTURES['SD15'].noise_level}; demo model {DEMO_CAPTURE.noise_level})",
    )
    group.add_argument(
        "--input-mode",
        choices=(CLEAN, NOISED),
        help="clean (default): the model sees the image itself; noised: the level's noise is added",
    )
    group.add_argument(
        "--noise-seed", type=entered(NOISE_SEED), metavar="N", help="of the noise of a noised input (0)"
    )
    group.add_argument(
        "--working-size",
        type=entered(WORKING_SIZE),
        metavar="PIXELS",
        help="side of a square of the area at which the model works, from 64; 0 is the model's own size "
        f"({_defaults('working_size')})",
    )
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
    add_number(group, MergeSettings, "merge_threshold", "NATS", "higher gives fewer segments")
    add_number(group, MergeSettings, "merge_passes", "N", "how often maps are merged")
    add_number(
        group,
        MergeSettings,
        "anchors",
        "N",
        "starting points per side of a grid; at most the shorter side of an image's attention grid",
    )
    group.add_argument("--refinement", choices=REFINEMENT.options, help="none (default) or kmeans")
    add_number(
        group,
        MergeSettings,
        "smallest_area",
        "PERCENT",
        "of the image; connected pieces smaller than this join a neighbour",
    )
    group.add_argument(
        "--refine-edges",
        action="store_const",
        const=True,
        help="move borders to the image's edges, as the node DiffSeg Refine Edges does",
    )
    nested = parser.add_argument_group(
        "nested segments",
        "as of the node DiffSeg Hierarchy, in place of the above; with --granularity or --height",
    )
    nested.add_argument(
        "--granularity", type=granularity, metavar="N|auto", help="how many in each image, or auto"
    )
    add_number(nested, NestedSettings, "height", "NATS", "how different two segments may be and still join")
    nested.add_argument(
        "--neighbours-only",
        action=argparse.BooleanOptionalAction,
        help="join only what has a common border (default), or things of one kind wherever they are",
    )
    add_number(nested, NestedSettings, "contrast", "X", "how much contrast keeps neighbours apart")
    add_number(nested, NestedSettings, "colour", "X", "how much colours count beside the attention")
    add_number(nested, NestedSettings, "finest", "PERCENT", "of the image; area of the finest segments")


def add_number(
    group: argparse._ArgumentGroup,
    settings: type[Any],
    name: str,
    metavar: str,
    text: str,
    option: str | None = None,
) -> None:
    """The option of a setting that has a range, which its help tells with its default."""
    kind = entered(setting_of(settings, name))
    lowest, highest = setting_of(settings, name).limits
    default = _defaults(name)
    text = f"{text}, {lowest:g}..{highest:g}" + (f" ({default})" if default else "")
    group.add_argument(f"--{(option or name).replace('_', '-')}", type=kind, metavar=metavar, help=text)


def add_executor_options(parser: argparse.ArgumentParser) -> None:
    """Who does the work: read them with `make_executor`."""
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
    given = {name: getattr(args, name) for name in ("noise_level", "working_size", "layers")}
    if args.input_mode == NOISED:
        given["noise_seed"] = args.noise_seed or 0
    return replace(base, **only_given(given))


def segment_settings(args: argparse.Namespace) -> SegmentSettings:
    """What is given, over what suits the model.

    Raises:
        InvalidSettingError: options of one way to segment together with those of the other, or two cuts.
    """
    merged = only_given({each.name: getattr(args, each.name) for each in fields(MergeSettings)})
    names = [each.name for each in fields(NestedSettings) if each.name not in ("number", "height")]
    nested = only_given({name: getattr(args, name) for name in names})
    cut = only_given({name: getattr(args, name) for name in ("granularity", "height")})
    method: MergeSettings | NestedSettings
    if not cut:
        if nested:
            raise InvalidSettingError(
                f"Expected --granularity or --height together with {as_options(nested)}, which counts for "
                "nested segments only, got neither. Add --granularity auto, or leave it out."
            )
        method = replace(DEMO_MERGE if args.model == DEMO else MergeSettings(), **merged)
    elif merged or len(cut) > 1:
        raise InvalidSettingError(
            f"Expected one way to segment, got {as_options({**merged, **cut})}. For nested segments leave "
            "--granularity or --height, for merged ones neither."
        )
    else:
        method = NestedSettings(cut.get("granularity") or None, cut.get("height"), **nested)
    return SegmentSettings(method, refine_edges=bool(args.refine_edges))


def make_executor(args: argparse.Namespace) -> Executor:
    """This process, or Ray's.

    Raises:
        InvalidSettingError: workers without Ray, or something that is no address.
    """
    if args.ray is None:
        if args.workers is not None:
            raise InvalidSettingError(f"Expected --ray together with --workers {args.workers}.")
        return LocalExecutor()
    if args.ray and not RAY_ADDRESS.fullmatch(args.ray):
        raise InvalidSettingError(
            f"Expected an address such as auto, host:6379 or ray://host:10001 after --ray, got {args.ray!r}. "
            "Write --ray=ADDRESS, or put --ray behind everything else."
        )
    from ..batch.ray_executor import RayExecutor

    return RayExecutor(
        args.ray or None, args.workers, args.threads, use_gpus=not args.device.startswith("cpu")
    )


def only_given(values: dict[str, Any]) -> dict[str, Any]:
    """Options that are not given have no value."""
    return {name: value for name, value in values.items() if value is not None}


def as_options(values: dict[str, Any]) -> str:
    """Settings as they are written on the command line."""
    words = []
    for name, value in values.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words.append(f"--{option} {'auto' if name == 'granularity' and not value else value}")
    return " ".join(words)


def _defaults(name: str) -> str:
    """The default of a setting, and that of the demo model where it has another; empty if there is none."""
    same = [(each, each) for each in (NestedSettings(), WordSettings())]
    for usual, demo in ((CaptureSettings(), DEMO_CAPTURE), (MergeSettings(), DEMO_MERGE), *same):
        if hasattr(usual, name):
            value, other = getattr(usual, name), getattr(demo, name)
            if value is None:
                return ""
            return f"{value:g}" if value == other else f"{value:g}; demo model {other:g}"
    raise AttributeError(name)
