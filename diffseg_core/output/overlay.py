"""The preview of a segmentation: colours, outlined borders and a number or a name in each segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ..images import matching_images
from ..segments import Segments
from ..settings import DRAW_BORDERS, DRAW_NUMBERS, OPACITY
from .palette import colours_of
from .poles import Pole, segment_poles

if TYPE_CHECKING:
    from ..images import ImageLike

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


CELLS_HIGH = 7  # a digit with its dark edge
BORDER = 1400  # pixels of the longer side for each pixel of a border's lines
LETTERS = 22  # lines of names that the shorter side has room for
LEAST_LETTERS = 12  # pixels
NUMBER = 256  # pixels of the shorter side for each pixel of a digit's cells, at most
LINE = 0.75  # how light and how dark a border's lines are


def draw_overlay(
    image: ImageLike,
    segments: Segments,
    opacity: float = OPACITY.default,
    borders: bool = DRAW_BORDERS.default,
    numbers: bool = DRAW_NUMBERS.default,
) -> torch.Tensor:
    """Draw segments over the images they come from; where no segment is, the image stays as it is.

    Args:
        image: the images, as `as_images` takes them; alpha is left out, so the colours under it show;
            one image serves all images.
        segments: of the same height and width.
        opacity: of the colours, 0..1.
        borders: draw a thin line along segment borders, light on one side and dark on the other, so that it
            shows on any background.
        numbers: write each segment's index at its pole of inaccessibility, where it has room for it; or its
            name, in full, if it has one.

    Returns:
        float32 ``[B, H, W, 3]`` in 0..1, on the CPU.

    Raises:
        InvalidSettingError: sizes or numbers of images that do not fit, or an opacity outside 0..1.
    """
    opacity = OPACITY.checked(opacity)
    borders, numbers = DRAW_BORDERS.checked(borders), DRAW_NUMBERS.checked(numbers)
    images = matching_images(image, segments).cpu()
    drawn = [
        _draw(
            image.numpy(),
            labels.numpy(),
            colours_of(segments, index) if opacity else None,
            segment_poles(segments, index) if numbers else (),
            segments.names[index] if segments.names else (),
            opacity,
            borders,
        )
        for index, (image, labels) in enumerate(zip(images, segments.labels.cpu(), strict=True))
    ]
    return torch.from_numpy(np.stack(drawn))


def _draw(
    image: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int32],
    colours: npt.NDArray[np.float32] | None,
    poles: Sequence[Pole],
    names: Sequence[str],
    opacity: float,
    borders: bool,
) -> npt.NDArray[np.float32]:
    out = image.copy()
    if colours is not None:
        inside = labels >= 0
        out[inside] = image[inside] * (1.0 - opacity) + colours[labels[inside]] * opacity
    if borders:
        width = max(1, round(max(labels.shape) / BORDER))
        dark, light = border_sides(labels, width)
        out[light] = out[light] * (1 - LINE) + LINE
        out[dark] *= 1 - LINE
    for index, pole in enumerate(poles):
        if names and names[index]:
            _write_name(out, names[index], pole)
        else:
            _write_number(out, str(index), pole)
    return out


def border_sides(labels: npt.NDArray[np.integer], width: int) -> tuple[Bitmap, Bitmap]:
    """Two lines ``width`` pixels wide along all borders: below and right of them, and above and left.

    Returns:
        bool ``[H, W]`` each; no pixel is in both.
    """
    line = np.zeros(labels.shape, dtype=bool)
    line[:, 1:] = labels[:, 1:] != labels[:, :-1]
    line[1:] |= labels[1:] != labels[:-1]
    after = dilate(line, 0, width - 1)
    return after, dilate(line, width, width - 1) & ~after


def dilate(mask: Bitmap, before: int, after: int) -> Bitmap:
    """The mask with ``before`` more pixels to the left and above, and ``after`` to the right and below."""
    from scipy import ndimage

    size = before + after + 1
    dilated: Bitmap = ndimage.maximum_filter(mask, size, mode="constant", origin=after - size // 2)
    return dilated


def _write_number(out: npt.NDArray[np.float32], text: str, pole: Pole) -> None:
    """White digits with a dark edge, centred on the pole; none where the segment has no room for them."""
    height, width, _ = out.shape
    cells = math.hypot(CELLS_HIGH, 4 * len(text) + 1) / 2  # from the middle to a corner, with the edge
    scale = min(int(pole.radius / cells), max(1, round(min(height, width) / NUMBER)))
    if scale < 1:
        return  # it would cover the segment
    glyphs = np.concatenate([_digit(digit) for digit in text], axis=1)[:, :-1]
    glyphs = np.pad(np.kron(glyphs, np.ones((scale, scale), dtype=bool)), scale)
    glyph_height, glyph_width = (min(a, b) for a, b in zip(glyphs.shape, (height, width), strict=True))
    glyphs = glyphs[:glyph_height, :glyph_width]
    top = int(np.clip(pole.y - glyph_height // 2, 0, height - glyph_height))
    left = int(np.clip(pole.x - glyph_width // 2, 0, width - glyph_width))
    window = out[top : top + glyph_height, left : left + glyph_width]
    window[dilate(glyphs, scale, scale)] = 0.05
    window[glyphs] = 1.0


def _write_name(out: npt.NDArray[np.float32], name: str, pole: Pole) -> None:
    """White letters with a dark edge, as near to the pole as the whole name lies in the image."""
    from PIL import Image, ImageDraw, ImageFont

    height, width, _ = out.shape
    size = max(LEAST_LETTERS, round(min(height, width) / LETTERS))
    font, edge = ImageFont.load_default(size), max(1, size // 8)
    left, top, right, bottom = (round(side) for side in font.getbbox(name, stroke_width=edge))
    y = max(0, min(pole.y - (bottom - top) // 2, height - (bottom - top)))
    x = max(0, min(pole.x - (right - left) // 2, width - (right - left)))
    window = out[y : y + bottom - top, x : x + right - left]
    for shade, stroke in ((0.05, edge), (1.0, 0)):
        letters = Image.new("L", (window.shape[1], window.shape[0]))
        ImageDraw.Draw(letters).text((-left, -top), name, 255, font, stroke_width=stroke)
        cover = np.asarray(letters, dtype=np.float32)[..., None] / 255.0
        window[:] = window * (1.0 - cover) + shade * cover


def _digit(digit: str) -> Bitmap:
    """One digit with a free column to its right: bool ``[5, 4]``."""
    cells = np.array([cell == "x" for cell in DIGITS[int(digit)]]).reshape(5, 3)
    return np.pad(cells, ((0, 0), (0, 1)))
