"""DiffSeg Segment: attention to segments, by the paper's iterative merging."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from ..diffseg_core import segment
from ..diffseg_core.merging.segment import Refinement
from .progress import progress_over, stop_if_interrupted
from .types import CATEGORY, Attention, CapturedAttention, SegmentsType


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
                io.Float.Input(
                    "merge_threshold",
                    default=1.0,
                    min=0.01,
                    max=10.0,
                    step=0.01,
                    tooltip="How different two attention maps may be and still merge (symmetric KL "
                    "divergence, nats). Higher gives fewer, larger segments. 0.9 to 1.1 suits Stable "
                    "Diffusion, 0.3 to 0.7 the demo model, whose attention is flatter.",
                ),
                io.Int.Input(
                    "merge_passes",
                    default=3,
                    min=1,
                    max=20,
                    tooltip="How often merging is repeated. The paper uses 3; more changes little.",
                    advanced=True,
                ),
                io.Int.Input(
                    "anchors",
                    default=16,
                    min=2,
                    max=128,
                    tooltip="Starting points per side of a grid over the image (16 gives 256). More find "
                    "smaller things and take longer. A grid with a shorter side has fewer.",
                    advanced=True,
                ),
                io.Combo.Input(
                    "refinement",
                    options=list(get_args(Refinement)),
                    default="none",
                    tooltip="k-means: after merging, let every attention map choose its nearest segment and "
                    "average again until nothing changes. Smoother segments, a little slower.",
                    advanced=True,
                ),
                io.Float.Input(
                    "smallest_area",
                    default=0.0,
                    min=0.0,
                    max=50.0,
                    step=0.05,
                    tooltip="In percent of the image. Connected pieces smaller than this join the "
                    "neighbour with which they share most border. 0 keeps everything.",
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
        merge_passes: int,
        anchors: int,
        refinement: Refinement,
        smallest_area: float,
    ) -> io.NodeOutput:
        segments = segment(
            attention.maps,
            attention.image_size,
            merge_threshold=merge_threshold,
            merge_passes=merge_passes,
            anchors=anchors,
            refine=refinement,
            smallest_area=smallest_area / 100.0,
            on_image=progress_over(attention.maps.batch_size),
            on_step=stop_if_interrupted,
        )
        return io.NodeOutput(segments, sum(segments.counts))
