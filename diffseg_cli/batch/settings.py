"""What a run of many images is made with: plain values that can be saved, compared and sent to workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import diffseg_core.settings as allowed
from diffseg_core.attention.capture_settings import CaptureSettings

DEMO = "demo"
Precision = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True)
class ModelChoice:
    """Which model, and how it runs.

    Attributes:
        model: "demo" (ships with the package), a folder in diffusers' layout, an id of the Hugging Face hub,
            or a single-file checkpoint of SD 1.x, SD 2.x or SDXL.
        device: as PyTorch writes it ("cuda:0", "cpu"); "auto" takes the best there is.
        precision: "auto" is float16 on an accelerator (bfloat16 for SD3, Flux.1 and Qwen-Image) and float32
            on a CPU.
    """

    model: str = DEMO
    device: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True)
class MergeSettings:
    """The settings of DiffSeg Segment, as in `diffseg_core.settings`; areas in percent."""

    merge_threshold: float = allowed.MERGE_THRESHOLD.default
    merge_passes: int = allowed.MERGE_PASSES.default
    anchors: int = allowed.ANCHORS.default
    refinement: allowed.Refinement = allowed.REFINEMENT.default
    smallest_area: float = allowed.SMALLEST_PIECE.entered_default

    def to_dict(self) -> dict[str, Any]:
        """By name, as they are in the folder of a run; no granularity tells them from a hierarchy's."""
        return {**asdict(self), "granularity": None}


@dataclass(frozen=True)
class NestedSettings:
    """The settings of DiffSeg Hierarchy, as in `diffseg_core.settings`; areas in percent.

    Attributes:
        number: of segments in each image; None for the tree's own choice, or where there is a height.
        height: cut where segments differ by more, in nats; None for a number.
    """

    number: int | None = None
    height: float | None = None
    neighbours_only: bool = allowed.NEIGHBOURS_ONLY.default
    contrast: float = allowed.CONTRAST.default
    colour: float = allowed.COLOUR.default
    finest: float = allowed.FINEST.entered_default

    def to_dict(self) -> dict[str, Any]:
        """By name, as they are in the folder of a run: the number as ``granularity``, 0 for none."""
        settings = asdict(self)
        return {"granularity": settings.pop("number") or 0, **settings}


@dataclass(frozen=True)
class SegmentSettings:
    """How an image's attention becomes segments.

    Attributes:
        method: merged, as by DiffSeg Segment, or cut from a tree, as by DiffSeg Hierarchy.
        refine_edges: whether borders are moved to the image's edges, as by DiffSeg Refine Edges.
    """

    method: MergeSettings | NestedSettings = MergeSettings()
    refine_edges: bool = False

    def to_dict(self) -> dict[str, Any]:
        """By name, as they are in the folder of a run."""
        return {**self.method.to_dict(), "refine_edges": self.refine_edges}


@dataclass(frozen=True)
class WordSettings:
    """The settings of DiffSeg Find by Words, under the same names.

    Attributes:
        words: that are looked for, a line for each class, see `parse_words`; empty in an evaluation, whose
            dataset has them.
    """

    words_threshold: float = allowed.WORD_THRESHOLD.default
    background_offset: float = allowed.BACKGROUND_OFFSET.default
    words: str = ""

    def to_dict(self) -> dict[str, Any]:
        """By name, as they are in the folder of a run."""
        return {name: value for name, value in asdict(self).items() if name != "words" or value}


DEMO_CAPTURE = CaptureSettings(noise_level=25, working_size=384)
"""What suits the demo model; its attention is flatter than Stable Diffusion's."""
DEMO_MERGE = MergeSettings(merge_threshold=0.63, smallest_area=2.0)
DEMO_SEGMENT = SegmentSettings(DEMO_MERGE)
