"""DiffSeg Refine Edges: borders of segments follow the picture."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io

from ..diffseg_core import Segments, refine, soft_masks
from .types import CATEGORY, SegmentsType


class DiffSegRefine(io.ComfyNode):
    """Segments with the picture's own edges, and their masks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs as ComfyUI shows them."""
        return io.Schema(
            node_id="DiffSegRefine",
            display_name="DiffSeg Refine Edges",
            category=CATEGORY,
            description=(
                "Moves the borders of segments to the edges of the picture, at its full size: the attention "
                "says what belongs together, the picture where it ends. Nothing vanishes, thin parts stay."
            ),
            search_aliases=["refine mask", "edge aware", "soft mask", "matting", "feather", "diffseg"],
            inputs=[
                SegmentsType.Input(
                    "segments", tooltip="From DiffSeg Segment or any node that gives segments."
                ),
                io.Image.Input("image", tooltip="The picture that went into the capture."),
                io.Float.Input(
                    "reach",
                    default=0.0,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    tooltip="In per cent of the picture's longer side: how far a border may move. 0 is as "
                    "far as the attention is unsure, one and a half of its tokens.",
                ),
                io.Boolean.Input(
                    "soft",
                    default=False,
                    tooltip="Give masks of probabilities, sharp at the picture's edges and gradual "
                    "elsewhere, in place of zeros and ones.",
                ),
                io.Int.Input(
                    "image_index",
                    default=0,
                    min=0,
                    max=4095,
                    tooltip="Which picture of a batch to give the masks of; the first is 0. The segments of "
                    "all are refined.",
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments",
                    tooltip="As many segments as before, numbered anew from 0, the largest; without the tree "
                    "of DiffSeg Hierarchy.",
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="One mask for each segment of one picture, the largest first. They add up to 1, "
                    "except where no segment is. One empty mask if there is no segment.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, segments: Segments, image: torch.Tensor, reach: float, soft: bool, image_index: int
    ) -> io.NodeOutput:
        """Refine every picture's segments."""
        segments.labels_of(image_index)  # refused before anything is done
        progress = comfy.utils.ProgressBar(segments.batch_size)

        def on_image(done: int) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            progress.update_absolute(done)

        on_step = comfy.model_management.throw_exception_if_processing_interrupted
        refined = refine(segments, image, reach / 100.0 if reach else None, on_image, on_step)
        masks = soft_masks(refined, image, image_index, on_step) if soft else refined.masks(image_index)
        if not len(masks):
            masks = masks.new_zeros(1, *refined.image_size)
        return io.NodeOutput(refined, masks.to(comfy.model_management.intermediate_device()))
