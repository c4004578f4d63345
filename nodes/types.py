"""The values that travel between DiffSeg's nodes."""

from __future__ import annotations

from dataclasses import dataclass

from comfy_api.latest import io

from ..diffseg_core import AttentionMaps, GridSize

CATEGORY = "DiffSeg"

Attention = io.Custom("DIFFSEG_ATTENTION")  # carries a CapturedAttention
SegmentsType = io.Custom("DIFFSEG_SEGMENTS")  # carries a diffseg_core.Segments


@dataclass(frozen=True, eq=False)
class CapturedAttention:
    """Attention maps, and the size of the pictures that they came from."""

    maps: AttentionMaps
    image_size: GridSize
