"""A model that is loaded once, and segments one image after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import torch

from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.benchmark.trials import Entry, describe
from diffseg_core.benchmark.words import names_of, other_names
from diffseg_core.diffusers.capture import backbone_of, capture_diffusers
from diffseg_core.diffusers.prompts import Encoding, encode_text, missing_text_encoders
from diffseg_core.diffusers.prompts import Prompt as Encoded
from diffseg_core.diffusers.transformer_capture import TransformerCapture
from diffseg_core.diffusers.words import encode_words, read_words
from diffseg_core.editing.edge_refinement import refine_edges
from diffseg_core.errors import DiffSegError
from diffseg_core.hierarchy.segment_hierarchy import segment_hierarchy
from diffseg_core.images import as_images
from diffseg_core.merging.segment import segment
from diffseg_core.objects.find_object import find_objects
from diffseg_core.segments import Segments
from diffseg_core.settings import FINEST, SMALLEST_PIECE, Evidence
from diffseg_core.words.find_words import FoundWords, find_words, refine_found
from diffseg_core.words.lines import WordAttention, WordLine, parse_words

from .models import load_pipeline
from .settings import ModelChoice, NestedSettings, SegmentSettings, WordSettings

if TYPE_CHECKING:
    from diffseg_core.diffusers.capture import Pipeline
    from diffseg_core.images import ImageLike
    from diffseg_core.objects.prompts import Prompt

KEPT_WORDS = 32
"""How many lists of words are kept as they were encoded; of T5-XXL one takes some 8 MB."""
NO_TEXT_ENCODER = "the model has no text encoder."
# What tokenizers and text encoders raise on words, DiffSeg's own errors among them.
NOT_ENCODED = (AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


class Segmenter:
    """The whole method, from an image to its segments.

    The model is loaded, and the empty prompt and words encoded, when the object is made; the text encoders'
    memory is then given back.

    Args:
        choice: which model, and how it runs.
        capture: how its attention is captured.
        words: that are looked for in the images.
        further_words: whether others may be, too, for which the text encoders stay.

    Attributes:
        reads_words: whether it was made to read words, and has the text encoders for it.

    Raises:
        UnsupportedModelError: a model whose self-attention cannot be read.
        InvalidSettingError: no such model or device, blocks that the model does not have, or words without a
            text encoder, or more than it reads.
    """

    def __init__(
        self,
        choice: ModelChoice,
        capture: CaptureSettings,
        words: Sequence[WordLine] = (),
        further_words: bool = False,
    ) -> None:
        self._capture = capture
        self._pipeline = load_pipeline(choice)
        # Refuses what the model does not have.
        encoding = backbone_of(self._pipeline, capture.layers).encoding
        has_encoders = not missing_text_encoders(self._pipeline, encoding)
        self.reads_words = has_encoders and bool(words or further_words)
        # The text encoders run once for words that many images are read with.
        self._encode = lru_cache(KEPT_WORDS)(partial(encode_words, self._pipeline))
        if words:
            self._encode(tuple(words))
        self._prompt = _empty_prompt(self._pipeline, encoding)
        if not further_words:
            free_text_encoders(self._pipeline)

    def capture(self, image: ImageLike) -> AttentionMaps:
        """Run the model over one image with the empty prompt, the expensive step.

        Args:
            image: from 1×1 pixels; at most 200 times as long as it is broad.

        Raises:
            InvalidSettingError: a longer image, or a setting that the model does not allow.
            CaptureError: the attention did not arrive as expected.
        """
        return capture_diffusers(
            self._pipeline,
            as_images(image),
            **vars(self._capture),
            prompt_embeds=self._prompt.embeds,
            pooled_prompt_embeds=self._prompt.pooled,
            prompt_embeds_mask=self._prompt.mask,
        )

    def read_words(self, maps: AttentionMaps, lines: Sequence[WordLine]) -> WordAttention:
        """Attention to words, of an image that `capture` was given.

        Args:
            maps: as `capture` gave them.
            lines: those that the object was made with, or others if it was made for these.

        Raises:
            InvalidSettingError: other words, or more than the text encoders read.
            CaptureError: the attention did not arrive as expected.
        """
        return read_words(self._pipeline, maps, tuple(lines), self._encode(tuple(lines)))

    def find_words(self, image: ImageLike, settings: SegmentSettings, words: WordSettings) -> FoundWords:
        """Capture, segment, and find what the words mean: segments of the image's size with their names.

        Args:
            image: as for `capture`.
            settings: those of a hierarchy.
            words: as the object was made with.

        Raises:
            InvalidSettingError, CaptureError: as for `capture`, `segment_maps` and `read_words`.
        """
        checked = as_images(image)
        maps = self.capture(checked)
        segments = segment_maps(maps, checked, replace(settings, refine_edges=False))
        words_found = find_words(
            segments,
            maps,
            self.read_words(maps, parse_words(words.words)),
            threshold=words.words_threshold,
            background_offset=words.background_offset,
        )
        return refine_found(words_found, checked) if settings.refine_edges else words_found

    def segment(
        self,
        image: ImageLike,
        settings: SegmentSettings,
        objects: Mapping[str, Sequence[Prompt]] | None = None,
    ) -> Segments:
        """Capture, and segment: labels of the image's size.

        Args:
            image: as for `capture`.
            settings: with objects, those of a hierarchy.
            objects: the prompts of each by its name, which then are the only segments; None for segments of
                everything.

        Raises:
            InvalidSettingError, CaptureError: as for `capture` and `segment_maps`.
        """
        checked = as_images(image)
        return segment_maps(self.capture(checked), checked, settings, objects)


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


def segment_maps(
    maps: AttentionMaps,
    image: ImageLike,
    settings: SegmentSettings,
    objects: Mapping[str, Sequence[Prompt]] | None = None,
    evidence: Evidence = "automatic",
) -> Segments:
    """Segments of captured attention; to try several settings on one capture.

    An attention grid that is narrower than the anchors (a panorama of 12,000×400 pixels has eight rows) is
    given as many as it takes: images of any shape go through one run at one setting.

    Args:
        maps: the captured attention.
        image: that of the capture; the label map has its size.
        settings: as of DiffSeg Segment or DiffSeg Hierarchy; areas in percent.
        objects: see `Segmenter.segment`.
        evidence: of a hierarchy, what tells segments apart.

    Raises:
        InvalidSettingError: a setting outside its range, or features as evidence where there are none.
    """
    checked = as_images(image)
    method = settings.method
    if isinstance(method, NestedSettings):
        segments = segment_hierarchy(
            maps,
            checked,
            number=method.number,
            height=method.height,
            neighbours_only=method.neighbours_only,
            contrast=method.contrast,
            colour=method.colour,
            finest=FINEST.checked_percent(method.finest),
            evidence=evidence,
        )
    else:
        segments = segment(
            maps,
            checked.size,
            merge_threshold=method.merge_threshold,
            merge_passes=method.merge_passes,
            anchors=method.anchors,
            refine=method.refinement,
            smallest_area=SMALLEST_PIECE.checked_percent(method.smallest_area),
        )
    if objects is not None:
        segments, _ = find_objects(segments, checked, objects)
    return refine_edges(segments, checked) if settings.refine_edges else segments


def _empty_prompt(pipeline: Pipeline, encoding: Encoding) -> Encoded:
    """The embeddings of the empty prompt; zeros for a model trained without prompts."""
    if pipeline.text_encoder is None and hasattr(pipeline, "unet"):
        return Encoded(torch.zeros(1, 1, pipeline.unet.config.cross_attention_dim))
    return encode_text(pipeline, encoding, "")


def free_text_encoders(pipeline: Pipeline) -> None:
    """Give their memory back; words that were encoded before can still be read."""
    for name in ("text_encoder", "text_encoder_2", "text_encoder_3"):
        if hasattr(pipeline, name):
            setattr(pipeline, name, None)
