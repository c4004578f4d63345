"""The result of a segmentation: a label map, the proposals behind it, and facts on every segment."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .errors import InvalidSettingError
from .grid import GridSize


@dataclass(frozen=True, eq=False)
class Segments:
    """Nested by image: every pixel of every image belongs to exactly one segment.

    Attributes:
        labels: int32 ``[B, H, W]``; per image 0..K-1 in descending order of area, 0 the largest.
        proposals: per image float32 ``[K, h, w]`` on the attention's grid, in the order of the labels:
            the attention map that stands for each segment. Empty where segments come from elsewhere.
    """

    labels: torch.Tensor
    proposals: tuple[torch.Tensor, ...]

    @property
    def image_size(self) -> GridSize:
        """Size of the label maps in pixels."""
        return GridSize(*self.labels.shape[1:])

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return self.labels.shape[0]

    @property
    def counts(self) -> list[int]:
        """Number of segments in each image."""
        return [int(count) + 1 for count in self.labels.amax((1, 2)).tolist()]

    def areas(self, image: int = 0) -> torch.Tensor:
        """Pixels of every segment of one image: int64 ``[K]``, descending."""
        return self._image(image).flatten().bincount()

    def masks(self, image: int = 0) -> torch.Tensor:
        """One mask per segment of one image: float32 ``[K, H, W]`` of zeros and ones."""
        labels = self._image(image)
        indices = torch.arange(self.counts[image], device=labels.device, dtype=labels.dtype)
        return (labels == indices[:, None, None]).float()

    def _image(self, image: int) -> torch.Tensor:
        if not 0 <= image < self.batch_size:
            raise InvalidSettingError(
                f"Expected an image index from 0 to {self.batch_size - 1}, got {image}: "
                f"the segments are those of {self.batch_size} image(s)."
            )
        return self.labels[image]


def order_by_area(labels: torch.Tensor, proposals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number the segments of one image 0..K-1 in descending order of area, leaving out empty ones.

    Segments of equal area keep their order.

    Args:
        labels: int ``[H, W]``, entries ≥ 0.
        proposals: float32 ``[K, h, w]``, indexed by the labels.

    Returns:
        int32 ``[H, W]`` and the proposals in the new order.
    """
    areas = labels.flatten().bincount(minlength=len(proposals))
    order = torch.argsort(areas, descending=True, stable=True)
    order = order[: int((areas > 0).sum())]
    rank = torch.zeros_like(areas)
    rank[order] = torch.arange(len(order), device=labels.device)
    return rank[labels.long()].int(), proposals[order]
