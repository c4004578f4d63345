"""DiffSeg Refine Edges: borders of segments follow the image."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..diffseg_core import Segments, refine_edges, soft_masks
from ..diffseg_core.checks import position
from ..diffseg_core.settings import REACH, SOFT
from .inputs import checked_images, image_index_input, number_input, switch_input
from .outputs import mask_batch
from .progress import progress_over, stop_if_interrupted
from .types import CATEGORY, SegmentsType


class DiffSegRefine(io.ComfyNode):
    """Segments with the image's own edges, and their masks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegRefine",
            display_name="DiffSeg Refine Edges",
            category=CATEGORY,
            description=(
                "Moves the borders of segments to the edges of the image, at its full size: the attention "
                "says what belongs together, the image where it ends. Nothing vanishes, thin parts stay."
            ),
            search_aliases=["refine mask", "edge aware", "soft mask", "matting", "feather", "diffseg"],
            inputs=[
                SegmentsType.Input(
                    "segments", tooltip="From DiffSeg Segment or any node that gives segments."
                ),
                io.Image.Input(
                    "image", tooltip="The image that went into the capture. The alpha channel is ignored."
                ),
                number_input(
                    "reach",
                    REACH,
                    "In percent of the image's longer side: how far a border may move. 0 is as "
                    "far as the attention is unsure, one and a half of its tokens.",
                    step=0.1,
                ),
                switch_input(
                    "soft",
                    SOFT,
                    "Give masks of probabilities, sharp at the image's edges and gradual "
                    "elsewhere, in place of zeros and ones.",
                ),
                image_index_input(
                    "Which image of a batch to give the masks of; the first is 0. The segments of "
                    "all are refined."
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments",
                    tooltip="As many segments as before, renumbered from 0, the largest, with the tree of "
                    "DiffSeg Hierarchy where they have one.",
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="One mask for each segment of one image, the largest first. They add up to 1, "
                    "except where no segment is. One empty mask if there is no segment.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, segments: Segments, image: torch.Tensor, reach: float, soft: bool, image_index: int
    ) -> io.NodeOutput:
        # Refused before anything is done.
        image_index = position(image_index, segments.batch_size, "an image index", "images")
        SOFT.checked(soft)
        images = checked_images(image)
        refined = refine_edges(
            segments,
            images,
            REACH.checked_percent(reach),
            progress_over(segments.batch_size),
            stop_if_interrupted,
        )
        if soft:
            masks = soft_masks(refined, images, image_index, stop_if_interrupted)
        else:
            masks = refined.masks(image_index)
        return io.NodeOutput(refined, mask_batch(masks, refined.image_size))
