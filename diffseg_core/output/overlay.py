"""The preview of a segmentation: colours, outlined borders and a number or a name in each segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

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

BORDER = 1400  # pixels of the longer side for each pixel of a border's lines
NAMES, LEAST_NAMES = 22, 12  # lines of names that the shorter side has room for; pixels of one at least
NUMBERS, LEAST_NUMBERS = 26, 9  # likewise
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
    side = min(labels.shape)
    for index, pole in enumerate(poles):
        if names and names[index]:
            _write(out, names[index], pole, max(LEAST_NAMES, round(side / NAMES)))
            continue
        for size in range(max(LEAST_NUMBERS, round(side / NUMBERS)), LEAST_NUMBERS - 1, -1):
            left, top, right, bottom = _box(str(index), size)
            if math.hypot(right - left, bottom - top) / 2 <= pole.radius:  # else it would cover the segment
                _write(out, str(index), pole, size)
                break
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


def _write(out: npt.NDArray[np.float32], text: str, pole: Pole, size: int) -> None:
    """White letters with a dark edge, as near to the pole as the whole text lies in the image."""
    from PIL import Image, ImageDraw

    height, width, _ = out.shape
    left, top, right, bottom = _box(text, size)
    y = max(0, min(pole.y - (bottom - top) // 2, height - (bottom - top)))
    x = max(0, min(pole.x - (right - left) // 2, width - (right - left)))
    window = out[y : y + bottom - top, x : x + right - left]
    for shade, stroke in ((0.05, _edge(size)), (1.0, 0)):
        letters = Image.new("L", (window.shape[1], window.shape[0]))
        ImageDraw.Draw(letters).text((-left, -top), text, 255, _font(size), stroke_width=stroke)
        cover = np.asarray(letters, dtype=np.float32)[..., None] / 255.0
        window[:] = window * (1.0 - cover) + shade * cover


def _box(text: str, size: int) -> tuple[int, ...]:
    """Left, top, right and bottom of a text with its edge, in pixels from where it is written."""
    return tuple(round(side) for side in _font(size).getbbox(text, stroke_width=_edge(size)))


def _edge(size: int) -> int:
    return max(1, round(size / 7))


@cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
