"""DiffSeg Hierarchy: attention and an image to segments of every granularity."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui

from ..diffseg_core import segment_hierarchy
from ..diffseg_core.hierarchy.segment_hierarchy import chosen_evidence
from ..diffseg_core.settings import (
    COLOUR,
    CONTRAST,
    CUT,
    EVIDENCE,
    FINEST,
    HEIGHT,
    NEIGHBOURS_ONLY,
    NUMBER,
    Cut,
    Evidence,
)
from .inputs import choice_input, images_of_capture, number_input, switch_input
from .progress import progress_over, stop_if_interrupted
from .types import CATEGORY, Attention, CapturedAttention, SegmentsType


class DiffSegHierarchy(io.ComfyNode):
    """Nested segments: one tree, and a cut through it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegHierarchy",
            display_name="DiffSeg Hierarchy",
            category=CATEGORY,
            description=(
                "Segments of every granularity from one capture, without a threshold: small pieces of the "
                "image join two by two, those first whose attention is most alike. Connect DiffSeg Select "
                "Segments and move its slider from coarse to fine. Borders follow the image's edges."
            ),
            search_aliases=["granularity", "segment anything", "auto mask", "superpixels", "tree", "diffseg"],
            inputs=[
                Attention.Input("attention", tooltip="From DiffSeg Capture Attention."),
                io.Image.Input(
                    "image",
                    tooltip="The image that went into the capture: borders follow its edges. "
                    "The alpha channel is ignored.",
                ),
                choice_input(
                    "cut",
                    CUT,
                    "Which segments come out. automatic needs no number and suits any model. The "
                    "slider of DiffSeg Select Segments reaches every other cut afterwards.",
                ),
                number_input("number", NUMBER, "Number of segments in each image, where cut says so."),
                number_input(
                    "height",
                    HEIGHT,
                    "How different two segments may be and still join, in nats, where cut says so. "
                    "Useful values depend on the model.",
                    step=0.001,
                    round=0.00001,
                ),
                switch_input(
                    "neighbours_only",
                    NEIGHBOURS_ONLY,
                    "Join only what has a common border. Off: things of one kind become one segment, "
                    "wherever they are in the image.",
                ),
                number_input(
                    "contrast",
                    CONTRAST,
                    "How much the image's contrast across a border keeps two segments apart. 0 "
                    "goes without it. Only for neighbours.",
                    step=0.05,
                    advanced=True,
                ),
                number_input(
                    "colour",
                    COLOUR,
                    "How much the segments' colours count beside the attention. 0 goes without them, "
                    "1 gives both the same weight.",
                    step=0.05,
                    advanced=True,
                ),
                number_input(
                    "finest",
                    FINEST,
                    "In percent of the image. The smallest area of the finest segments. Less "
                    "finds smaller things and takes longer.",
                    step=0.01,
                    advanced=True,
                ),
                choice_input(
                    "evidence",
                    EVIDENCE,
                    "What says how alike pieces are: the attention, the model's features (what one "
                    "of its layers makes of each place), or both. automatic takes the features for SDXL "
                    "and its small relatives, whose attention is known to be weak, and the attention for all "
                    "others.",
                    optional=True,
                    advanced=True,
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments",
                    tooltip="A label for every pixel at the image's own size, 0 is the largest segment; "
                    "with the tree of all other cuts.",
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
        image: torch.Tensor,
        cut: Cut,
        number: int,
        height: float,
        neighbours_only: bool,
        contrast: float,
        colour: float,
        finest: float,
        evidence: Evidence = "automatic",
    ) -> io.NodeOutput:
        CUT.checked(cut)
        images = images_of_capture(image, attention)
        segments = segment_hierarchy(
            attention.maps,
            images,
            number=NUMBER.checked(number) if cut == "number of segments" else None,
            height=HEIGHT.checked(height) if cut == "height" else None,
            neighbours_only=neighbours_only,
            contrast=contrast,
            colour=colour,
            finest=FINEST.checked_percent(finest),
            evidence=evidence,
            on_image=progress_over(attention.maps.batch_size),
            on_step=stop_if_interrupted,
        )
        chosen = chosen_evidence(evidence, attention.maps)
        # Said on the node where automatic takes something else than it always did.
        told = f"evidence: {chosen}" if evidence == "automatic" and chosen != "attention" else None
        return io.NodeOutput(
            segments, sum(segments.counts), ui=None if told is None else ui.PreviewText(told)
        )
