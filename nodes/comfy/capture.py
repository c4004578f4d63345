"""Capturing a loaded MODEL's self-attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.patcher_extension import WrappersMP

from ...diffseg_core import AttentionAccumulator, AttentionMaps, GridSize, UnsupportedModelError
from ...diffseg_core.attention.capture_settings import CaptureSettings, ModelInputs
from ...diffseg_core.attention.layers import RECOMMENDED
from ...diffseg_core.attention.probe import RUNS_UNCOMPILED, not_compiled, uncompiled
from ...diffseg_core.attention.text import TextAccumulator
from ...diffseg_core.errors import ANOTHER_MODEL
from .conditioning import acting_conditioning
from .forward import denoise_once
from .latents import Latent, check_samples
from .patches import explained_shape_errors
from .transformer_capture import TransformerCapture
from .transformers import REPLACED, SUPPORTED_TRANSFORMERS, transformer_of
from .unet import CONFIGS, SUPPORTED_UNETS, UNetCapture

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

PLAIN_INPUT_CHANNELS = (4, 9)  # of a UNet; 9: inpainting models, whose mask and image ComfyUI fills in
# Guidance runs the model again or changes its output; a capture needs one plain prediction.
GUIDANCE_OPTIONS = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
    "disable_cfg1_optimization",
    "context_handler",  # context windows: a batch in parts, each of which would run the model
)


Backbone = UNetCapture | TransformerCapture
"""How the attention of one model is captured, with what of it."""


def backbone_of(model: ModelPatcher, layers: str = RECOMMENDED) -> Backbone:
    """Choose by the class of the diffusion model.

    Args:
        model: the MODEL.
        layers: which to capture; see `CaptureSettings`.

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
        return TransformerCapture(row, net, pixels, layers)
    is_known = isinstance(config, tuple(CONFIGS.values()))
    if is_known and not isinstance(net, UNetModel):
        raise UnsupportedModelError(
            f"Expected {name} as ComfyUI runs it (UNetModel), got {type(net).__name__}. {REPLACED}"
        )
    is_video = any(isinstance(module, SpatialVideoTransformer) for module in net.modules())
    if config is None or not is_known or is_video:
        kind = "" if isinstance(net, UNetModel) else f" ({type(net).__name__})"
        raise UnsupportedModelError(
            f"Expected a model that DiffSeg can read, got {name}{kind}. These work: {SUPPORTED_UNETS}; "
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
    return UNetCapture(net, config, predicts_v, layers)


@dataclass(frozen=True)
class PreparedStep:
    """A denoising step in which nothing is left that could be refused before a VAE or the model runs."""

    model: ModelPatcher
    backbone: Backbone
    conditioning: list[Any]  # of the one entry that acts at the noise level
    settings: CaptureSettings  # with a noise level
    grid: GridSize  # of the latent

    def inputs(self, latent: Latent) -> ModelInputs:
        """What the model is given in this step.

        Raises:
            InvalidSettingError: a latent that the model cannot look at, as where a VAE overflows.
        """
        check_samples(latent.samples, self.model.get_model_object("latent_format"))
        return ModelInputs(
            self.backbone.name, latent.samples, self.settings, latent.batch_index, latent.noise_mask
        )

    def run(
        self,
        inputs: ModelInputs,
        accumulator: AttentionAccumulator | TextAccumulator,
        on_layer: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Run the step through ComfyUI's own sampling path, while something is gathered.

        The MODEL that came in is not changed: patches go on a clone. Guidance functions (PAG, SAG, custom
        CFG) are left out of the clone, and what is compiled runs as it was written; everything else (LoRA,
        FreeU, cross-attention patches, control, hooks, attention overrides) acts as in sampling.

        Args:
            inputs: of a latent with this grid.
            accumulator: gathers the self-attention; of a transformer also one to the conditioning.
            on_layer: called with the number of layers done and their total.

        Raises:
            CaptureError: an attention layer did not run as expected.
        """
        samples = inputs.latents
        if self.model.get_model_object("latent_format").latent_dimensions == 3 and samples.ndim == 4:
            # As one frame: a video's mean and spread would else be spread over it, and make it a video.
            samples = samples.unsqueeze(2)
        clone = _plain_clone(self.model)
        watched = self.backbone.captured(
            clone, len(samples), self.grid, self.conditioning, accumulator, on_layer
        )
        with not_compiled(), explained_shape_errors(self.model, self.conditioning, self.grid):
            denoise_once(
                clone,
                samples,
                self.conditioning,
                sigma=self.backbone.sigma(self.model, inputs.noise_level),
                noise_seed=inputs.settings.noise_seed,
                batch_index=inputs.batch_index,
                noise_mask=inputs.noise_mask,
                around=watched,
            )

    def capture(
        self, inputs: ModelInputs, on_layer: Callable[[int, int], None] = lambda done, total: None
    ) -> AttentionMaps:
        """The self-attention of the step, with features and queries, on ComfyUI's intermediate device.

        Arguments and errors are those of `run`.
        """
        accumulator = AttentionAccumulator()
        self.run(inputs, accumulator, on_layer)
        return accumulator.finish(
            comfy.model_management.intermediate_device(), evidence=self.backbone.architecture.evidence
        )


def prepared(
    model: ModelPatcher,
    conditioning: list[Any],
    settings: CaptureSettings,
    grid: GridSize,
    backbone: Backbone | None = None,
) -> PreparedStep:
    """Refuse all that can be refused before a VAE or the model runs.

    Args:
        model: the MODEL.
        conditioning: CONDITIONING of which one plain entry acts; the paper's is the empty prompt.
        settings: of the capture.
        grid: height and width of the latent.
        backbone: of the model, where it is known.

    Raises:
        UnsupportedModelError, InvalidSettingError: the capture cannot be made.
    """
    backbone = backbone_of(model, settings.layers) if backbone is None else backbone
    settings = settings.at_level(backbone.architecture.noise_level)
    assert settings.noise_level is not None
    sigma = backbone.sigma(model, settings.noise_level)
    acting = acting_conditioning(model, conditioning, sigma, grid)
    backbone.check(model, acting, grid)
    return PreparedStep(model, backbone, acting, settings, grid)


def _plain_clone(model: ModelPatcher) -> ModelPatcher:
    """A clone without guidance functions and without ComfyUI's torch.compile wrapper."""
    clone = model.clone()
    for option in GUIDANCE_OPTIONS:
        clone.model_options.pop(option, None)
    clone.remove_wrappers_with_key(WrappersMP.APPLY_MODEL, "torch.compile")
    return clone
