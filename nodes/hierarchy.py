"""DiffSeg Hierarchy: attention and an image to segments of every granularity."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from comfy_api.latest import io, ui

from ..diffseg_core import segment_nested
from ..diffseg_core.nested.segment_nested import Evidence, chosen_evidence
from .inputs import images_of_capture
from .progress import progress_over, stop_if_interrupted
from .types import CATEGORY, Attention, CapturedAttention, SegmentsType

Cut = Literal["automatic", "number of segments", "height"]


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
                io.Combo.Input(
                    "cut",
                    options=list(get_args(Cut)),
                    default="automatic",
                    tooltip="Which segments come out. automatic needs no number and suits any model. The "
                    "slider of DiffSeg Select Segments reaches every other cut afterwards.",
                ),
                io.Int.Input(
                    "number",
                    default=10,
                    min=1,
                    max=2000,
                    tooltip="Number of segments in each image, where cut says so.",
                ),
                io.Float.Input(
                    "height",
                    default=0.1,
                    min=0.0,
                    max=20.0,
                    step=0.001,
                    round=0.00001,
                    tooltip="How different two segments may be and still join, in nats, where cut says so. "
                    "Useful values depend on the model.",
                ),
                io.Boolean.Input(
                    "neighbours_only",
                    default=True,
                    tooltip="Join only what has a common border. Off: things of one kind become one segment, "
                    "wherever they are in the image.",
                ),
                io.Float.Input(
                    "contrast",
                    default=0.5,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="How much the image's contrast across a border keeps two segments apart. 0 "
                    "goes without it. Only for neighbours.",
                    advanced=True,
                ),
                io.Float.Input(
                    "colour",
                    default=0.25,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="How much the segments' colours count beside the attention. 0 goes without them, "
                    "1 gives both the same weight.",
                    advanced=True,
                ),
                io.Float.Input(
                    "finest",
                    default=0.06,
                    min=0.01,
                    max=10.0,
                    step=0.01,
                    tooltip="In percent of the image. The smallest area of the finest segments. Less "
                    "finds smaller things and takes longer.",
                    advanced=True,
                ),
                io.Combo.Input(
                    "evidence",
                    options=list(get_args(Evidence)),
                    default="automatic",
                    optional=True,
                    tooltip="What says how alike pieces are: the attention, the model's features (what one "
                    "of its layers makes of each place), or both. automatic takes the features for SDXL "
                    "and its small relatives, whose attention is known to be weak, and the attention for all "
                    "others.",
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
        images = images_of_capture(image, attention)
        segments = segment_nested(
            attention.maps,
            images,
            number=number if cut == "number of segments" else None,
            height=height if cut == "height" else None,
            neighbours_only=neighbours_only,
            contrast=contrast,
            colour=colour,
            finest=finest / 100.0,
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
