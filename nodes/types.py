"""The values that travel between DiffSeg's nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from comfy_api.latest import io

from ..diffseg_core import AttentionMaps, GridSize
from ..diffseg_core.attention.capture_settings import ModelInputs
from ..diffseg_core.host_visible import HostVisible

if TYPE_CHECKING:
    from typing_extensions import Self

CATEGORY = "DiffSeg"

Attention = io.Custom("DIFFSEG_ATTENTION")  # carries a CapturedAttention
SegmentsType = io.Custom("DIFFSEG_SEGMENTS")  # carries a diffseg_core.Segments


@dataclass(frozen=True, eq=False)
class CapturedAttention(HostVisible):
    """Attention maps, the size of the images that they came from, and what the model was given."""

    maps: AttentionMaps
    image_size: GridSize
    step: ModelInputs | None = None

    def __new__(cls, maps: AttentionMaps, image_size: GridSize, step: ModelInputs | None = None) -> Self:
        """The host sees the maps, their aggregate once there is one, and the latent."""
        return super().__new__(cls, maps.tensors, step.tensors if step is not None else [])
