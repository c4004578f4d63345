"""Capturing a loaded MODEL's self-attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import comfy.model_management
import comfy.supported_models
import torch
from comfy.ldm.modules.attention import SpatialTransformer, SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample, UNetModel, Upsample
from comfy.patcher_extension import WrappersMP

from ..diffseg_core import (
    AttentionAccumulator,
    AttentionMaps,
    CaptureError,
    GridSize,
    InvalidSettingError,
    UnsupportedModelError,
)
from ..diffseg_core.attention.resolutions import select_levels
from .comfy_conditioning import acting_conditioning
from .comfy_forward import LAST_TIMESTEP, denoise_once, sigma_of
from .comfy_latents import check_samples
from .comfy_patches import misfits_named

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

SUPPORTED = "SD 1.x, SD 2.x, SDXL, SDXL Refiner, SSD-1B, Segmind Vega and KOALA"
SUPPORTED_CONFIGS = (
    comfy.supported_models.SD15,
    comfy.supported_models.SD20,
    comfy.supported_models.SDXL,
    comfy.supported_models.SDXLRefiner,
)
PLAIN_INPUT_CHANNELS = (4, 9)  # 9: inpainting models, whose mask and image ComfyUI fills in
# Guidance runs the model again or changes its output; a capture needs one plain prediction.
GUIDANCE_OPTIONS = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
    "disable_cfg1_optimization",
    "context_handler",  # context windows: a batch in parts, each of which would run the model
)


@dataclass(frozen=True)
class SelfAttentionLayer:
    """One self-attention layer of the UNet, by the names under which ComfyUI patches it."""

    block: str  # "input", "middle" or "output"
    number: int  # of the block
    index: int  # of the transformer block in it
    heads: int
    level: int  # how often the latent was halved

    def __str__(self) -> str:
        return f"{self.block} block {self.number}, transformer {self.index}"


def native_side(model: ModelPatcher) -> int:
    """Side in pixels of the square images that the model was trained on.

    Raises:
        UnsupportedModelError: not one of the supported architectures.
    """
    _supported_unet(model)
    config = model.model.model_config
    if isinstance(config, comfy.supported_models.SDXL | comfy.supported_models.SDXLRefiner):
        return 1024
    is_v = model.model.model_type.name == "V_PREDICTION"
    return 768 if is_v and isinstance(config, comfy.supported_models.SD20) else 512


def latent_channels(model: ModelPatcher) -> int:
    """Channels of the latents that the model works on."""
    return int(model.get_model_object("latent_format").latent_channels)


def self_attention_layers(unet: UNetModel) -> list[SelfAttentionLayer]:
    """Every self-attention layer of a UNet, in the order in which they run."""
    layers: list[SelfAttentionLayer] = []
    level = 0
    middle = [] if unet.middle_block is None else [("middle", 0, unet.middle_block)]
    blocks = [
        *(("input", number, block) for number, block in enumerate(unet.input_blocks)),
        *middle,
        *(("output", number, block) for number, block in enumerate(unet.output_blocks)),
    ]
    for name, number, block in blocks:
        for module in block:
            if isinstance(module, SpatialTransformer):
                for index, transformer in enumerate(module.transformer_blocks):
                    if not transformer.disable_self_attn:
                        heads = transformer.attn1.heads
                        layers.append(SelfAttentionLayer(name, number, index, heads, level))
            level += isinstance(module, Downsample) - isinstance(module, Upsample)
    return layers


def captured_layers(unet: UNetModel, resolutions: str) -> list[SelfAttentionLayer]:
    """The self-attention layers of the resolutions that are kept; see ``select_levels``."""
    every = self_attention_layers(unet)
    levels = select_levels((layer.level for layer in every), resolutions)
    return [layer for layer in every if layer.level in levels]


def checked_conditioning(
    model: ModelPatcher, conditioning: list[Any], timestep: int, grid: GridSize, resolutions: str
) -> list[Any]:
    """All that can be checked before a VAE or the model runs, and the entry that acts.

    Args:
        model: the MODEL.
        conditioning: CONDITIONING.
        timestep: 0..999.
        grid: height and width of the latent.
        resolutions: which of the UNet's resolutions to capture.

    Returns:
        CONDITIONING of the one entry that acts at the timestep.

    Raises:
        UnsupportedModelError, InvalidSettingError: the capture cannot be made.
    """
    unet = _supported_unet(model)
    if not 0 <= timestep <= LAST_TIMESTEP:
        raise InvalidSettingError(f"Expected a timestep from 0 to {LAST_TIMESTEP}, got {timestep}.")
    check_finest_grid(captured_layers(unet, resolutions), grid)
    return acting_conditioning(model, conditioning, sigma_of(model, timestep), grid)


def capture(
    model: ModelPatcher,
    latent: torch.Tensor,
    conditioning: list[Any],
    *,
    timestep: int,
    noise_seed: int | None,
    resolutions: str,
    batch_index: list[int] | None = None,
    noise_mask: torch.Tensor | None = None,
    on_layer: Callable[[int, int], None] = lambda done, total: None,
) -> AttentionMaps:
    """Run one denoising step through ComfyUI's own sampling path and gather the self-attention.

    The MODEL that comes in is not changed: patches go on a clone. Guidance functions (PAG, SAG, custom
    CFG) and ComfyUI's torch.compile wrapper are left out of the clone; everything else (LoRA, FreeU,
    cross-attention patches, control, hooks, attention overrides) acts as in sampling.

    Args:
        model: the MODEL.
        latent: ``[B, C, h, w]`` as a VAE encodes it (not yet scaled).
        conditioning: CONDITIONING of which one plain entry acts; the paper's is the empty prompt.
        timestep: 0..999.
        noise_seed: None for the clean latent, as the paper's code has it; else noise from this seed.
        resolutions: which of the UNet's resolutions to capture; see ``select_levels``.
        batch_index: of the LATENT: for each, the place in its batch whose noise it is given; None: its own.
        noise_mask: of the LATENT; an inpainting model is shown it.
        on_layer: called with the number of layers done and their total.

    Returns:
        the attention maps on ComfyUI's intermediate device.

    Raises:
        UnsupportedModelError, InvalidSettingError: before the model runs.
        CaptureError: an attention layer did not run as expected.
    """
    unet = _supported_unet(model)
    check_samples(latent, latent_channels(model))
    grid = GridSize(*latent.shape[2:])
    conditioning = checked_conditioning(model, conditioning, timestep, grid, resolutions)
    layers = captured_layers(unet, resolutions)
    accumulator = AttentionAccumulator()
    clone = _plain_clone(model)
    pending = list(layers)
    for layer in layers:
        hook = _capture_hook(layer, accumulator, pending, lambda: on_layer(accumulator.layers, len(layers)))
        clone.set_model_attn1_replace(hook, layer.block, layer.number, layer.index)
    with misfits_named(model, conditioning, grid):
        denoise_once(
            clone,
            latent,
            conditioning,
            timestep=timestep,
            noise_seed=noise_seed,
            batch_index=batch_index,
            noise_mask=noise_mask,
        )
    if pending:
        raise CaptureError(
            f"Expected all {len(layers)} self-attention layers to run once, but {pending[0]} did not "
            f"({len(pending)} missing). A compiled model, a patch that replaces whole blocks, a cache "
            "that skips them, or a conditioning limited to other timesteps does this: connect the model "
            "and conditioning without it."
        )
    return accumulator.finish(comfy.model_management.intermediate_device())


def _supported_unet(model: ModelPatcher) -> UNetModel:
    config = getattr(model.model, "model_config", None)
    unet = model.get_model_object("diffusion_model")
    name = type(config if config is not None else model.model).__name__
    if not isinstance(config, SUPPORTED_CONFIGS):
        raise UnsupportedModelError(
            f"Expected a Stable Diffusion UNet ({SUPPORTED}), got {name}. Other architectures have no "
            "self-attention over an image grid that DiffSeg can read: load one of those checkpoints."
        )
    channels = config.unet_config.get("in_channels", 4)
    if channels not in PLAIN_INPUT_CHANNELS:
        raise UnsupportedModelError(
            f"Expected a model with {PLAIN_INPUT_CHANNELS[0]} input channels (or an inpainting model with "
            f"{PLAIN_INPUT_CHANNELS[1]}), got {name} with {channels}, which needs further input images."
        )
    if hasattr(unet, "_orig_mod"):
        raise UnsupportedModelError(
            "Expected an uncompiled model, got one whose diffusion_model was replaced by torch.compile: "
            "connect the model before the compile node."
        )
    video = any(isinstance(module, SpatialVideoTransformer) for module in unet.modules())
    if not isinstance(unet, UNetModel) or video:
        raise UnsupportedModelError(
            f"Expected a Stable Diffusion UNet ({SUPPORTED}), got {name} with {type(unet).__name__}."
        )
    return unet


def check_finest_grid(layers: list[SelfAttentionLayer], grid: GridSize) -> None:
    """Refuse a latent of which the layers would see a single row or column.

    Args:
        layers: those that are captured.
        grid: height and width of the latent.

    Raises:
        InvalidSettingError: the finest attention grid is narrower than 2 places.
    """
    halvings = 2 ** min(layer.level for layer in layers)
    finest = GridSize(-(-grid.height // halvings), -(-grid.width // halvings))
    if min(finest) < 2:
        raise InvalidSettingError(
            f"Expected a latent with an attention grid of at least 2×2 places, got {finest} from a latent of "
            f"{grid}. Use a larger image, or more of the model's resolutions."
        )


def _plain_clone(model: ModelPatcher) -> ModelPatcher:
    """A clone without guidance functions and without ComfyUI's torch.compile wrapper."""
    clone = model.clone()
    for option in GUIDANCE_OPTIONS:
        clone.model_options.pop(option, None)
    clone.remove_wrappers_with_key(WrappersMP.APPLY_MODEL, "torch.compile")
    return clone


def _capture_hook(
    layer: SelfAttentionLayer,
    accumulator: AttentionAccumulator,
    pending: list[SelfAttentionLayer],
    on_layer: Callable[[], None],
) -> Callable[..., torch.Tensor]:
    """A replacement for one self-attention layer: projected q, k, v ``[B, n, heads·d]`` to its output."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        batch, _, height, width = options["activations_shape"]
        grid = GridSize(height, width)
        if q.shape[:2] != (batch, grid.tokens) or k.shape != q.shape or v.shape != q.shape:
            raise CaptureError(
                f"Expected {grid.tokens} tokens for the {grid} grid at {layer}, got {q.shape[1]} queries "
                f"and {k.shape[1]} keys in a batch of {q.shape[0]} (expected {batch}). A patch that "
                "merges or folds tokens (ToMe, HyperTile) or adds tokens of another image (reference "
                "attention) does this: connect the model before that patch."
            )
        if layer not in pending:
            raise CaptureError(
                f"Expected {layer} to run once, but it ran again: a patch or wrapper calls the model more "
                "than once a step. Connect the model before that patch."
            )
        pending.remove(layer)

        def heads(tokens: torch.Tensor) -> torch.Tensor:
            return tokens.unflatten(2, (layer.heads, -1)).transpose(1, 2)  # [B, heads, n, d]

        output = accumulator.attend(heads(q), heads(k), heads(v), grid)
        on_layer()
        return output.transpose(1, 2).flatten(2)

    return attend
