"""What a run of many pictures is made with: plain values that can be saved, compared and sent to workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from diffseg_core.attention.resolutions import Resolutions
from diffseg_core.merging.segment import Refinement

DEMO = "demo"
Precision = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True)
class ModelChoice:
    """Which model, and how it runs.

    Attributes:
        model: "demo" (ships with the package), a folder in diffusers' layout, an id of the Hugging Face hub,
            or a single-file checkpoint of SD 1.x, SD 2.x or SDXL.
        device: as PyTorch writes it ("cuda:0", "cpu"); "auto" takes the best there is.
        precision: "auto" is float16 on an accelerator and float32 on a CPU.
    """

    model: str = DEMO
    device: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True)
class CaptureSettings:
    """The settings of DiffSeg Capture Attention, under the same names.

    Attributes:
        timestep: 0..999.
        noise_seed: seed of the timestep's noise; None gives the model the clean latent, as in the paper.
        working_size: side in pixels of a square of the area at which the model works; 0 is its native one.
        resolutions: which of the model's attention resolutions to keep.
    """

    timestep: int = 300
    noise_seed: int | None = None
    working_size: int = 0
    resolutions: Resolutions = "all"


@dataclass(frozen=True)
class SegmentSettings:
    """The settings of DiffSeg Segment, under the same names; and what takes its place.

    Attributes:
        merge_threshold: nats; one for every pass.
        merge_passes: ≥ 1.
        anchors: per side of the grid, ≥ 2.
        refinement: "none" or "kmeans".
        smallest_area: per cent of the picture, 0..50.
        granularity: segments of DiffSeg Hierarchy in place of merged ones: how many, ≥ 1, or 0 for its own
            choice; the settings above then do not count. None merges.
        refine_edges: whether borders are moved to the picture's edges, as by DiffSeg Refine Edges.
    """

    merge_threshold: float = 1.0
    merge_passes: int = 3
    anchors: int = 16
    refinement: Refinement = "none"
    smallest_area: float = 0.0
    granularity: int | None = None
    refine_edges: bool = False


DEMO_CAPTURE = CaptureSettings(timestep=25, working_size=384)
"""What suits the demo model; its attention is flatter than Stable Diffusion's."""
DEMO_SEGMENT = SegmentSettings(merge_threshold=0.63, smallest_area=2.0)
