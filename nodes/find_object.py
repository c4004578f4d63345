"""DiffSeg Find Object: clicks, boxes and strokes to the mask of one thing."""

from __future__ import annotations

import logging

import comfy.model_management
import torch
from comfy_api.latest import io

from ..diffseg_core import find_objects, parse_objects, segment_hierarchy
from ..diffseg_core.objects.prompts import told_outside, without_words
from .inputs import images_of_capture, refusal
from .progress import progress_over, stop_if_interrupted
from .types import CATEGORY, Attention, CapturedAttention, SegmentsType


class DiffSegObject(io.ComfyNode):
    """The thing that prompts mean, without a canvas: for the API and for pipelines."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegObject",
            display_name="DiffSeg Find Object",
            category=CATEGORY,
            description=(
                "Finds one thing by clicks for and against it, boxes and strokes, written as JSON. It works "
                "on a hierarchy of the captured attention and runs no model: new prompts need no new capture."
            ),
            search_aliases=[
                "click",
                "point",
                "box to mask",
                "segment anything",
                "scribble",
                "diffseg",
            ],
            inputs=[
                Attention.Input("attention", tooltip="From DiffSeg Capture Attention."),
                io.Image.Input(
                    "image",
                    tooltip="The image that went into the capture. The alpha channel is ignored.",
                ),
                io.String.Input(
                    "prompts",
                    default="[]",
                    multiline=True,
                    placeholder='[{"x": 120, "y": 80}, {"x": 40, "y": 30, "label": 0}]',
                    tooltip="JSON, in pixels of the image: clicks, boxes and strokes, each with label 1 for "
                    "the thing (the default) or 0 against it. The help page has examples.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The thing, one mask for each image, of zeros and ones. Empty without a prompt.",
                ),
                SegmentsType.Output(
                    display_name="segments", tooltip="The thing as the only segment of each image."
                ),
                io.Float.Output(
                    display_name="score",
                    tooltip="How well the thing is set off from its surroundings, 0 to 1.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, prompts: str | None = None) -> bool | str:
        """Refuse text that is no list of prompts before anything runs; a linked one is not known yet."""
        return refusal(lambda: without_words(parse_objects(prompts or "")))

    @classmethod
    def execute(cls, attention: CapturedAttention, image: torch.Tensor, prompts: str) -> io.NodeOutput:
        objects = without_words(parse_objects(prompts))
        images = images_of_capture(image, attention)
        every = [prompt for each in objects.values() for prompt in each]
        if told := told_outside(every, images.size)[1]:
            logging.warning("DiffSeg Find Object: %s", told)
        nested = segment_hierarchy(
            attention.maps,
            images,
            on_image=progress_over(attention.maps.batch_size),
            on_step=stop_if_interrupted,
        )
        found, scores = find_objects(nested, images, objects, stop_if_interrupted)
        mask = found.union().to(comfy.model_management.intermediate_device())
        all_scores = [score for image_scores in scores for score in image_scores]
        return io.NodeOutput(mask, found, sum(all_scores) / max(len(all_scores), 1))
