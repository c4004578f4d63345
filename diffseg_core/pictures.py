"""The pictures that belong to segments, or to attention."""

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
    return check_pictures(image, segments.batch_size, segments.image_size, "segments")


def check_pictures(image: torch.Tensor, batch_size: int, size: GridSize, whose: str) -> torch.Tensor:
    """Pictures for each of ``batch_size`` images of one size: float32 ``[B, H, W, 3]`` in 0..1.

    Args:
        image: ``[B, H, W, C]`` in 0..1, C of 3 or 4 (alpha is left out); one picture serves all images.
        batch_size: number of images.
        size: of the images, in pixels.
        whose: what the images are, as an error says it: "segments" or "attention".

    Raises:
        InvalidSettingError: sizes or numbers of pictures that do not fit.
    """
    given = GridSize(*image.shape[1:3])
    if given != size:
        raise InvalidSettingError(
            f"Expected a picture of {size} pixels as the {whose} {_have(whose)}, got {given}. "
            "Connect the picture that went into the capture."
        )
    if image.shape[0] not in (1, batch_size):
        raise InvalidSettingError(
            f"Expected 1 or {batch_size} pictures for {whose} of {batch_size} image(s), got {image.shape[0]}."
        )
    return image[..., :3].float().expand(batch_size, -1, -1, -1)


def _have(whose: str) -> str:
    return "have" if whose.endswith("s") else "has"
