"""`make demo`: run the first example workflow on three photographs, and leave its images in `output/`."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from .comfyui import ComfyServer
from .environment import installation_in_use
from .prompt_run import ComfyError
from .steps import CACHE, ROOT, SetupError
from .workflow import WorkflowError, to_prompt

WORKFLOW = ROOT / "workflows" / "try_it_without_a_checkpoint.json"
OUTPUT = ROOT / "output"
TILE = 480  # pixels: width of an image on the contact sheet

Json = dict[str, Any]


@dataclass(frozen=True)
class Demonstration:
    """A photograph, and what is clicked in it.

    Attributes:
        photograph: its file.
        points: x and y in pixels: the segments there are cut out.
        number: of segments; None is the automatic cut.
    """

    photograph: Path
    points: Sequence[tuple[int, int]]
    number: int | None = None


# fmt: off
DEMONSTRATIONS = {
    "coffee": Demonstration(
        ROOT / "demo_model" / "photograph.jpg",
        [
            (135, 179), (436, 225), (277, 309), (363, 281), (220, 213), (225, 254),
            (205, 60), (261, 66), (319, 111), (277, 153), (408, 78), (84, 250),
        ],
        number=24,
    ),
    "pagoda": Demonstration(
        ROOT / "tools" / "demo_photographs" / "pagoda.jpg", [(203, 156), (126, 281), (194, 89), (207, 39)]
    ),
    "dahlia": Demonstration(ROOT / "tools" / "demo_photographs" / "dahlia.jpg", [(305, 225)], number=5),
}
# fmt: on
"""Chosen because the demo model's masks of them are right: see tools/demo_photographs/README.md."""


class Stages:
    """Lines with the seconds since the start."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        print(f"{time.monotonic() - self.start:6.1f} s  {text}", flush=True)

    def titles_of(self, prompt: Json) -> Callable[[str], None]:
        """Prints the title of a node of the prompt, by its id."""
        return lambda key: self.say(f"  {prompt[key].get('_meta', {}).get('title', key)}")


def prompt_of(workflow: Json, object_info: Json, demonstration: Demonstration) -> Json:
    """The example workflow with this photograph, and a cut-out of what is clicked.

    Raises:
        WorkflowError: the workflow is not the one that this was written for.
    """
    prompt = to_prompt(workflow, object_info)
    kinds = {node["class_type"]: key for key, node in prompt.items()}
    missing = {"DiffSegDemoModel", "DiffSegHierarchy", "DiffSegPreview", "DiffSegMasks"} - kinds.keys()
    if missing:
        raise WorkflowError(f"Expected {', '.join(sorted(missing))} in {WORKFLOW.name}, found none.")
    photograph = [kinds["DiffSegDemoModel"], 3]
    for node in prompt.values():
        for name, link in node["inputs"].items():
            if link == photograph:
                node["inputs"][name] = ["photograph", 0]
    if demonstration.number is not None:
        prompt[kinds["DiffSegHierarchy"]]["inputs"] |= {
            "cut": "number of segments",
            "number": demonstration.number,
        }
    points = [{"x": x, "y": y} for x, y in demonstration.points]
    return prompt | {
        "photograph": {"class_type": "LoadImage", "inputs": {"image": demonstration.photograph.name}},
        "picker": {
            "class_type": "DiffSegSelect",
            "inputs": {
                "segments": [kinds["DiffSegHierarchy"], 0],
                "points": json.dumps(points), "invert": False, "image_index": 0, "granularity": 0,
            },
        },
        "cutout": {
            "class_type": "SaveImage",
            "inputs": {"images": ["picker", 2], "filename_prefix": "diffseg/cutout"},
        },
    }  # fmt: skip


def images_of(
    server: ComfyServer, prompt: Json, on_node: Callable[[str], None] | None = None
) -> dict[str, list[Image.Image]]:
    """Run a prompt; the images that it saves, by the name that their files begin with.

    ``on_node`` is called with the id of each node as it begins.
    """
    run = server.run(prompt, on_node=on_node)
    images: dict[str, list[Image.Image]] = {}
    for output in run.outputs.values():
        for entry in output.get("images", []):
            if entry["type"] == "output":
                name = re.sub(r"_\d+_$", "", Path(entry["filename"]).stem)  # "mask" of "mask_00001_.png"
                image = Image.open(io.BytesIO(server.fetch_image(entry)))
                images.setdefault(name, []).append(image)
    return images


def save_images(name: str, images: dict[str, list[Image.Image]], folder: Path) -> list[Path]:
    """Save them as ``coffee_overlay.png`` if alone, as ``coffee_mask_00.png`` and so on if there are more."""
    written = []
    for kind, members in images.items():
        for index, image in enumerate(members):
            number = "" if len(members) == 1 else f"_{index:02d}"
            written.append(folder / f"{name}_{kind}{number}.png")
            image.save(written[-1])
    return written


def contact_sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Rows of images side by side, each of the same width; what is transparent is white."""
    tiles = []
    for row in rows:
        height = round(TILE * row[0].height / row[0].width)
        tiles.append([_on_white(image).resize((TILE, height)) for image in row])
    sheet = Image.new("RGB", (TILE * len(tiles[0]), sum(row[0].height for row in tiles)), "white")
    top = 0
    for row in tiles:
        for column, tile in enumerate(row):
            sheet.paste(tile, (column * TILE, top))
        top += row[0].height
    return sheet


def _on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def main() -> int:
    """Run the demo; the exit status."""
    stages = Stages()
    installation = installation_in_use()
    workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    OUTPUT.mkdir(exist_ok=True)
    for old in OUTPUT.glob("*.png"):  # so that all that lies there belongs to one run
        old.unlink()
    written, rows = [], []
    stages.say(f"Starting ComfyUI {installation.version} ...")
    with ComfyServer(installation, CACHE / "demo") as server:
        stages.say(f"ComfyUI is up; running {WORKFLOW.relative_to(ROOT)}")
        for name, demonstration in DEMONSTRATIONS.items():
            stages.say(f"{name}: {demonstration.photograph.relative_to(ROOT)}")
            server.upload_image(demonstration.photograph)
            prompt = prompt_of(workflow, server.object_info(), demonstration)
            images = images_of(server, prompt, stages.titles_of(prompt))
            written += save_images(name, images, OUTPUT)
            with Image.open(demonstration.photograph) as photograph:
                rows.append([photograph.convert("RGB"), images["overlay"][0], images["cutout"][0]])
    stages.say("ComfyUI is stopped.")
    sheet = OUTPUT / "contact_sheet.png"
    contact_sheet(rows).save(sheet)
    print(f"\n{len(written) + 1} images in {OUTPUT}. To see all at once, open {sheet}.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ComfyError, SetupError, WorkflowError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
