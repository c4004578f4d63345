"""The photographs of the gallery, with the automatic cut and another number of segments.

    python -m diffseg_tools.gallery FOLDER --out docs/gallery

FOLDER holds the photographs of `GALLERY` by their names.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from diffseg_cli.batch.image_reading import read_image
from diffseg_cli.batch.segmenter import Segmenter, segment_maps
from diffseg_cli.batch.settings import DEMO_CAPTURE, ModelChoice, NestedSettings, SegmentSettings
from diffseg_core import find_object, parse_prompts, segment_hierarchy
from diffseg_core.objects.prompts import Box, Click, Prompt

from .drawing import mask_image, overlay_image

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


# What is asked for, four to a row of `objects.jpg`.
OBJECTS: list[tuple[str, list[dict[str, Any]]]] = [
    ("pagoda", [{"box": [80, 20, 390, 420]}]),
    ("dahlia", [{"x": 305, "y": 225}]),
    ("motorcycle", [{"box": [130, 90, 690, 460]}]),
    ("cat", [{"box": [0, 0, 390, 300]}]),
    ("astronaut", [{"box": [20, 20, 420, 512]}]),
    ("coffee", [{"box": [60, 10, 430, 390]}]),
    ("boats", [{"x": 160, "y": 400}]),
    ("kite", [{"x": 525, "y": 180}]),
]
TILE = (380, 260)  # pixels


def panels(segmenter: Segmenter, photograph: Image.Image, number: int) -> Image.Image:
    """The photograph, the hierarchy's automatic cut and another one, side by side."""
    maps = segmenter.capture(photograph)
    automatic = segment_maps(maps, photograph, SegmentSettings(NestedSettings()))
    turned = segment_maps(maps, photograph, SegmentSettings(NestedSettings(number)))
    shown = [
        (photograph, "photograph"),
        (
            overlay_image(photograph, automatic, numbers=False),
            f"automatic cut: {automatic.counts[0]} segments",
        ),
        (overlay_image(photograph, turned, numbers=False), f"{number} segments"),
    ]
    height = round(photograph.height * WIDTH / photograph.width)
    sheet = Image.new("RGB", (3 * WIDTH + 2 * GAP, height + CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (image, caption) in enumerate(shown):
        left = place * (WIDTH + GAP)
        sheet.paste(image.resize((WIDTH, height), Image.Resampling.LANCZOS), (left, 0))
        draw.text((left + 4, height + 5), caption, fill="black")
    return sheet


def objects(segmenter: Segmenter, folder: Path) -> Image.Image:
    """What is found for `OBJECTS`, in the light, with its prompts."""
    sheet = Image.new("RGB", (4 * TILE[0], (len(OBJECTS) + 3) // 4 * TILE[1]), "white")
    for place, (name, entries) in enumerate(OBJECTS):
        (file,) = folder.glob(f"{name}.*")
        photograph, prompts = read_image(file), parse_prompts(entries)
        nested = segment_hierarchy(segmenter.capture(photograph), photograph)
        mask = find_object(nested, photograph, prompts)[0].union()[0]
        dark = photograph.point(lambda value: value // 4)
        tile = Image.composite(photograph, dark, mask_image(mask))
        _draw_prompts(tile, prompts)
        tile.thumbnail((TILE[0] - GAP, TILE[1] - GAP))
        sheet.paste(tile, (place % 4 * TILE[0], place // 4 * TILE[1]))
    return sheet


def _draw_prompts(image: Image.Image, prompts: Sequence[Prompt]) -> None:
    draw = ImageDraw.Draw(image)
    for prompt in prompts:
        if isinstance(prompt, Box):
            draw.rectangle([prompt.x1, prompt.y1, prompt.x2 - 1, prompt.y2 - 1], outline="cyan", width=3)
        elif isinstance(prompt, Click):
            x, y = prompt.point
            draw.ellipse([x - 7, y - 7, x + 7, y + 7], fill="lime" if prompt.positive else "red")


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
    if arguments.only is None or "objects" in arguments.only:
        objects(segmenter, arguments.folder).save(
            arguments.out / "objects.jpg", quality=QUALITY, optimize=True
        )
        print(arguments.out / "objects.jpg")


if __name__ == "__main__":
    main()
