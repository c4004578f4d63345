"""The captures of a check by diffusers, and what is said of the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.benchmark.trials import Entry, describe
from diffseg_core.benchmark.words import names_of, other_names
from diffseg_core.diffusers.capture import backbone_of
from diffseg_core.diffusers.transformer_capture import TransformerCapture
from diffseg_core.errors import DiffSegError

from .segmenter import Segmenter, free_text_encoders
from .settings import ModelChoice

NO_TEXT_ENCODER = "the model has no text encoder."
# What tokenizers and text encoders raise on words, DiffSeg's own errors among them.
NOT_ENCODED = (AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


class CheckCapture(Segmenter):
    """A model that is loaded once, and captured at one noise level after the other.

    Args:
        choice: which model, and how it runs.
        settings: of the first capture.

    Attributes:
        no_words: why words cannot be read, as the end of a sentence; "" where they can. `encode_words` adds
            what it could not encode.

    Raises:
        UnsupportedModelError, InvalidSettingError: as of `Segmenter`.
    """

    def __init__(self, choice: ModelChoice, settings: CaptureSettings) -> None:
        super().__init__(choice, settings, further_words=True)
        self.no_words = "" if self.reads_words else NO_TEXT_ENCODER

    def encode_words(self, photographs: Sequence[str]) -> None:
        """Encode the words of some photographs, and free the text encoders' memory.

        Where that fails, `no_words` says why: the rest can be checked all the same.
        """
        try:
            for name in photographs if self.reads_words else ():
                self._encode(names_of(name))
                self._encode(other_names(name))
        except NOT_ENCODED as error:
            kind = "" if isinstance(error, DiffSegError) else f"{type(error).__name__}: "
            self.no_words = f"{kind}{error}"
        free_text_encoders(self._pipeline)

    def __call__(self, image: torch.Tensor, settings: CaptureSettings) -> AttentionMaps:
        """Capture an image, float32 ``[1, H, W, 3]`` in 0..1."""
        self._capture = settings
        return self.capture(image)

    @property
    def model(self) -> Entry:
        """What is said of it, for the record."""
        backbone = backbone_of(self._pipeline)
        return describe(
            backbone.model,
            backbone.architecture.name,
            backbone.model.dtype,
            self._pipeline.device,
            isinstance(backbone, TransformerCapture),
            "diffusers",
        )
