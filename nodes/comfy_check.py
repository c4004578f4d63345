"""The captures of a check by ComfyUI, and what is said of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch

from ..diffseg_core import AttentionMaps, GridSize, Images
from ..diffseg_core.attention.working_size import working_size
from ..diffseg_core.checking.results import CheckedModel
from ..diffseg_core.checking.trials import CaptureSettings
from . import comfy_capture
from .comfy_latents import check_vae, encoded
from .comfy_transformer_capture import TransformerCapture

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher


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
        check_vae(vae, model.get_model_object("latent_format"))

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
            architecture=comfy_capture.architecture_name(self._model),
            parameters=comfy_capture.parameters_of(self._model),
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
        latent = encoded(self._vae, Images(image), target)
        self._latents[id(image)] = image, latent  # with the image its id stays its own
        return latent
