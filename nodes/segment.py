"""DiffSeg Segment: attention to segments, by the paper's iterative merging."""

from __future__ import annotations

from ..diffseg_core import segment
from ..diffseg_core.settings import ANCHORS, MERGE_THRESHOLD, SMALLEST_PIECE
from .comfy.api import io
from .inputs import number_input
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
                "Merges attention maps that look alike into segments: every pixel of the image belongs to "
                "exactly one. Fast, and does not run the model: turn the threshold until the number of "
                "segments suits you."
            ),
            search_aliases=["segment anything", "segmentation", "auto mask", "panoptic", "diffseg"],
            inputs=[
                Attention.Input("attention", tooltip="From DiffSeg Capture Attention."),
                number_input(
                    "merge_threshold",
                    MERGE_THRESHOLD,
                    "How different two attention maps may be and still merge (symmetric KL "
                    "divergence, nats). Higher gives fewer, larger segments. 0.9 to 1.1 suits Stable "
                    "Diffusion, 0.3 to 0.7 the demo model, whose attention is flatter.",
                    step=0.01,
                ),
                number_input(
                    "anchors",
                    ANCHORS,
                    "Starting points per side of a grid over the image (16 gives 256). More find "
                    "smaller things and take longer. A grid with a shorter side has fewer.",
                    advanced=True,
                ),
                number_input(
                    "smallest_area",
                    SMALLEST_PIECE,
                    "In percent of the image. Connected pieces smaller than this join the "
                    "neighbour with which they share most border. 0 keeps everything.",
                    step=0.05,
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments",
                    tooltip="A label for every pixel at the image's own size; 0 is the largest segment.",
                ),
                io.Int.Output(
                    display_name="count",
                    tooltip="Number of segments; for a batch of images, of all of them together.",
                ),
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
        found = segment(
            attention.maps,
            attention.image_size,
            merge_threshold=merge_threshold,
            anchors=anchors,
            smallest_area=SMALLEST_PIECE.checked_percent(smallest_area),
            on_image=progress_over(attention.maps.batch_size),
            on_step=stop_if_interrupted,
        )
        return io.NodeOutput(CapturedSegments(found, attention), sum(found.counts))
