"""DiffSeg Segments to Masks: every segment as a MASK."""

from __future__ import annotations

import torch

from .comfy.api import io
from .outputs import mask_batch
from .types import MORE, CapturedSegments, SegmentsType


class DiffSegMasks(io.ComfyNode):
    """One mask per segment, the largest first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegMasks",
            display_name="DiffSeg Segments to Masks",
            category=MORE,
            description=(
                "Gives every segment as a mask of its own, at the image's size, the largest first, numbered "
                "as in the preview; of a batch of images, one image after the other. Take single ones "
                "with Mask From Batch-type nodes."
            ),
            search_aliases=["segment anything", "mask batch", "split mask", "all masks", "diffseg"],
            inputs=[
                SegmentsType.Input("segments", tooltip="From DiffSeg Segment."),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="masks",
                    tooltip="A batch of masks [number of segments, height, width] of zeros and ones, in "
                    "descending order of area, image after image. Those of an image do not overlap; together "
                    "they cover it, unless "
                    "segments were filtered out. One empty mask if there is no segment.",
                )
            ],
        )

    @classmethod
    def execute(cls, segments: CapturedSegments) -> io.NodeOutput:
        found = segments.segments
        every = torch.cat([found.masks(index) for index in range(found.batch_size)])
        return io.NodeOutput(mask_batch(every, found.image_size))
