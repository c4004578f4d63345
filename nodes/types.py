"""The values that travel between DiffSeg's nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io

from ..diffseg_core import AttentionMaps, GridSize
from ..diffseg_core.attention.blocks import RECOMMENDED
from ..diffseg_core.host_visible import HostVisible

if TYPE_CHECKING:
    from typing_extensions import Self

CATEGORY = "DiffSeg"

Attention = io.Custom("DIFFSEG_ATTENTION")  # carries a CapturedAttention
SegmentsType = io.Custom("DIFFSEG_SEGMENTS")  # carries a diffseg_core.Segments


@dataclass(frozen=True, eq=False)
class Step:
    """What a model was shown for a capture, so that it can be shown the same with words.

    Attributes:
        architecture: name of the model's.
        samples: the latent, ``[B, C, h, w]`` or ``[B, C, 1, h, w]``, as a VAE encodes it.
        level: of noise, 0..1000.
        noise_seed: None for the clean latent.
        blocks: of a transformer, which were captured.
        batch_index: for each latent, the place in its batch whose noise it was given; None: its own.
        noise_mask: as an inpainting model was shown it.
    """

    architecture: str
    samples: torch.Tensor
    level: int
    noise_seed: int | None = None
    blocks: str = RECOMMENDED
    batch_index: list[int] | None = None
    noise_mask: torch.Tensor | None = None

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that is held."""
        return [self.samples] if self.noise_mask is None else [self.samples, self.noise_mask]


@dataclass(frozen=True, eq=False)
class CapturedAttention(HostVisible):
    """Attention maps, the size of the images that they came from, and what the model was shown."""

    maps: AttentionMaps
    image_size: GridSize
    step: Step | None = None

    def __new__(cls, maps: AttentionMaps, image_size: GridSize, step: Step | None = None) -> Self:
        """The host sees the maps, their aggregate once there is one, and the latent."""
        return super().__new__(cls, maps.tensors, step.tensors if step is not None else [])
