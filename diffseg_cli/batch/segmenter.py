"""A model that is loaded once, and segments one image after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from diffseg_core.attention.diffusers_capture import backbone_of, capture_diffusers, encode_empty_prompt
from diffseg_core.attention.diffusers_prompts import Prompt as Encoded
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.editing.edge_refinement import refine_edges
from diffseg_core.images import Images, as_images
from diffseg_core.merging.segment import segment
from diffseg_core.nested.segment_nested import segment_nested
from diffseg_core.prompting.find_object import find_objects
from diffseg_core.segments import Segments

from .models import load_pipeline
from .settings import CaptureSettings, MergeSettings, ModelChoice, NestedSettings, SegmentSettings

if TYPE_CHECKING:
    from diffseg_core.attention.diffusers_capture import Pipeline
    from diffseg_core.images import ImageLike
    from diffseg_core.prompting.prompts import Prompt


class Segmenter:
    """The whole method, from an image to its segments.

    The model is loaded, and the empty prompt encoded, when the object is made; the text encoders' memory is
    then given back.

    Args:
        choice: which model, and how it runs.
        capture: how its attention is captured.

    Raises:
        UnsupportedModelError: a model whose self-attention cannot be read.
        InvalidSettingError: no such model or device, or blocks that the model does not have.
    """

    def __init__(self, choice: ModelChoice, capture: CaptureSettings) -> None:
        self._capture = capture
        self._pipeline = load_pipeline(choice)
        backbone_of(self._pipeline, capture.resolutions, capture.blocks)  # refuses what it does not have
        self._prompt = _empty_prompt(self._pipeline)

    def capture(self, image: ImageLike) -> AttentionMaps:
        """Run the model over one image, the expensive step.

        Args:
            image: from 1×1 pixels; at most 200 times as long as it is broad.

        Raises:
            InvalidSettingError: a longer image, or a setting that the model does not allow.
            CaptureError: the attention did not arrive as expected.
        """
        checked = as_images(image)
        return capture_diffusers(
            self._pipeline,
            checked,
            timestep=self._capture.timestep,
            noise_seed=self._capture.noise_seed,
            size=self._capture.working_size or None,
            resolutions=self._capture.resolutions,
            blocks=self._capture.blocks,
            remove_position=self._capture.remove_position,
            prompt_embeds=self._prompt.embeds,
            pooled_prompt_embeds=self._prompt.pooled,
            prompt_embeds_mask=self._prompt.mask,
        )

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


def segment_maps(
    maps: AttentionMaps,
    image: ImageLike,
    settings: SegmentSettings,
    objects: Mapping[str, Sequence[Prompt]] | None = None,
) -> Segments:
    """Segments of captured attention; to try several settings on one capture.

    An attention grid that is narrower than the anchors (a panorama of 12,000×400 pixels has eight rows) is
    given as many as it takes: images of any shape go through one run at one setting.

    Args:
        maps: the captured attention.
        image: that of the capture; the label map has its size.
        settings: as of DiffSeg Segment or DiffSeg Hierarchy; areas in percent.
        objects: as of `Segmenter.segment`.

    Raises:
        InvalidSettingError: a setting outside its range.
    """
    checked = as_images(image)
    if isinstance(settings.method, NestedSettings):
        segments = _nested(maps, checked, settings.method)
    else:
        segments = _merged(maps, checked, settings.method)
    if objects is not None:
        segments, _ = find_objects(segments, checked, objects)
    return refine_edges(segments, checked) if settings.refine_edges else segments


def _nested(maps: AttentionMaps, image: Images, settings: NestedSettings) -> Segments:
    return segment_nested(
        maps,
        image,
        number=settings.number,
        height=settings.height,
        neighbours_only=settings.neighbours_only,
        contrast=settings.contrast,
        colour=settings.colour,
        finest=settings.finest / 100.0,
    )


def _merged(maps: AttentionMaps, image: Images, settings: MergeSettings) -> Segments:
    return segment(
        maps,
        image.size,
        merge_threshold=settings.merge_threshold,
        merge_passes=settings.merge_passes,
        anchors=settings.anchors,
        refine=settings.refinement,
        smallest_area=settings.smallest_area / 100.0,
    )


def _empty_prompt(pipeline: Pipeline) -> Encoded:
    """The embeddings of the empty prompt; zeros for a model trained without prompts."""
    if pipeline.text_encoder is None and hasattr(pipeline, "unet"):
        return Encoded(torch.zeros(1, 1, pipeline.unet.config.cross_attention_dim))
    encoded = encode_empty_prompt(pipeline)
    for name in ("text_encoder", "text_encoder_2", "text_encoder_3"):
        if hasattr(pipeline, name):
            setattr(pipeline, name, None)
    return encoded
