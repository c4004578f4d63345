"""DiffSeg Segments to SEGS: for the detailers and filters of the Impact Pack."""

from __future__ import annotations

from ..diffseg_core.output.segs import to_segs
from ..diffseg_core.settings import CROP_FACTOR
from .comfy.api import io
from .inputs import checked_images, image_index_input, number_input
from .types import MORE, CapturedSegments, SegmentsType


class DiffSegToSEGS(io.ComfyNode):
    """One SEG for every segment of one image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegToSEGS",
            display_name="DiffSeg Segments to SEGS",
            category=MORE,
            description=(
                "Gives the segments of one image as SEGS, for the detailers, filters and pickers of the "
                "Impact Pack: one SEG for every segment, the largest first, at the image's own size."
            ),
            search_aliases=["segs", "impact pack", "detailer", "detector", "mask to segs", "diffseg"],
            inputs=[
                SegmentsType.Input("segments", tooltip="From DiffSeg Segment, or filtered."),
                number_input(
                    "crop_factor",
                    CROP_FACTOR,
                    "How many times as wide and as high as a segment's bounding box its crop region "
                    "is, as in the Impact Pack's detectors. The region stays inside the image.",
                    step=0.1,
                ),
                image_index_input("Which image of a batch to take the segments of; the first is 0."),
            ],
            outputs=[
                io.SEGS.Output(
                    display_name="segs",
                    tooltip="One SEG for each segment, labelled by its name or segment 0 and so on, with "
                    "confidence 1 and its piece of the image.",
                )
            ],
        )

    @classmethod
    def execute(cls, segments: CapturedSegments, crop_factor: float, image_index: int) -> io.NodeOutput:
        image = segments.capture.image
        images = None if image is None else checked_images(image)
        return io.NodeOutput(to_segs(segments.segments, image_index, images, crop_factor))
