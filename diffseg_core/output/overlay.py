"""The preview of a segmentation: colours, outlined borders and a number in each segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ..errors import InvalidSettingError
from ..pictures import matching_pictures
from ..segments import Segments
from .palette import segment_colours
from .poles import Pole, segment_poles

if TYPE_CHECKING:
    from ..pictures import PictureLike

Bitmap = npt.NDArray[np.bool_]

# Digits of 3×5 cells, one row of "x" and "." after the other.
DIGITS = (
    "xxxx.xx.xx.xxxx",
    ".x.xx..x..x.xxx",
    "xxx..xxxxx..xxx",
    "xxx..xxxx..xxxx",
    "x.xx.xxxx..x..x",
    "xxxx..xxx..xxxx",
    "xxxx..xxxx.xxxx",
    "xxx..x..x..x..x",
    "xxxx.xxxxx.xxxx",
    "xxxx.xxxx..xxxx",
)


def draw_overlay(
    image: PictureLike,
    segments: Segments,
    opacity: float = 0.5,
    borders: bool = True,
    numbers: bool = True,
) -> torch.Tensor:
    """Draw segments over the pictures they come from; where no segment is, the picture stays as it is.

    Args:
        image: the pictures, as `as_pictures` takes them; alpha is left out, so the colours under it show;
            one picture serves all images.
        segments: of the same height and width.
        opacity: of the colours, 0..1.
        borders: draw a dark line with a light edge along segment borders.
        numbers: write each segment's index at its pole of inaccessibility.

    Returns:
        float32 ``[B, H, W, 3]`` in 0..1, on the CPU.

    Raises:
        InvalidSettingError: sizes or numbers of pictures that do not fit, or an opacity outside 0..1.
    """
    if not 0 <= opacity <= 1:
        raise InvalidSettingError(f"Expected an opacity from 0 (picture) to 1 (colours), got {opacity:g}.")
    pictures = matching_pictures(image, segments).cpu()
    drawn = [
        _draw(picture.numpy(), labels.numpy(), segment_poles(segments, index), opacity, borders, numbers)
        for index, (picture, labels) in enumerate(zip(pictures, segments.labels.cpu(), strict=True))
    ]
    return torch.from_numpy(np.stack(drawn))


def _draw(
    picture: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int32],
    poles: Sequence[Pole],
    opacity: float,
    borders: bool,
    numbers: bool,
) -> npt.NDArray[np.float32]:
    inside = labels >= 0
    out = picture.copy()
    out[inside] = picture[inside] * (1.0 - opacity) + segment_colours(poles)[labels[inside]] * opacity
    if borders:
        width = max(1, round(max(labels.shape) / 700))
        line = border_pixels(labels, width)
        edged = grow(line, width, width)
        out[edged] = out[edged] * 0.4 + 0.6
        out[line] = 0.08
    if numbers:
        for index, pole in enumerate(poles):
            _write_number(out, str(index), pole)
    return out


def border_pixels(labels: npt.NDArray[np.integer], width: int) -> Bitmap:
    """A line ``width`` pixels wide along all borders between segments: bool ``[H, W]``.

    Half of it lies on either side; of an odd width, the pixel left over lies to the right or below.
    """
    line = np.zeros(labels.shape, dtype=bool)
    line[:, 1:] = labels[:, 1:] != labels[:, :-1]
    line[1:] |= labels[1:] != labels[:-1]
    return grow(line, width // 2, (width - 1) // 2)


def grow(mask: Bitmap, before: int, after: int) -> Bitmap:
    """The mask with ``before`` more pixels to the left and above, and ``after`` to the right and below."""
    grown = mask.copy()
    for axis in (0, 1):
        source = grown.copy()
        for step in range(1, max(before, after) + 1):
            ahead = [slice(None)] * 2
            behind = [slice(None)] * 2
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            if step <= after:
                grown[tuple(ahead)] |= source[tuple(behind)]
            if step <= before:
                grown[tuple(behind)] |= source[tuple(ahead)]
    return grown


def _write_number(out: npt.NDArray[np.float32], text: str, pole: Pole) -> None:
    """White digits with a dark edge, centred on the pole and kept inside the picture."""
    height, width, _ = out.shape
    largest = max(1, round(min(height, width) / 170))
    scale = int(np.clip(pole.radius / 5, 1, largest))
    glyphs = np.concatenate([_digit(digit) for digit in text], axis=1)[:, :-1]
    glyphs = np.pad(np.kron(glyphs, np.ones((scale, scale), dtype=bool)), scale)
    glyph_height, glyph_width = (min(a, b) for a, b in zip(glyphs.shape, (height, width), strict=True))
    glyphs = glyphs[:glyph_height, :glyph_width]
    top = int(np.clip(pole.y - glyph_height // 2, 0, height - glyph_height))
    left = int(np.clip(pole.x - glyph_width // 2, 0, width - glyph_width))
    window = out[top : top + glyph_height, left : left + glyph_width]
    window[grow(glyphs, scale, scale)] = 0.05
    window[glyphs] = 1.0


def _digit(digit: str) -> Bitmap:
    """One digit with a free column to its right: bool ``[5, 4]``."""
    cells = np.array([cell == "x" for cell in DIGITS[int(digit)]]).reshape(5, 3)
    return np.pad(cells, ((0, 0), (0, 1)))
