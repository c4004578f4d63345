"""Loading a model with diffusers: the demo model, a folder, one of the hub, or a checkpoint file.

Models are SD 1.x, SD 2.x, SDXL and its small relatives (SSD-1B, Segmind Vega, KOALA), and the transformers of
SD3, Flux.1 and Qwen-Image. Those that take another image (instructions, depth) and the SDXL refiner are
refused; a UNet for inpainting is not. No safety checker is loaded: nothing is generated.

A checkpoint file holds weights alone. diffusers takes the rest (a few megabytes of configuration, and the
tokenizer) from the Hugging Face hub the first time, and from its cache afterwards.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from diffseg_core.diffusers.capture import backbone_of
from diffseg_core.diffusers.model_inputs import check_channels
from diffseg_core.diffusers.transformers import SUPPORTED_TRANSFORMERS, TRANSFORMERS
from diffseg_core.errors import ANOTHER_MODEL, InvalidSettingError, UnsupportedModelError

from .settings import DEMO, ModelChoice, Precision

if TYPE_CHECKING:
    from diffseg_core.diffusers.capture import Pipeline

Family = Literal["SD 1.x", "SD 2.x", "SDXL"]

IN_ONE_FILE = "SD 1.x, SD 2.x, SDXL, SSD-1B, Segmind Vega or KOALA"
SUPPORTED = f"SD 1.x, SD 2.x, SDXL, SSD-1B, Segmind Vega, KOALA, {SUPPORTED_TRANSFORMERS}"
CHECKPOINTS = (".safetensors", ".ckpt")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"  # [channels, latent channels, 3, 3]
TEXT_LAYER = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"  # [channels, d]
FAMILIES: dict[int, Family] = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL"}
# Components of pipelines that a capture does not need.
LEFT_OUT: dict[str, Any] = {"feature_extractor": None, "image_encoder": None}
DISPENSABLE = ("text_encoder_3", "tokenizer_3")  # of SD3: T5, which is large
CHECKER_LEFT_OUT: dict[str, Any] = {"safety_checker": None, "requires_safety_checker": False}


def load_pipeline(choice: ModelChoice) -> Pipeline:
    """Load a model on its device.

    Args:
        choice: of which model, device and precision.

    Raises:
        InvalidSettingError: no such file, folder or hub id, a damaged one, or no such device.
        UnsupportedModelError: a model of another kind.
        ImportError: diffusers, or what it needs, is not installed.
    """
    device = find_device(choice.device)
    path = demo_model_folder() if choice.model == DEMO else Path(choice.model)
    with _clear_errors(choice.model):
        from diffusers.utils import logging

        logging.disable_progress_bar()  # loading takes seconds; downloads from the hub have bars of their own
        if path.is_file():
            pipeline = _load_checkpoint(path, find_precision(choice.precision, device))
        elif path.is_dir() or _is_hub_id(choice.model):
            source = str(path) if path.is_dir() else choice.model
            pipeline = _load_folder(source, choice.precision, device, local=path.is_dir())
        else:
            raise InvalidSettingError(
                f'Expected a model to be "{DEMO}", a folder in diffusers\' layout, a checkpoint file or '
                f"an id such as owner/name of the Hugging Face hub, got {choice.model!r}: no such file."
            )
    backbone_of(pipeline)  # refuses a model that takes more than can be given
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device)
    return pipeline


def demo_model_folder() -> Path:
    """The demo model's folder: beside the package in a clone, inside it where a wheel was installed."""
    package = Path(__file__).resolve().parent.parent
    inside, beside = package / "demo_model", package.parent / "demo_model"
    return inside if inside.is_dir() else beside


def find_device(name: str) -> torch.device:
    """The device of that name; for "auto" the first there is of CUDA, XPU, MPS and the CPU.

    Raises:
        InvalidSettingError: no such device here.
    """
    if name == "auto":
        offered = {
            "cuda": torch.cuda.is_available(),
            "xpu": torch.xpu.is_available(),
            "mps": torch.backends.mps.is_available(),
        }
        name = next((device for device, is_there in offered.items() if is_there), "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InvalidSettingError(
            f'Expected a device that PyTorch has here ("auto", "cpu", "cuda:0" …), got {name!r}: {reason}'
        ) from error


def find_precision(
    precision: Precision, device: torch.device, half: torch.dtype = torch.float16
) -> torch.dtype:
    """The precision of that name; for "auto" half precision on an accelerator and float32 on a CPU.

    Args:
        precision: its name.
        device: where the model runs.
        half: what the model's half precision is.
    """
    if precision == "auto":
        return torch.float32 if device.type == "cpu" else half
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def checkpoint_family(path: Path) -> Family:
    """Which Stable Diffusion a checkpoint file is of, by the width of the text that its UNet reads.

    Only the shapes are read, not the weights.

    Raises:
        UnsupportedModelError: weights of another model, or of a part of one.
        InvalidSettingError: a damaged file, or a .ckpt with more than weights in it.
    """
    is_safe = path.suffix.lower() == ".safetensors"
    try:
        shapes = _safetensors_shapes(path) if is_safe else _pickled_shapes(path)
    except Exception as error:  # readers raise nearly anything on damaged files
        rest = "." if is_safe else ", or with objects in it that could run code. Use its .safetensors file."
        raise InvalidSettingError(f"Expected weights in {path}, got a damaged file{rest}") from error
    text, first = shapes.get(TEXT_LAYER), shapes.get(FIRST_LAYER)
    if text is None or first is None or text[1] not in FAMILIES:
        raise UnsupportedModelError(
            f"Expected a whole checkpoint of {IN_ONE_FILE}, got {path.name}, which is of another model, or "
            "holds a part of one alone (a LoRA, a VAE, a UNet). A transformer is loaded from a folder in "
            f"diffusers' layout, or by its id of the hub. {ANOTHER_MODEL}"
        )
    try:
        check_channels(first[1])
    except UnsupportedModelError as error:
        raise UnsupportedModelError(f"{path.name}: {error}") from None
    return FAMILIES[text[1]]


def _is_hub_id(model: str) -> bool:
    return HUB_ID.fullmatch(model) is not None and not model.lower().endswith(CHECKPOINTS)


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def _pickled_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Of a .ckpt; ``weights_only`` refuses anything in it that could run code."""
    content = torch.load(path, map_location="meta", weights_only=True, mmap=True)
    weights = content.get("state_dict", content)
    return {key: tuple(value.shape) for key, value in weights.items() if hasattr(value, "shape")}


def _load_checkpoint(path: Path, dtype: torch.dtype, config: Path | None = None) -> Pipeline:
    """Load a single file; its configuration comes from a folder in diffusers' layout if there is one."""
    if path.suffix.lower() not in CHECKPOINTS:
        raise InvalidSettingError(f"Expected a checkpoint ending in {' or '.join(CHECKPOINTS)}, got {path}.")
    family = checkpoint_family(path)
    settings = {"torch_dtype": dtype, **LEFT_OUT, **({"config": str(config)} if config else {})}
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    if family == "SDXL":
        return StableDiffusionXLPipeline.from_single_file(str(path), **settings)
    return StableDiffusionPipeline.from_single_file(str(path), **settings, **CHECKER_LEFT_OUT)


def _load_folder(source: str, precision: Precision, device: torch.device, local: bool) -> Pipeline:
    """Load a model in diffusers' layout, as what makes images of text with its parts."""
    import diffusers

    index = diffusers.DiffusionPipeline.load_config(source, local_files_only=local)

    def component(name: str) -> str | None:
        return (index.get(name) or (None, None))[1]

    dispensable: tuple[str, ...]
    row = next((row for row in TRANSFORMERS if row.model == component("transformer")), None)
    if row is not None and component("vae") == row.vae:
        kind_name, half, dispensable = row.pipeline, torch.bfloat16, DISPENSABLE
    elif component("unet") != "UNet2DConditionModel" or component("vae") != "AutoencoderKL":
        raise UnsupportedModelError(
            f"Expected {SUPPORTED}, got {source} ({index.get('_class_name')}). {ANOTHER_MODEL}"
        )
    elif component("text_encoder_2") is None:
        kind_name, half, dispensable = "StableDiffusionPipeline", torch.float16, ("text_encoder", "tokenizer")
    elif component("text_encoder") is None:
        raise UnsupportedModelError(f"Expected {SUPPORTED}, got an SDXL refiner: choose the base model.")
    else:
        kind_name, half, dispensable = "StableDiffusionXLPipeline", torch.float16, ()
    kind = getattr(diffusers, kind_name, None)
    if kind is None:
        raise UnsupportedModelError(
            f"Expected a release of diffusers with {kind_name}, got {diffusers.__version__}. Update it."
        )
    absent = {name: None for name in dispensable if component(name) is None}
    parameters = inspect.signature(kind.__init__).parameters
    settings = {
        name: value for name, value in (LEFT_OUT | CHECKER_LEFT_OUT | absent).items() if name in parameters
    }
    dtype = find_precision(precision, device, half)
    return kind.from_pretrained(source, torch_dtype=dtype, local_files_only=local, **settings)


@contextmanager
def _clear_errors(model: str) -> Iterator[None]:
    """Say of diffusers' errors what to do about them."""
    try:
        with warnings.catch_warnings():
            # Older releases of diffusers know this name alone.
            warnings.filterwarnings("ignore", "`torch_dtype` is deprecated", FutureWarning)
            yield
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InvalidSettingError):
            raise
        reason = " ".join(str(error).split())
        raise InvalidSettingError(
            f"Expected a whole model in {model}, but it cannot be loaded: {reason[:400]} "
            "(A model of the hub and the configuration of a checkpoint need a connection the first time.)"
        ) from error
