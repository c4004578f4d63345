"""The values that travel between DiffSeg's nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from comfy_api.latest import io

from ..diffseg_core import AttentionMaps, GridSize
from ..diffseg_core.host_visible import HostVisible

if TYPE_CHECKING:
    from typing_extensions import Self

CATEGORY = "DiffSeg"

Attention = io.Custom("DIFFSEG_ATTENTION")  # carries a CapturedAttention
SegmentsType = io.Custom("DIFFSEG_SEGMENTS")  # carries a diffseg_core.Segments


@dataclass(frozen=True, eq=False)
class CapturedAttention(HostVisible):
    """Attention maps, and the size of the images that they came from."""

    maps: AttentionMaps
    image_size: GridSize

    def __new__(cls, maps: AttentionMaps, image_size: GridSize) -> Self:
        """The host sees the maps, and their aggregate once there is one."""
        return super().__new__(cls, maps.tensors)
