"""DiffSeg Preview: segments drawn over the image."""

from __future__ import annotations

import comfy.model_management

from ..diffseg_core import draw_label_map, draw_overlay
from .comfy.api import io, ui
from .inputs import checked_images
from .types import CATEGORY, CapturedSegments, SegmentsType


class DiffSegPreview(io.ComfyNode):
    """Colours, borders and numbers over the image, shown on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegPreview",
            display_name="DiffSeg Preview",
            category=CATEGORY,
            description=(
                "Shows the segments over the image: a tint for each that stays the same for the same "
                "segment at every granularity, thin borders, and each segment's number, 0 being the largest."
            ),
            search_aliases=["overlay", "segmentation preview", "show segments", "visualize mask", "diffseg"],
            inputs=[
                SegmentsType.Input(
                    "segments",
                    tooltip="From DiffSeg Hierarchy, DiffSeg Segment or any node that gives segments. Where "
                    "a latent was captured, they are drawn in flat colours.",
                )
            ],
            outputs=[
                io.Image.Output(display_name="overlay", tooltip="The image with segments drawn over it.")
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, segments: CapturedSegments) -> io.NodeOutput:
        found, image = segments.segments, segments.capture.image
        overlay = draw_overlay(draw_label_map(found) if image is None else checked_images(image), found)
        device = comfy.model_management.intermediate_device()
        return io.NodeOutput(overlay.to(device), ui=ui.PreviewImage(overlay, cls=cls))
