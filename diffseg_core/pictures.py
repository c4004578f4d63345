"""The pictures that belong to segments."""

from __future__ import annotations

import torch

from .errors import InvalidSettingError
from .grid import GridSize
from .segments import Segments


def matching_pictures(image: torch.Tensor, segments: Segments) -> torch.Tensor:
    """The pictures of the segments, one for each: float32 ``[B, H, W, 3]`` in 0..1.

    Args:
        image: ``[B, H, W, C]`` in 0..1, C of 3 or 4 (alpha is left out); one picture serves all images.
        segments: of the same height and width.

    Raises:
        InvalidSettingError: sizes or numbers of pictures that do not fit.
    """
    size = GridSize(*image.shape[1:3])
    if size != segments.image_size:
        raise InvalidSettingError(
            f"Expected a picture of {segments.image_size} pixels as the segments have, got {size}. "
            "Connect the picture that went into the capture."
        )
    if image.shape[0] not in (1, segments.batch_size):
        raise InvalidSettingError(
            f"Expected 1 or {segments.batch_size} pictures for segments of {segments.batch_size} image(s), "
            f"got {image.shape[0]}."
        )
    return image[..., :3].float().expand(segments.batch_size, -1, -1, -1)
