"""Segments and masks as Pillow's images, for the pictures of the documentation."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw, ImageFont

from diffseg_core import Segments, draw_overlay


def overlay_image(photograph: Image.Image, segments: Segments, numbers: bool = True) -> Image.Image:
    """As of DiffSeg Preview, of the first image."""
    drawn = draw_overlay(photograph, segments, numbers=numbers)[0]
    return Image.fromarray(drawn.mul(255).round().to(torch.uint8).numpy())


def mask_image(mask: torch.Tensor) -> Image.Image:
    """A mask ``[H, W]`` of zeros and ones in mode L."""
    return Image.fromarray(mask.mul(255).to(torch.uint8).cpu().numpy())


def captioned(image: Image.Image, text: str, colour: tuple[int, int, int]) -> Image.Image:
    """The image with a line of text below it, on a strip of this colour, to be read on a small card."""
    strip = round(image.width * 0.1)
    out = Image.new("RGB", (image.width, image.height + strip), colour)
    out.paste(image.convert("RGB"))
    middle = (image.width / 2, image.height + strip / 2)
    ImageDraw.Draw(out).text(middle, text, "white", ImageFont.load_default(strip * 0.58), anchor="mm")
    return out
