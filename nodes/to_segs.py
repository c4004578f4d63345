"""DiffSeg Segments to SEGS: for the detailers and filters of the Impact Pack."""

from __future__ import annotations

from ..diffseg_core.output.segs import to_segs
from ..diffseg_core.settings import CROP_FACTOR
from .comfy.api import io
from .inputs import captured_images, image_index_input, number_input, segments_input
from .types import MORE, CapturedSegments


class DiffSegToSEGS(io.ComfyNode):
    """One SEG for every segment of one image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegToSEGS",
            display_name="DiffSeg Segments to SEGS",
            category=MORE,
            description=(
                "Gives the segments of one image as SEGS, for the detailers and filters of the Impact Pack."
            ),
            search_aliases=["segs", "impact pack", "detailer", "detector", "mask to segs", "diffseg"],
            inputs=[
                segments_input(),
                number_input(
                    "crop_factor",
                    CROP_FACTOR,
                    "How many times as wide and as high as a segment's bounding box its crop region is.",
                    step=0.1,
                ),
                image_index_input("Which image of a batch to take the segments of; the first is 0."),
            ],
            outputs=[io.SEGS.Output(display_name="segs", tooltip="One SEG for each segment.")],
        )

    @classmethod
    def execute(cls, segments: CapturedSegments, crop_factor: float, image_index: int) -> io.NodeOutput:
        images = captured_images(segments)
        return io.NodeOutput(to_segs(segments.segments, image_index, images, crop_factor))
