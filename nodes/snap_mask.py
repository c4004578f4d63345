"""DiffSeg Snap Mask to Segments: a rough mask takes the segments' outlines."""

from __future__ import annotations

import torch

from ..diffseg_core import snap
from ..diffseg_core.settings import COVERAGE
from .comfy.api import io
from .inputs import number_input, segments_input
from .outputs import as_output
from .types import MORE, CapturedSegments, SegmentsType


class DiffSegSnapMask(io.ComfyNode):
    """The segments that a rough mask covers, and one mask of them all."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegSnapMask",
            display_name="DiffSeg Snap Mask to Segments",
            category=MORE,
            description=(
                "Gives a rough mask the outlines of the segments: every segment that is covered enough is "
                "taken whole."
            ),
            search_aliases=["refine mask", "snap mask", "mask to segment", "clean up mask", "diffseg"],
            inputs=[
                segments_input(),
                io.Mask.Input("mask", tooltip="The rough mask: one for all images, or one for each."),
                number_input(
                    "coverage",
                    COVERAGE,
                    "In percent. A segment is taken if the mask covers more of it than this.",
                    step=1.0,
                ),
            ],
            outputs=[
                SegmentsType.Output(
                    display_name="segments", tooltip="The segments taken, renumbered from 0, the largest."
                ),
                io.Mask.Output(display_name="mask", tooltip="All segments taken as one mask for each image."),
            ],
        )

    @classmethod
    def execute(cls, segments: CapturedSegments, mask: torch.Tensor, coverage: float) -> io.NodeOutput:
        kept = snap(segments.segments, mask, COVERAGE.checked_percent(coverage))
        return io.NodeOutput(segments.replaced(kept), as_output(kept.union()))
