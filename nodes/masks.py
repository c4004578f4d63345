"""DiffSeg Segments to Masks: every segment as a MASK."""

from __future__ import annotations

import torch

from .comfy.api import io
from .inputs import segments_input
from .outputs import mask_batch
from .types import MORE, CapturedSegments


class DiffSegMasks(io.ComfyNode):
    """One mask per segment, the largest first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegMasks",
            display_name="DiffSeg Segments to Masks",
            category=MORE,
            description=(
                "Gives every segment as a mask of its own, the largest first, numbered as in the preview, "
                "image after image."
            ),
            search_aliases=["segment anything", "mask batch", "split mask", "all masks", "diffseg"],
            inputs=[segments_input()],
            outputs=[
                io.Mask.Output(
                    display_name="masks", tooltip="A batch of masks [number of segments, height, width]."
                )
            ],
        )

    @classmethod
    def execute(cls, segments: CapturedSegments) -> io.NodeOutput:
        batch = segments.segments
        masks = torch.cat([batch.masks(index) for index in range(batch.batch_size)])
        return io.NodeOutput(mask_batch(masks, batch.image_size))
