"""DiffSeg Filter Segments: choose segments by number, area and place."""

from __future__ import annotations

from ..diffseg_core import filter_segments, parse_indices
from ..diffseg_core.settings import BORDER, KEEP_LARGEST, LARGEST_AREA, PLACE, SMALLEST_AREA, Border, Place
from .comfy.api import io
from .inputs import choice_input, number_input, refusal, segments_input
from .outputs import as_output, count_output
from .types import MORE, CapturedSegments, SegmentsType


class DiffSegFilter(io.ComfyNode):
    """The segments that meet every criterion, and one mask of them all."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegFilter",
            display_name="DiffSeg Filter Segments",
            category=MORE,
            description="Keeps the segments that meet every criterion, in each image of a batch.",
            search_aliases=["select segment", "mask by area", "largest segment", "pick mask", "diffseg"],
            inputs=[
                segments_input(),
                io.String.Input(
                    "indices",
                    default="",
                    placeholder="0, 2, 5-7",
                    tooltip="Numbers as the preview shows them, such as 0, 2, 5-7. Empty for all.",
                ),
                number_input(
                    "smallest_area",
                    SMALLEST_AREA,
                    "In percent of the image. Smaller segments are left out.",
                    step=0.1,
                ),
                number_input(
                    "largest_area",
                    LARGEST_AREA,
                    "In percent of the image. Larger segments are left out.",
                    step=0.1,
                ),
                choice_input("border", BORDER, "Whether segments must or must not touch the image's edge."),
                number_input(
                    "keep_largest", KEEP_LARGEST, "How many of the remaining segments to keep; 0 keeps all."
                ),
                choice_input(
                    "place", PLACE, "Keep only the remaining segment that lies farthest to that side."
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments", tooltip="The segments kept, renumbered from 0, the largest."
                ),
                io.Mask.Output(display_name="mask", tooltip="All segments kept as one mask for each image."),
                count_output(),
            ],
        )

    @classmethod
    def validate_inputs(cls, indices: str | None = None) -> bool | str:
        """Refuse text that is no list of indices before anything runs; a linked one is not known yet."""
        return refusal(lambda: parse_indices(indices or ""))

    @classmethod
    def execute(
        cls,
        segments: CapturedSegments,
        indices: str,
        smallest_area: float,
        largest_area: float,
        border: Border,
        keep_largest: int,
        place: Place,
    ) -> io.NodeOutput:
        kept = filter_segments(
            segments.segments,
            indices=parse_indices(indices),
            smallest_area=SMALLEST_AREA.checked_percent(smallest_area),
            largest_area=LARGEST_AREA.checked_percent(largest_area),
            border=border,
            keep_largest=keep_largest,
            place=place,
        )
        return io.NodeOutput(segments.replaced(kept), as_output(kept.union()), sum(kept.counts))
