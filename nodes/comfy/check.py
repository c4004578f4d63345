"""The captures of a check by ComfyUI, and what is said of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch

from ...diffseg_core import AttentionMaps, GridSize, Images
from ...diffseg_core.attention.capture_settings import CaptureSettings, ModelInputs, working_size
from ...diffseg_core.benchmark.trials import CheckedModel
from ...diffseg_core.words.lines import WordAttention, WordLine
from ..types import CapturedAttention
from . import capture as comfy_capture
from .latents import Latent, check_vae, encoded, latent_grid
from .transformer_capture import TransformerCapture
from .words import read_words

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

SMALL = 50_000_000  # parameters: all models of the supported architectures that people use have more


class CheckCapture:
    """A MODEL that is captured at one noise level after the other, over images that are encoded once.

    Args:
        model: the MODEL; it is not changed.
        vae: its VAE.
        conditioning: CONDITIONING of which one entry acts.
        clip: its CLIP, to read words with; None where there is none.

    Raises:
        UnsupportedModelError, InvalidSettingError: a model that cannot be captured, or another model's VAE.
    """

    def __init__(self, model: ModelPatcher, vae: Any, conditioning: list[Any], clip: Any = None) -> None:
        self._model, self._vae, self._conditioning, self._clip = model, vae, conditioning, clip
        self._backbone = comfy_capture.backbone_of(model)
        self._latents: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        check_vae(vae, model.get_model_object("latent_format"))

    def __call__(self, image: torch.Tensor, settings: CaptureSettings) -> AttentionMaps:
        """Capture an image, float32 ``[1, H, W, 3]`` in 0..1."""
        size = self._working_size(image)
        grid = latent_grid(size, self._backbone.latent_pixels)
        step = comfy_capture.prepared(self._model, self._conditioning, settings, grid)  # before the VAE runs
        return step.capture(step.inputs(Latent(self._latent(image, size))))

    def read_words(
        self,
        image: torch.Tensor,
        settings: CaptureSettings,
        maps: AttentionMaps,
        lines: Sequence[WordLine],
    ) -> WordAttention:
        """Read words in an image that was captured, as a `WordReader`.

        Raises:
            UnsupportedModelError, InvalidSettingError, CaptureError: see `words.read_words`.
        """
        size = self._working_size(image)
        step = ModelInputs(self._backbone.name, self._latent(image, size), settings)
        return read_words(self._model, self._clip, CapturedAttention(maps, size, step), lines)

    @property
    def model(self) -> CheckedModel:
        """What is said of it."""
        net = self._model.get_model_object("diffusion_model")
        name, parameters = self._backbone.name, sum(weight.numel() for weight in net.parameters())
        # With its size, so that what suits DiffSeg Demo Model is not taken for what suits SD 1.5.
        return CheckedModel(
            architecture=name if parameters >= SMALL else f"{name}-{parameters / 1e6:.1f}M",
            parameters=parameters,
            dtype=str(self._model.model.get_dtype()).removeprefix("torch."),
            device=comfy.model_management.get_torch_device().type,
            is_transformer=isinstance(self._backbone, TransformerCapture),
            host="ComfyUI",
        )

    def _working_size(self, image: torch.Tensor) -> GridSize:
        size = GridSize(*image.shape[1:3])
        return working_size(size, self._backbone.architecture.native_side, self._backbone.multiple)

    def _latent(self, image: torch.Tensor, size: GridSize) -> torch.Tensor:
        if id(image) not in self._latents:  # kept with the image, so that its id stays its own
            self._latents[id(image)] = image, encoded(self._vae, Images(image), size)
        return self._latents[id(image)][1]
