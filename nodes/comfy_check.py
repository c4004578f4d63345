"""The captures of a check by ComfyUI, and what is said of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch

from ..diffseg_core import AttentionMaps, GridSize, Images, InvalidSettingError
from ..diffseg_core.attention.working_size import working_size
from ..diffseg_core.checking.results import CheckedModel
from ..diffseg_core.checking.trials import CaptureSettings
from . import comfy_capture
from .capture import _encoded  # to be public, or in a module of its own
from .comfy_transformer_capture import TransformerCapture

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

SMALL = 50_000_000  # parameters: all models of the supported architectures that people use have more


def architecture_name(model: ModelPatcher) -> str:
    """By which presets are kept: the architecture's; with the size of a model far smaller than its kind.

    So what suits DiffSeg Demo Model, which is built as SD 1.5 is, is not taken for what suits SD 1.5.

    Raises:
        UnsupportedModelError: not one of the supported architectures.
    """
    name, parameters = comfy_capture.backbone_of(model).name, _parameters(model)
    return name if parameters >= SMALL else f"{name}-{parameters / 1e6:.1f}M"


class CheckCapture:
    """A MODEL that is captured at one noise level after the other, over images that are encoded once.

    Args:
        model: the MODEL; it is not changed.
        vae: its VAE.
        conditioning: CONDITIONING of which one entry acts.

    Raises:
        UnsupportedModelError, InvalidSettingError: a model that cannot be captured, or another model's VAE.
    """

    def __init__(self, model: ModelPatcher, vae: Any, conditioning: list[Any]) -> None:
        self._model, self._vae, self._conditioning = model, vae, conditioning
        self._backbone = comfy_capture.backbone_of(model)
        self._latents: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        channels = comfy_capture.latent_channels(model)
        if vae.latent_channels != channels:
            raise InvalidSettingError(
                f"Expected a VAE of {channels} latent channels as the model has, got {vae.latent_channels}. "
                "Connect the VAE that belongs to the model."
            )

    def __call__(self, image: torch.Tensor, settings: CaptureSettings) -> AttentionMaps:
        """Capture an image, float32 ``[1, H, W, 3]`` in 0..1."""
        return comfy_capture.capture(
            self._model,
            self._latent(image, settings),
            self._conditioning,
            timestep=settings.noise_level,
            noise_seed=None,
            blocks=settings.blocks,
        )

    @property
    def model(self) -> CheckedModel:
        """What is said of it."""
        return CheckedModel(
            architecture=architecture_name(self._model),
            parameters=_parameters(self._model),
            dtype=str(self._model.model.get_dtype()).removeprefix("torch."),
            device=comfy.model_management.get_torch_device().type,
            is_transformer=isinstance(self._backbone, TransformerCapture),
            host="ComfyUI",
        )

    def _latent(self, image: torch.Tensor, settings: CaptureSettings) -> torch.Tensor:
        if id(image) in self._latents:
            return self._latents[id(image)][1]
        size = GridSize(*image.shape[1:3])
        target = working_size(size, self._backbone.native_side, self._backbone.multiple)
        pixels = self._backbone.latent_pixels
        grid = GridSize(target.height // pixels, target.width // pixels)
        comfy_capture.checked_conditioning(
            self._model, self._backbone, self._conditioning, settings.noise_level, grid
        )  # before the VAE runs
        latent = _encoded(self._vae, Images(image), target)
        self._latents[id(image)] = image, latent  # with the image its id stays its own
        return latent


def _parameters(model: ModelPatcher) -> int:
    return sum(each.numel() for each in model.get_model_object("diffusion_model").parameters())
