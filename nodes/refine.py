"""DiffSeg Refine Edges: borders of segments follow the image."""

from __future__ import annotations

import torch

from ..diffseg_core import refine_edges, soft_masks
from ..diffseg_core.settings import REACH, SOFT
from .comfy.api import io
from .inputs import number_input, required_images, segments_input, segments_on, switch_input
from .outputs import mask_batch
from .progress import progress_over
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
                "Moves the borders of segments to the edges of the image, at its full size. Nothing "
                "vanishes, thin parts stay."
            ),
            search_aliases=["refine mask", "edge aware", "soft mask", "matting", "feather", "diffseg"],
            inputs=[
                segments_input(),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Instead of the captured one, upscaled for instance: borders follow its edges.",
                ),
                number_input(
                    "reach",
                    REACH,
                    "How far a border may move, in percent of the image's longer side. 0 is by itself.",
                    step=0.1,
                ),
                switch_input("soft", SOFT, "Masks of probabilities, gradual away from the image's edges."),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments", tooltip="As many segments as before, with their tree."
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="One for each segment, the largest first, image after image.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, segments: CapturedSegments, reach: float, soft: bool, image: torch.Tensor | None = None
    ) -> io.NodeOutput:
        SOFT.checked(soft)  # before anything is done
        segments = segments_on(segments, image)
        batch, images = segments.segments, required_images(segments.capture)
        with progress_over(batch.batch_size):
            refined = refine_edges(batch, images, REACH.checked_percent(reach))
            masks = [
                soft_masks(refined, images, index) if soft else refined.masks(index)
                for index in range(refined.batch_size)
            ]
        return io.NodeOutput(segments.replaced(refined), mask_batch(torch.cat(masks), refined.image_size))
