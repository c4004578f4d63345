"""Thumbnails of the example workflows: an image, and a line below it on whether a checkpoint is needed.

    python -m diffseg_tools.thumbnails WORKFLOW IMAGE

Of a pack's workflows, ComfyUI's template browser shows the name and the thumbnail only. `make images` takes
screenshots for those of the picker; the others show what a run of the workflow gives.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from .steps import ROOT

QUALITY = 86
FREE, BOUND = (24, 128, 92), (70, 74, 84)  # of the line on a thumbnail: needs no model, needs one
MODELS = {"v1-5": "SD 1.5", "sd_xl": "SDXL", "flux1-dev": "Flux.1 dev"}  # by the beginning of a file's name
LOADERS = ("CheckpointLoaderSimple", "UNETLoader")


def needed_model(workflow: dict[str, Any]) -> str | None:
    """What an example workflow has to be given to run, such as "SD 1.5"; None for nothing.

    Raises:
        ValueError: it loads a model that has no entry in ``MODELS``.
    """
    files = [node["widgets_values"][0] for node in workflow["nodes"] if node["type"] in LOADERS]
    if not files:
        return None
    model = next((model for start, model in MODELS.items() if files[0].startswith(start)), None)
    if model is None:
        raise ValueError(f"Expected a model that MODELS names, got {files[0]}. Enter what a card is to say.")
    return model


def with_need(image: Image.Image, name: str) -> Image.Image:
    """The image of ``workflows/{name}.json`` above a line that says which model it needs, on a strip."""
    path = ROOT / "workflows" / f"{name}.json"
    model = needed_model(json.loads(path.read_text(encoding="utf-8")))
    text = "runs without a checkpoint" if model is None else f"needs a checkpoint: {model}"
    strip = round(image.width * 0.1)
    thumbnail = Image.new("RGB", (image.width, image.height + strip), FREE if model is None else BOUND)
    thumbnail.paste(image.convert("RGB"))
    middle = (image.width / 2, image.height + strip / 2)
    font = ImageFont.load_default(strip * 0.58)
    ImageDraw.Draw(thumbnail).text(middle, text, "white", font, anchor="mm")
    return thumbnail


def main() -> None:
    """Write the thumbnail of a workflow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workflow", help="its name, without .json")
    parser.add_argument("image", type=Path)
    arguments = parser.parse_args()
    with Image.open(arguments.image) as image:
        thumbnail = with_need(image, arguments.workflow)
    thumbnail.save(ROOT / "workflows" / f"{arguments.workflow}.jpg", quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
