"""A model that is loaded once, and segments one picture after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from diffseg_core.attention.diffusers_capture import capture_diffusers, encode_empty_prompt
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.editing.edge_refinement import refine
from diffseg_core.errors import InvalidSettingError
from diffseg_core.merging.segment import segment
from diffseg_core.nested.segment_nested import segment_nested
from diffseg_core.segments import Segments

from .models import load_pipeline
from .settings import CaptureSettings, MergeSettings, ModelChoice, NestedSettings, SegmentSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    from diffseg_core.attention.diffusers_capture import Pipeline

MOST_ELONGATED = 200
"""Length over breadth. Above, the shortest working side of 64 pixels would make the attention many times as
large as that of other pictures."""


class Segmenter:
    """The whole method, from a picture to its segments.

    The model is loaded, and the empty prompt encoded, when the object is made; the text encoders' memory is
    then given back.

    Args:
        choice: which model, and how it runs.
        capture: how its attention is captured.

    Raises:
        UnsupportedModelError: a model whose self-attention cannot be read.
        InvalidSettingError: no such model or device.
    """

    def __init__(self, choice: ModelChoice, capture: CaptureSettings) -> None:
        self._capture = capture
        self._pipeline = load_pipeline(choice)
        self._prompt, self._pooled_prompt = _empty_prompt(self._pipeline)

    def capture(self, picture: Image) -> AttentionMaps:
        """Run the model over one picture, the expensive step.

        Args:
            picture: mode RGB, from 1×1 pixels; at most 200 times as long as it is broad.

        Raises:
            InvalidSettingError: a longer picture, or a setting that the model does not allow.
            CaptureError: the attention did not arrive as expected.
        """
        longer, shorter = max(picture.size), min(picture.size)
        if longer > MOST_ELONGATED * shorter:
            raise InvalidSettingError(
                f"Expected a picture at most {MOST_ELONGATED} times as long as broad, "
                f"got {picture.width}×{picture.height} pixels. Cut it into parts."
            )
        return capture_diffusers(
            self._pipeline,
            picture,
            timestep=self._capture.timestep,
            noise_seed=self._capture.noise_seed,
            size=self._capture.working_size or None,
            resolutions=self._capture.resolutions,
            prompt_embeds=self._prompt,
            pooled_prompt_embeds=self._pooled_prompt,
        )

    def segment(self, picture: Image, settings: SegmentSettings) -> Segments:
        """Capture, and segment: labels of the picture's size.

        Raises:
            InvalidSettingError, CaptureError: as for `capture` and `segment_maps`.
        """
        return segment_maps(self.capture(picture), picture, settings)


def segment_maps(maps: AttentionMaps, picture: Image, settings: SegmentSettings) -> Segments:
    """Segments of captured attention; to try several settings on one capture.

    An attention grid that is narrower than the anchors (a panorama of 12,000×400 pixels has eight rows) is
    given as many as it takes: pictures of any shape go through one run at one setting.

    Args:
        maps: the captured attention.
        picture: that of the capture, mode RGB; the label map has its size.
        settings: as of DiffSeg Segment or DiffSeg Hierarchy; areas in per cent.

    Raises:
        InvalidSettingError: a setting outside its range.
    """
    pixels = torch.from_numpy(np.array(picture)).float()[None] / 255.0  # [1, H, W, 3]
    if isinstance(settings.method, NestedSettings):
        segments = _nested(maps, pixels, settings.method)
    else:
        segments = _merged(maps, picture, settings.method)
    return refine(segments, pixels) if settings.refine_edges else segments


def _nested(maps: AttentionMaps, pixels: torch.Tensor, settings: NestedSettings) -> Segments:
    return segment_nested(
        maps,
        pixels,
        number=settings.number,
        height=settings.height,
        neighbours_only=settings.neighbours_only,
        contrast=settings.contrast,
        colour=settings.colour,
        finest=settings.finest / 100.0,
    )


def _merged(maps: AttentionMaps, picture: Image, settings: MergeSettings) -> Segments:
    return segment(
        maps,
        (picture.height, picture.width),
        merge_threshold=settings.merge_threshold,
        merge_passes=settings.merge_passes,
        anchors=min(settings.anchors, *maps.grid),
        refine=settings.refinement,
        smallest_area=settings.smallest_area / 100.0,
    )


def _empty_prompt(pipeline: Pipeline) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The embedding of the empty prompt, and SDXL's pooled one; zeros for a model trained without prompts."""
    if pipeline.text_encoder is None:
        return torch.zeros(1, 1, pipeline.unet.config.cross_attention_dim), None
    encoded = encode_empty_prompt(pipeline)
    pipeline.text_encoder = None
    if hasattr(pipeline, "text_encoder_2"):
        pipeline.text_encoder_2 = None
    return encoded
