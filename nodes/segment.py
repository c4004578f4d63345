"""DiffSeg Segment: attention to segments, by the paper's iterative merging."""

from __future__ import annotations

from ..diffseg_core import segment
from ..diffseg_core.settings import ANCHORS, MERGE_THRESHOLD, SMALLEST_PIECE
from .comfy.api import io
from .inputs import number_input
from .outputs import count_output
from .progress import progress_over, stop_if_interrupted
from .types import CATEGORY, Attention, CapturedAttention, CapturedSegments, SegmentsType


class DiffSegSegment(io.ComfyNode):
    """Segments of everything in the image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegSegment",
            display_name="DiffSeg Segment",
            category=CATEGORY,
            description=(
                "Merges attention maps that look alike into segments, as in the paper. Does not run the "
                "model: turn the threshold until the number of segments suits you."
            ),
            search_aliases=["segment anything", "segmentation", "auto mask", "panoptic", "diffseg"],
            inputs=[
                Attention.Input("attention", tooltip="From DiffSeg Capture Attention."),
                number_input(
                    "merge_threshold",
                    MERGE_THRESHOLD,
                    "Higher gives fewer segments. 0.9 to 1.1 suits Stable Diffusion.",
                    step=0.01,
                ),
                number_input(
                    "anchors",
                    ANCHORS,
                    "Starting points per side of a grid over the image. More find smaller things.",
                    advanced=True,
                ),
                number_input(
                    "smallest_area",
                    SMALLEST_PIECE,
                    "In percent of the image. Smaller pieces join a neighbour; 0 keeps everything.",
                    step=0.05,
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments", tooltip="A label for every pixel; 0 is the largest segment."
                ),
                count_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        attention: CapturedAttention,
        merge_threshold: float,
        anchors: int,
        smallest_area: float,
    ) -> io.NodeOutput:
        segments = segment(
            attention.maps,
            attention.image_size,
            merge_threshold=merge_threshold,
            anchors=anchors,
            smallest_area=SMALLEST_PIECE.checked_percent(smallest_area),
            on_image=progress_over(attention.maps.batch_size),
            on_step=stop_if_interrupted,
        )
        return io.NodeOutput(CapturedSegments(segments, attention), sum(segments.counts))
