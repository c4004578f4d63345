"""A picture of what was found: the words on their segments, and how sure each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ..images import matching_images
from ..output.overlay import draw_overlay
from ..output.palette import colours_of
from ..output.poles import segment_poles
from ..segments import Segments
from .find_words import FoundWord, FoundWords

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from ..images import ImageLike

LEAST_SIDE, MOST_SIDE = 256, 2048  # smaller images are enlarged, to no more than this
LETTERS = 22  # lines of text that the shorter side has room for
LEAST_LETTERS = 12  # pixels
ROW = 1.7  # from one bar to the next, in font sizes
GROUND, TROUGH, GREY, LIGHT, DARK = ((33,) * 3, (58,) * 3, (150,) * 3, (245,) * 3, (15,) * 3)

Colour = tuple[int, ...]
Box = tuple[float, float, float, float]


def draw_word_sheet(images: ImageLike, found: FoundWords) -> torch.Tensor:
    """Draw the words on their segments, and below each image a bar for each word's score.

    Images whose shorter side is below 256 pixels are enlarged. Names too long for their place are shortened.

    Args:
        images: in which the words were found, as `as_images` takes them; one image serves all.
        found: the words.

    Returns:
        float32 ``[B, H', W', 3]`` in 0..1, on the CPU.

    Raises:
        InvalidSettingError: sizes or numbers of images that do not fit.
    """
    from PIL import Image

    pictures, segments = _enlarged(matching_images(images, found.segments).cpu(), found.segments)
    drawn = draw_overlay(pictures, segments, numbers=False).mul(255.0).round().byte().numpy()
    sheets = []
    for image_index, words in enumerate(found.found):
        height, width = segments.image_size
        size = max(LEAST_LETTERS, round(min(height, width) / LETTERS))
        row = round(ROW * size)
        sheet = Image.new("RGB", (max(width, LEAST_SIDE), height + row * len(words) + size), GROUND)
        picture = Image.fromarray(drawn[image_index])
        _write_names(picture, segments, image_index, size)
        sheet.paste(picture, ((sheet.width - width) // 2, 0))
        _draw_bars(sheet, words, _colours(segments, image_index), height + size // 2, size)
        sheets.append(np.asarray(sheet))
    return torch.from_numpy(np.stack(sheets)).float() / 255.0


def _enlarged(images: torch.Tensor, segments: Segments) -> tuple[torch.Tensor, Segments]:
    """Images and segments, by a whole factor where they are small."""
    size = segments.image_size
    factor = max(1, min(-(-LEAST_SIDE // min(size)), MOST_SIDE // max(size)))
    labels = segments.labels.cpu()
    if factor > 1:
        larger = F.interpolate(images.movedim(-1, 1), scale_factor=factor, mode="bilinear")
        images = larger.movedim(1, -1).clamp(0.0, 1.0)
        labels = labels.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    return images, Segments(labels, (), (), segments.names)


def _colours(segments: Segments, image_index: int) -> dict[str, Colour]:
    """The colour of every segment, by its name."""
    colours = (colours_of(segments, image_index) * 255).round().astype(int).tolist()
    return {segments.name(image_index, index): tuple(colour) for index, colour in enumerate(colours)}


def _write_names(picture: Any, segments: Segments, image_index: int, size: int) -> None:
    """Every segment's name at its pole, moved up or down where it would lie on another, or outside."""
    from PIL import ImageDraw, ImageFont

    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    edge, taken = max(1, size // 8), list[Box]()
    for index, pole in enumerate(segment_poles(segments, image_index)):
        name = _shortened(draw, segments.name(image_index, index), font, picture.width / 2)
        left, top, right, bottom = draw.textbbox((0, 0), name, font, anchor="lm", stroke_width=edge)
        x = min(max(pole.x - (right - left) / 2, 0), max(0, picture.width - (right - left)))
        for step in (0, 1, -1, 2, -2, 3, -3):
            y = min(max(pole.y + step * (bottom - top), -top), picture.height - bottom)
            box = (x, y + top, x + right - left, y + bottom)
            if not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        draw.text((x - left, y), name, LIGHT, font, "lm", stroke_width=edge, stroke_fill=DARK)


def _draw_bars(
    sheet: Any, words: Sequence[FoundWord], colours: dict[str, Colour], top: int, size: int
) -> None:
    """A row for each word: its name, a bar of its score from 0 to 1, and the score."""
    from PIL import ImageDraw, ImageFont

    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size)
    margin = size // 2
    names = [_shortened(draw, word.name, font, 0.35 * sheet.width) for word in words]
    scores = [f"{word.score:.2f}" + ("" if word.found else " not found") for word in words]
    start = 2 * margin + max((draw.textlength(name, font) for name in names), default=0)
    end = sheet.width - 2 * margin - max((draw.textlength(score, font) for score in scores), default=0)
    for place, (word, name, score) in enumerate(zip(words, names, scores, strict=True)):
        middle = top + round((place + 0.5) * ROW * size)
        half = size // 3
        text = LIGHT if word.found else GREY
        draw.text((margin, middle), name, text, font, "lm")
        draw.rectangle((start, middle - half, end, middle + half), TROUGH)
        if (length := round((end - start) * min(word.score, 1.0))) > 0:
            colour = colours.get(word.name, GREY) if word.found else GREY
            draw.rectangle((start, middle - half, start + length, middle + half), colour)
        draw.text((end + margin, middle), score, text, font, "lm")


def _shortened(draw: ImageDraw, text: str, font: Any, width: float) -> str:
    """The text, or as much of its beginning as fits with "…" behind."""
    kept = text
    while kept and draw.textlength(kept if kept == text else kept + "…", font) > width:
        kept = kept[:-1].rstrip()
    return kept if kept == text else kept + "…"


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
