"""DiffSeg Refine Edges: borders of segments follow the image."""

from __future__ import annotations

import torch

from ..diffseg_core import refine_edges, soft_masks
from ..diffseg_core.settings import REACH, SOFT
from .comfy.api import io
from .inputs import checked_images, number_input, required_image, switch_input
from .outputs import mask_batch
from .progress import progress_over, stop_if_interrupted
from .types import CATEGORY, CapturedSegments, SegmentsType


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
                    "image",
                    optional=True,
                    tooltip="Instead of the captured one: an image of the same size whose edges the borders "
                    "follow. The alpha channel is ignored.",
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
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments",
                    tooltip="As many segments as before, renumbered from 0, the largest, with the tree of "
                    "DiffSeg Hierarchy where they have one.",
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="One mask for each segment, the largest first, image after image. Those of an "
                    "image add up to 1, except where no segment is. One empty mask if there is no segment.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, segments: CapturedSegments, reach: float, soft: bool, image: torch.Tensor | None = None
    ) -> io.NodeOutput:
        SOFT.checked(soft)  # before anything is done
        found = segments.segments
        images = checked_images(required_image(image, segments.capture))
        refined = refine_edges(
            found, images, REACH.checked_percent(reach), progress_over(found.batch_size), stop_if_interrupted
        )
        masks = [
            soft_masks(refined, images, index, stop_if_interrupted) if soft else refined.masks(index)
            for index in range(refined.batch_size)
        ]
        return io.NodeOutput(
            segments.replaced(refined, image), mask_batch(torch.cat(masks), refined.image_size)
        )
