"""DiffSeg Hierarchy: attention and an image to segments of every granularity."""

from __future__ import annotations

import torch

from ..diffseg_core import Segments, segment_cut, segment_hierarchy
from ..diffseg_core.hierarchy.segment_hierarchy import chosen_evidence
from ..diffseg_core.images import check_images
from ..diffseg_core.settings import CUT, CUT_THRESHOLD, FINEST, HEIGHT, NEIGHBOURS_ONLY, NUMBER, Cut
from .comfy.api import io, ui
from .inputs import capture_on, choice_input, number_input, required_images, switch_input
from .outputs import count_output
from .progress import progress_over
from .types import CATEGORY, ESSENTIALS, Attention, CapturedAttention, CapturedSegments, SegmentsType


class DiffSegHierarchy(io.ComfyNode):
    """Nested segments: one tree, and a cut through it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegHierarchy",
            display_name="DiffSeg Hierarchy",
            category=CATEGORY,
            essentials_category=ESSENTIALS,
            description=(
                "Segments of every granularity from one capture, without a threshold. Pieces of the image "
                "join two by two, those first whose attention is most alike."
            ),
            search_aliases=["granularity", "segment anything", "auto mask", "DiffCut", "ncut", "diffseg"],
            inputs=[
                Attention.Input("attention", tooltip="From DiffSeg Capture Attention."),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Instead of the captured one: an upscaled one, say. Needed for a latent.",
                ),
                choice_input("cut", CUT, "Which segments come out. automatic needs no number."),
                number_input("number", NUMBER, "Number of segments in each image, where cut says so."),
                number_input(
                    "height",
                    HEIGHT,
                    "How different two segments may be and still join, in nats, where cut says so.",
                    step=0.001,
                    round=0.00001,
                ),
                number_input(
                    "threshold",
                    CUT_THRESHOLD,
                    "Of a normalised cut: higher gives more segments. 0.5 in the paper of DiffCut.",
                    step=0.01,
                    round=0.0001,
                ),
                switch_input(
                    "neighbours_only",
                    NEIGHBOURS_ONLY,
                    "Join only what has a common border. Off: things of one kind become one segment.",
                ),
                number_input(
                    "finest",
                    FINEST,
                    "Smallest area of the finest segments, in percent of the image.",
                    step=0.01,
                    advanced=True,
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments", tooltip="0 is the largest; with the tree of all other cuts."
                ),
                count_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        attention: CapturedAttention,
        cut: Cut,
        number: int,
        height: float,
        threshold: float,
        neighbours_only: bool,
        finest: float,
        image: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        CUT.checked(cut)
        attention = capture_on(attention, image)
        maps, images = attention.maps, required_images(attention)
        check_images(images, maps.batch_size, attention.image_size, "attention")
        with progress_over(maps.batch_size):
            if cut == "normalised cut":
                return cls._output(segment_cut(maps, images, threshold), attention)
            segments = segment_hierarchy(
                maps,
                images,
                number=NUMBER.checked(number) if cut == "number of segments" else None,
                height=HEIGHT.checked(height) if cut == "height" else None,
                neighbours_only=neighbours_only,
                finest=FINEST.checked_percent(finest),
            )
        return cls._output(segments, attention, chosen_evidence("automatic", maps))

    @classmethod
    def _output(
        cls, segments: Segments, attention: CapturedAttention, evidence: str = "attention"
    ) -> io.NodeOutput:
        """The segments and their number; evidence other than attention is said on the node."""
        said = None if evidence == "attention" else ui.PreviewText(f"evidence: {evidence}")
        return io.NodeOutput(CapturedSegments(segments, attention), sum(segments.counts), ui=said)
