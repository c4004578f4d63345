"""DiffSeg Normalised Cut: features and an image to segments."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..diffseg_core import segment_cut
from ..diffseg_core.settings import CUT_BORDERS, CUT_POWER, CUT_THRESHOLD, Borders
from .inputs import choice_input, images_of_capture, number_input
from .progress import progress_over, stop_if_interrupted
from .types import CATEGORY, Attention, CapturedAttention, SegmentsType


class DiffSegCut(io.ComfyNode):
    """Parts of the image between which the model's features have least in common."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegCut",
            display_name="DiffSeg Normalised Cut",
            category=CATEGORY,
            description=(
                "Cuts the image in two where the model's features have least in common, and each part "
                "likewise, as DiffCut does. Made for SDXL and its small relatives. Connect DiffSeg Select "
                "Segments: its slider reaches coarser and finer cuts, and its Object mode works too."
            ),
            search_aliases=["DiffCut", "ncut", "spectral", "features", "auto mask", "diffseg"],
            inputs=[
                Attention.Input(
                    "attention", tooltip="From DiffSeg Capture Attention, which keeps the features too."
                ),
                io.Image.Input(
                    "image",
                    tooltip="The image that went into the capture. The alpha channel is ignored.",
                ),
                number_input(
                    "threshold",
                    CUT_THRESHOLD,
                    "A part is cut in two where the cut costs less: 0 where the sides have nothing "
                    "in common, 1 where it is as good as random. The paper uses 0.5; higher values give more "
                    "segments.",
                    step=0.01,
                    round=0.0001,
                ),
                choice_input(
                    "borders",
                    CUT_BORDERS,
                    "image edges: segments consist of small pieces of the image and end where these "
                    "do. features: every pixel by itself, as in the paper; borders are rounder.",
                ),
                number_input(
                    "power",
                    CUT_POWER,
                    "How alike places must be to hold together. The paper uses 10; less gives fewer "
                    "segments.",
                    step=0.5,
                    advanced=True,
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments",
                    tooltip="A label for every pixel at the image's own size, 0 is the largest segment; with "
                    "the tree of all other cuts.",
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
        threshold: float,
        borders: Borders,
        power: float,
    ) -> io.NodeOutput:
        images = images_of_capture(image, attention)
        segments = segment_cut(
            attention.maps,
            images,
            threshold,
            power,
            borders,
            on_image=progress_over(attention.maps.batch_size),
            on_step=stop_if_interrupted,
        )
        return io.NodeOutput(segments, sum(segments.counts))
