"""DiffSeg Preview: segments drawn over the image."""

from __future__ import annotations

import comfy.model_management
import torch
from comfy_api.latest import io, ui

from ..diffseg_core import Segments, draw_overlay
from ..diffseg_core.settings import DRAW_BORDERS, DRAW_NUMBERS, OPACITY
from .inputs import checked_images, number_input, switch_input
from .types import CATEGORY, SegmentsType


class DiffSegPreview(io.ComfyNode):
    """Colours, borders and numbers over the image, shown on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegPreview",
            display_name="DiffSeg Preview",
            category=CATEGORY,
            description=(
                "Shows the segments over the image: a tint for each that stays the same for the same "
                "segment at every granularity, thin borders, and each segment's number, 0 being the largest."
            ),
            search_aliases=["overlay", "segmentation preview", "show segments", "visualize mask", "diffseg"],
            inputs=[
                SegmentsType.Input("segments", tooltip="From DiffSeg Hierarchy or DiffSeg Segment."),
                io.Image.Input(
                    "image",
                    tooltip="The image that went into the capture, at the same size. Transparency is left "
                    "out: the colours under it show.",
                ),
                number_input(
                    "opacity", OPACITY, "Of the tint: 0 leaves it out, 1 shows the colours alone.", step=0.05
                ),
                switch_input("borders", DRAW_BORDERS, "Outline every segment, with a light and a dark line."),
                switch_input(
                    "numbers",
                    DRAW_NUMBERS,
                    "Write each segment's number where it has most room, unless it would cover the segment.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="overlay", tooltip="The image with segments drawn over it.")
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, segments: Segments, image: torch.Tensor, opacity: float, borders: bool, numbers: bool
    ) -> io.NodeOutput:
        overlay = draw_overlay(
            checked_images(image), segments, opacity=opacity, borders=borders, numbers=numbers
        )
        device = comfy.model_management.intermediate_device()
        return io.NodeOutput(overlay.to(device), ui=ui.PreviewImage(overlay, cls=cls))
