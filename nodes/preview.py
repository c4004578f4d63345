"""DiffSeg Preview: segments drawn over the image."""

from __future__ import annotations

from ..diffseg_core import draw_overlay
from .comfy.api import io, ui
from .inputs import images_to_draw_on, segments_input
from .outputs import as_output
from .types import CATEGORY, CapturedSegments


class DiffSegPreview(io.ComfyNode):
    """Colours, borders and numbers over the image, shown on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegPreview",
            display_name="DiffSeg Preview",
            category=CATEGORY,
            description=(
                "Shows the segments over the image: a tint and a number for each, 0 being the largest."
            ),
            search_aliases=["overlay", "segmentation preview", "show segments", "visualize mask", "diffseg"],
            inputs=[segments_input()],
            outputs=[
                io.Image.Output(display_name="overlay", tooltip="The image with segments drawn over it.")
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, segments: CapturedSegments) -> io.NodeOutput:
        overlay = draw_overlay(images_to_draw_on(segments), segments.segments)
        return io.NodeOutput(as_output(overlay), ui=ui.PreviewImage(overlay, cls=cls))
