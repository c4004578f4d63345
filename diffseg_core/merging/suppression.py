"""Non-maximum suppression (paper, section 3.4): proposals to a label map."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..grid import GridSize

CHUNK_VALUES = 2**23  # upsampled values held at a time: 32 MB of float32


def suppress(proposals: torch.Tensor, image_size: GridSize) -> torch.Tensor:
    """Give every pixel of the image the proposal that is highest there.

    Proposals are upsampled bilinearly (half-pixel centres) a few at a time; the first of equals wins.

    Args:
        proposals: float32 ``[K, h, w]``.
        image_size: size of the label map in pixels.

    Returns:
        int32 ``[H, W]``, indices into the proposals.
    """
    chunk = max(1, CHUNK_VALUES // image_size.tokens)
    labels = torch.zeros(tuple(image_size), dtype=torch.int64, device=proposals.device)
    highest = torch.full(tuple(image_size), -1.0, device=proposals.device)
    for start in range(0, len(proposals), chunk):
        part = proposals[start : start + chunk, None]
        part = F.interpolate(part, size=tuple(image_size), mode="bilinear", align_corners=False)
        value, index = part.squeeze(1).max(0)
        better = value > highest
        labels = torch.where(better, index + start, labels)
        highest = torch.where(better, value, highest)
    return labels.int()
