"""The size at which an image goes through the model."""

from __future__ import annotations

import math

from ..errors import InvalidSettingError
from ..grid import GridSize

MULTIPLE = 64  # pixels: every resolution of a UNet then divides the image without rest; the least side, too
MAX_ELONGATION = 200
"""Length over breadth. Above, the shortest working side would make the attention many times as large as that
of other images."""


def working_size(image_size: GridSize, side: int, multiple: int = MULTIPLE) -> GridSize:
    """The size nearest to the area side², with the image's aspect ratio and sides of whole tokens.

    Args:
        image_size: the image's height and width in pixels.
        side: side in pixels of a square of the area wanted, ≥ 64; the model's native one as a rule.
        multiple: pixels that the sides are multiples of: of a UNet 64, of a transformer those of a token.

    Raises:
        InvalidSettingError: an empty image, one more than 200 times as long as broad, or a side below 64.

    >>> working_size(GridSize(480, 640), 512)
    GridSize(height=448, width=576)
    """
    if image_size.height < 1 or image_size.width < 1:
        raise InvalidSettingError(f"Expected an image of at least 1×1 pixels, got {image_size}.")
    if side < MULTIPLE:
        raise InvalidSettingError(f"Expected a working size of at least {MULTIPLE} pixels, got {side}.")
    if max(image_size) > MAX_ELONGATION * min(image_size):
        raise InvalidSettingError(
            f"Expected an image at most {MAX_ELONGATION} times as long as broad, got {image_size.width}×"
            f"{image_size.height} pixels (width × height). Cut it into parts."
        )
    aspect = image_size.width / image_size.height

    def rounded(length: float) -> int:
        return max(MULTIPLE, round(length / multiple) * multiple)

    return GridSize(rounded(side / math.sqrt(aspect)), rounded(side * math.sqrt(aspect)))
