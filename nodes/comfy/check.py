"""The captures of a check by ComfyUI, and what is said of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch

from ...diffseg_core import AttentionMaps, GridSize, Images
from ...diffseg_core.attention.capture_settings import CaptureSettings, working_size
from ...diffseg_core.benchmark.trials import Entry, describe
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
        self._latents: dict[torch.Tensor, torch.Tensor] = {}
        self._last: CapturedAttention | None = None
        check_vae(vae, model.get_model_object("latent_format"))

    def __call__(self, image: torch.Tensor, settings: CaptureSettings) -> AttentionMaps:
        """Capture an image, float32 ``[1, H, W, 3]`` in 0..1."""
        row = self._backbone.architecture
        size = working_size(GridSize(*image.shape[1:3]), row.native_side, self._backbone.multiple)
        grid = latent_grid(size, self._backbone.latent_pixels)
        step = comfy_capture.prepared(self._model, self._conditioning, settings, grid)  # before the VAE runs
        if image not in self._latents:
            self._latents[image] = encoded(self._vae, Images(image), size)
        inputs = step.inputs(Latent(self._latents[image]))
        maps = step.capture(inputs)
        self._last = CapturedAttention(maps, size, inputs)
        return maps

    def read_words(self, maps: AttentionMaps, lines: Sequence[WordLine]) -> WordAttention:
        """Read words in the image that was captured last, as a `WordReader`.

        Raises:
            UnsupportedModelError, InvalidSettingError, CaptureError: see `words.read_words`.
        """
        assert self._last is not None, "an image is captured first"
        assert self._last.maps is maps, "words are read in the image that was captured last"
        return read_words(self._model, self._clip, self._last, lines)

    @property
    def model(self) -> Entry:
        """What is said of it, for the record."""
        return describe(
            self._model.get_model_object("diffusion_model"),
            self._backbone.name,
            self._model.model.get_dtype(),
            comfy.model_management.get_torch_device(),
            isinstance(self._backbone, TransformerCapture),
            "ComfyUI",
        )
