"""DiffSeg Segments to Masks: every segment as a MASK."""

from __future__ import annotations

from comfy_api.latest import io

from ..diffseg_core import Segments
from .inputs import image_index_input
from .outputs import mask_batch
from .types import CATEGORY, SegmentsType


class DiffSegMasks(io.ComfyNode):
    """One mask per segment, the largest first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegMasks",
            display_name="DiffSeg Segments to Masks",
            category=CATEGORY,
            description=(
                "Gives every segment of one image as a mask of its own, at the image's size, the largest "
                "first, numbered as in the preview. Take single ones with Mask From Batch-type nodes."
            ),
            search_aliases=["segment anything", "mask batch", "split mask", "all masks", "diffseg"],
            inputs=[
                SegmentsType.Input("segments", tooltip="From DiffSeg Segment."),
                image_index_input("Which image of a batch to take the segments of; the first is 0."),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="masks",
                    tooltip="A batch of masks [number of segments, height, width] of zeros and ones, in "
                    "descending order of area, without overlap; together they cover the image, unless "
                    "segments were filtered out. One empty mask if there is no segment.",
                )
            ],
        )

    @classmethod
    def execute(cls, segments: Segments, image_index: int) -> io.NodeOutput:
        return io.NodeOutput(mask_batch(segments.masks(image_index), segments.image_size))
