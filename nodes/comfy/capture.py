"""Capturing a loaded MODEL's self-attention."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import comfy.model_management
import torch
from comfy.ldm.modules.attention import SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.patcher_extension import WrappersMP

from ...diffseg_core import AttentionAccumulator, AttentionMaps, GridSize, UnsupportedModelError
from ...diffseg_core.attention.blocks import RECOMMENDED
from ...diffseg_core.attention.capture_checks import checked_capture
from ...diffseg_core.attention.compiled import RUNS_UNCOMPILED, not_compiled, uncompiled
from ...diffseg_core.attention.maps import Evidence
from ...diffseg_core.errors import ANOTHER_MODEL
from ...diffseg_core.settings import KeepQueries
from .conditioning import acting_conditioning
from .forward import denoise_once
from .latents import check_samples, grid_of
from .patches import misfits_named
from .transformer_capture import TransformerCapture
from .transformers import REPLACED, SUPPORTED_TRANSFORMERS, transformer_of
from .unet import SUPPORTED_CONFIGS, SUPPORTED_UNETS, UNetCapture

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

PLAIN_INPUT_CHANNELS = (4, 9)  # of a UNet; 9: inpainting models, whose mask and image ComfyUI fills in
SMALL = 50_000_000  # parameters: all models of the supported architectures that people use have more
# Guidance runs the model again or changes its output; a capture needs one plain prediction.
GUIDANCE_OPTIONS = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
    "disable_cfg1_optimization",
    "context_handler",  # context windows: a batch in parts, each of which would run the model
)


class Backbone(Protocol):
    """How the attention of one model is captured, with what of it: a UNet or a transformer."""

    @property
    def name(self) -> str:
        """Of the architecture."""

    @property
    def native_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""

    @property
    def multiple(self) -> int:
        """Pixels; the sides of what the model looks at are multiples."""

    @property
    def latent_pixels(self) -> int:
        """Pixels to a latent's side."""

    @property
    def evidence(self) -> Evidence:
        """What is better known to tell segments apart in it."""

    def sigma(self, model: ModelPatcher, level: int) -> torch.Tensor:
        """The σ ``[1]`` of a noise level."""

    def check(self, model: ModelPatcher, conditioning: list[Any], grid: GridSize) -> None:
        """Refuse what would fail, or be captured wrongly, before a VAE or the model runs."""

    def captured(
        self,
        clone: ModelPatcher,
        batch: int,
        grid: GridSize,
        conditioning: list[Any],
        accumulator: AttentionAccumulator,
        on_layer: Callable[[int, int], None],
    ) -> AbstractContextManager[None]:
        """While open, one forward pass of the clone hands its attention to the accumulator."""


def backbone_of(
    model: ModelPatcher,
    resolutions: str = "all",
    blocks: str = RECOMMENDED,
    keep_queries: KeepQueries = "automatic",
) -> Backbone:
    """Choose by the class of the diffusion model.

    Args:
        model: the MODEL.
        resolutions: of a UNet, which to capture; see ``select_levels``.
        blocks: of a transformer, which to capture; see ``choose_blocks``.
        keep_queries: of a UNet, to the text; see ``worth_keeping``. A transformer has no use for it.

    Raises:
        UnsupportedModelError: not one of the supported architectures.
    """
    config = getattr(model.model, "model_config", None)
    net = uncompiled(model.get_model_object("diffusion_model"))
    name = type(config if config is not None else model.model).__name__
    if not RUNS_UNCOMPILED and any(uncompiled(part) is not part for part in model.object_patches.values()):
        raise UnsupportedModelError(
            "Expected an uncompiled model, got one with parts that torch.compile made, which PyTorch "
            f"{torch.__version__} cannot run as they were written. Connect the model before the compile "
            "node, or use PyTorch 2.6 or newer."
        )
    row = transformer_of(name, net)
    if row is not None:
        pixels = getattr(model.get_model_object("latent_format"), "spacial_downscale_ratio", 8)
        return TransformerCapture(row, net, pixels, blocks)
    if isinstance(config, SUPPORTED_CONFIGS) and not isinstance(net, UNetModel):
        raise UnsupportedModelError(
            f"Expected {name} as ComfyUI runs it (UNetModel), got {type(net).__name__}. {REPLACED}"
        )
    is_video = any(isinstance(module, SpatialVideoTransformer) for module in net.modules())
    if not isinstance(config, SUPPORTED_CONFIGS) or not isinstance(net, UNetModel) or is_video:
        own = "" if isinstance(net, UNetModel) else f" ({type(net).__name__})"
        raise UnsupportedModelError(
            f"Expected a model that DiffSeg can read, got {name}{own}. These work: {SUPPORTED_UNETS}; "
            f"{SUPPORTED_TRANSFORMERS}. Models of videos, of pixels without a VAE, Stable Cascade and others "
            f"do not. {ANOTHER_MODEL}"
        )
    channels = config.unet_config.get("in_channels", 4)
    if channels not in PLAIN_INPUT_CHANNELS:
        raise UnsupportedModelError(
            f"Expected a model with {PLAIN_INPUT_CHANNELS[0]} input channels (or an inpainting model with "
            f"{PLAIN_INPUT_CHANNELS[1]}), got {name} with {channels}, which needs further input images. "
            f"{ANOTHER_MODEL}"
        )
    predicts_v = model.model.model_type.name == "V_PREDICTION"
    return UNetCapture(net, config, predicts_v, resolutions, keep_queries)


def architecture_name(model: ModelPatcher) -> str:
    """The architecture's name; with the size of a model far smaller than its kind.

    So what suits DiffSeg Demo Model, which is built as SD 1.5 is, is not taken for what suits SD 1.5.

    Raises:
        UnsupportedModelError: not one of the supported architectures.
    """
    name, parameters = backbone_of(model).name, parameters_of(model)
    return name if parameters >= SMALL else f"{name}-{parameters / 1e6:.1f}M"


def parameters_of(model: ModelPatcher) -> int:
    """How many the diffusion model has."""
    return sum(each.numel() for each in model.get_model_object("diffusion_model").parameters())


def checked_conditioning(
    model: ModelPatcher, backbone: Backbone, conditioning: list[Any], level: int, grid: GridSize
) -> list[Any]:
    """All that can be checked before a VAE or the model runs, and the entry that acts.

    Args:
        model: the MODEL.
        backbone: of the model.
        conditioning: CONDITIONING.
        level: of noise, 0..1000.
        grid: height and width of the latent.

    Returns:
        CONDITIONING of the one entry that acts at the noise level.

    Raises:
        UnsupportedModelError, InvalidSettingError: the capture cannot be made.
    """
    acting = acting_conditioning(model, conditioning, backbone.sigma(model, level), grid)
    backbone.check(model, acting, grid)
    return acting


def capture(
    model: ModelPatcher,
    latent: torch.Tensor,
    conditioning: list[Any],
    *,
    timestep: int,
    noise_seed: int | None,
    resolutions: str = "all",
    blocks: str = RECOMMENDED,
    remove_position: bool = False,
    keep_queries: KeepQueries = "automatic",
    batch_index: list[int] | None = None,
    noise_mask: torch.Tensor | None = None,
    on_layer: Callable[[int, int], None] = lambda done, total: None,
) -> AttentionMaps:
    """Run one denoising step through ComfyUI's own sampling path and gather the self-attention.

    The MODEL that comes in is not changed: patches go on a clone. Guidance functions (PAG, SAG, custom
    CFG) are left out of the clone, and what is compiled runs as it was written; everything else (LoRA,
    FreeU, cross-attention patches, control, hooks, attention overrides) acts as in sampling.

    Args:
        model: the MODEL.
        latent: ``[B, C, h, w]`` as a VAE encodes it (not yet scaled); ``[B, C, 1, h, w]`` too where the VAE
            is one of videos.
        conditioning: CONDITIONING of which one plain entry acts; the paper's is the empty prompt.
        timestep: the noise level, 0..1000: a UNet's timestep, a flow model's share of noise in thousandths.
        noise_seed: None for the clean latent, as the paper's code has it; else noise from this seed.
        resolutions: of a UNet, which to capture; see ``select_levels``.
        blocks: of a transformer, which to capture; see ``choose_blocks``.
        remove_position: whether to take out what depends on displacement alone; see ``without_position``.
        keep_queries: of a UNet, to the text, for words that come later; see ``worth_keeping``.
        batch_index: of the LATENT: for each, the place in its batch whose noise it is given; None: its own.
        noise_mask: of the LATENT; an inpainting model is shown it.
        on_layer: called with the number of layers done and their total.

    Returns:
        the attention maps, with features and queries, on ComfyUI's intermediate device.

    Raises:
        UnsupportedModelError, InvalidSettingError: before the model runs.
        CaptureError: an attention layer did not run as expected.
    """
    settings = checked_capture(timestep, noise_seed, resolutions, blocks, remove_position, keep_queries)
    backbone = backbone_of(model, settings.resolutions, settings.blocks, settings.keep_queries)
    accumulator = AttentionAccumulator()

    def gathering(
        clone: ModelPatcher, batch: int, grid: GridSize, acting: list[Any]
    ) -> AbstractContextManager[None]:
        return backbone.captured(clone, batch, grid, acting, accumulator, on_layer)

    run_once(
        model,
        backbone,
        latent,
        conditioning,
        gathering,
        level=settings.timestep,
        noise_seed=settings.noise_seed,
        batch_index=batch_index,
        noise_mask=noise_mask,
    )
    return accumulator.finish(
        comfy.model_management.intermediate_device(),
        evidence=backbone.evidence,
        remove_position=settings.remove_position,
    )


def run_once(
    model: ModelPatcher,
    backbone: Backbone,
    latent: torch.Tensor,
    conditioning: list[Any],
    gathering: Callable[[ModelPatcher, int, GridSize, list[Any]], AbstractContextManager[None]],
    *,
    level: int,
    noise_seed: int | None,
    batch_index: list[int] | None = None,
    noise_mask: torch.Tensor | None = None,
) -> None:
    """Run one denoising step, as a `capture` does, while something is gathered.

    Args:
        model: the MODEL; it is not changed.
        backbone: of the model.
        latent: see `capture`.
        conditioning: see `capture`.
        gathering: given a clone that it may patch, the number of images, the latent's height and width and
            the conditioning that acts: what is to be open during the forward pass.
        level: of noise, 0..1000.
        noise_seed: see `capture`.
        batch_index: see `capture`.
        noise_mask: see `capture`.

    Raises:
        UnsupportedModelError, InvalidSettingError: before the model runs.
        CaptureError: an attention layer did not run as expected.
    """
    latent_format = model.get_model_object("latent_format")
    check_samples(latent, latent_format)
    grid = grid_of(latent)
    conditioning = checked_conditioning(model, backbone, conditioning, level, grid)
    if latent_format.latent_dimensions == 3 and latent.ndim == 4:
        # As one frame: a video's mean and spread would else be spread over it, and make it a video.
        latent = latent.unsqueeze(2)
    clone = _plain_clone(model)
    with not_compiled(), misfits_named(model, conditioning, grid):
        denoise_once(
            clone,
            latent,
            conditioning,
            sigma=backbone.sigma(model, level),
            noise_seed=noise_seed,
            batch_index=batch_index,
            noise_mask=noise_mask,
            around=gathering(clone, len(latent), grid, conditioning),
        )


def _plain_clone(model: ModelPatcher) -> ModelPatcher:
    """A clone without guidance functions and without ComfyUI's torch.compile wrapper."""
    clone = model.clone()
    for option in GUIDANCE_OPTIONS:
        clone.model_options.pop(option, None)
    clone.remove_wrappers_with_key(WrappersMP.APPLY_MODEL, "torch.compile")
    return clone
