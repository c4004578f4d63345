"""The photographs of the gallery, with the automatic cut and another number of segments.

    python -m diffseg_tools.gallery FOLDER --out docs/gallery

FOLDER holds the photographs of `GALLERY` by their names.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from diffseg_cli.batch.image_reading import read_image
from diffseg_cli.batch.segmenter import Segmenter, segment_maps
from diffseg_cli.batch.settings import DEMO_CAPTURE, ModelChoice, NestedSettings, SegmentSettings
from diffseg_core import Segments, draw_overlay

WIDTH, CAPTION, GAP = 420, 24, 6  # pixels of a panel, of the line below it, and between panels
QUALITY = 82


# The number of segments in the last panel of each photograph.
GALLERY = {
    "pagoda": 5,
    "dahlia": 5,
    "boats": 10,
    "retina": 5,
    "cat": 5,
    "kite": 5,
    "coffee": 10,
    "cups": 60,
    "astronaut": 40,
    "leaf": 40,
    "motorcycle": 80,
    "rocket": 5,
}


def panels(segmenter: Segmenter, photograph: Image.Image, number: int) -> Image.Image:
    """The photograph, the hierarchy's automatic cut and another one, side by side."""
    maps = segmenter.capture(photograph)
    automatic = segment_maps(maps, photograph, SegmentSettings(NestedSettings()))
    turned = segment_maps(maps, photograph, SegmentSettings(NestedSettings(number)))
    shown = [
        (photograph, "photograph"),
        (_overlay(photograph, automatic), f"automatic cut: {automatic.counts[0]} segments"),
        (_overlay(photograph, turned), f"{number} segments"),
    ]
    height = round(photograph.height * WIDTH / photograph.width)
    sheet = Image.new("RGB", (3 * WIDTH + 2 * GAP, height + CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (image, caption) in enumerate(shown):
        left = place * (WIDTH + GAP)
        sheet.paste(image.resize((WIDTH, height), Image.Resampling.LANCZOS), (left, 0))
        draw.text((left + 4, height + 5), caption, fill="black")
    return sheet


def _overlay(photograph: Image.Image, segments: Segments) -> Image.Image:
    drawn = draw_overlay(photograph, segments, numbers=False)[0]
    return Image.fromarray(drawn.mul(255).round().to(torch.uint8).numpy())


def main() -> None:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the photographs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of photographs")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    segmenter = Segmenter(ModelChoice(device="cpu", precision="float32"), DEMO_CAPTURE)
    for name, number in GALLERY.items():
        if arguments.only is None or name in arguments.only:
            (file,) = arguments.folder.glob(f"{name}.*")
            sheet = panels(segmenter, read_image(file), number)
            sheet.save(arguments.out / f"{name}.jpg", quality=QUALITY, optimize=True)
            print(arguments.out / f"{name}.jpg")


if __name__ == "__main__":
    main()
