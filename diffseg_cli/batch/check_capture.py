"""The captures of a check by diffusers, and what is said of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.benchmark.trials import CheckedModel
from diffseg_core.benchmark.words import names_of, other_names
from diffseg_core.diffusers.capture import backbone_of
from diffseg_core.diffusers.transformer_capture import TransformerCapture
from diffseg_core.errors import DiffSegError
from diffseg_core.words.lines import WordAttention, WordLine

from .segmenter import Segmenter, free_text_encoders
from .settings import DEMO, ModelChoice

WHOLE_SDXL = 2_000_000_000  # parameters; its small relatives have fewer
DEMO_MODEL = "the demo model"
NO_TEXT_ENCODER = "the model has no text encoder."
# What tokenizers and text encoders of others raise on words. The check goes on without, and says what it was.
FOREIGN = (AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


class CheckCapture(Segmenter):
    """A model that is loaded once, and captured at one noise level after the other.

    Args:
        choice: which model, and how it runs.
        base: the capture's other settings.

    Attributes:
        no_words: why words cannot be read, as the end of a sentence; "" where they can. `encode_words` adds
            what it could not encode.

    Raises:
        UnsupportedModelError, InvalidSettingError: as of `Segmenter`.
    """

    def __init__(self, choice: ModelChoice, base: CaptureSettings) -> None:
        super().__init__(choice, base, further_words=True)
        self._base = base
        self._name = choice.model
        self.no_words = "" if self.reads_words else NO_TEXT_ENCODER

    def encode_words(self, photographs: Sequence[str]) -> None:
        """Encode the words of some photographs, and free the text encoders' memory.

        Where that fails, `no_words` says why: the rest can be checked all the same.
        """
        try:
            if self.reads_words:
                for lines in (each for name in photographs for each in (names_of(name), other_names(name))):
                    self._encode(lines)
        except DiffSegError as error:
            self.no_words = str(error)
        except FOREIGN as error:
            self.no_words = f"{type(error).__name__}: {error}"
        free_text_encoders(self._pipeline)

    def __call__(self, image: torch.Tensor, settings: CaptureSettings) -> AttentionMaps:
        """Capture an image, float32 ``[1, H, W, 3]`` in 0..1."""
        self._capture = replace(self._base, noise_level=settings.noise_level, layers=settings.layers)
        return self.capture(image)

    def read_words_in(
        self,
        image: torch.Tensor,
        settings: CaptureSettings,
        maps: AttentionMaps,
        lines: Sequence[WordLine],
    ) -> WordAttention:
        """Read words that are encoded in an image that was captured, as a `WordReader`.

        Raises:
            InvalidSettingError, CaptureError: see `Segmenter.read_words`.
        """
        return self.read_words(maps, lines)

    @property
    def model(self) -> CheckedModel:
        """What is said of it."""
        backbone = backbone_of(self._pipeline)
        parameters = sum(weight.numel() for weight in backbone.model.parameters())
        name = backbone.architecture.name
        if name == "SDXL" and parameters < WHOLE_SDXL:
            name = f"{name}-{parameters / 1e6:.0f}M"
        return CheckedModel(
            architecture=name if self._name != DEMO else DEMO_MODEL,
            parameters=parameters,
            dtype=str(backbone.model.dtype).removeprefix("torch."),
            device=self._pipeline.device.type,
            is_transformer=isinstance(backbone, TransformerCapture),
            host="diffusers",
        )
