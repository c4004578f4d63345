"""Thumbnails of the example workflows and the figure of docs/granularity.md, made with the demo model.

    python -m diffseg_tools.thumbnails

Those of the picker are screenshots, which `make images` takes. A line below each says whether the workflow
needs a checkpoint: of a pack's workflows, ComfyUI's template browser shows the name and the thumbnail only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from diffseg_cli.batch.image_reading import read_image
from diffseg_cli.batch.segmenter import Segmenter, segment_maps
from diffseg_cli.batch.settings import DEMO_CAPTURE, DEMO_MERGE, ModelChoice, NestedSettings, SegmentSettings
from diffseg_core import Segments, find_object, refine_edges, segment_cut, segment_hierarchy, snap
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.image.bounds import bounding_boxes, corners
from diffseg_core.objects.points import Point, segments_under
from diffseg_core.objects.prompts import Box, Click

from .demo import DEMONSTRATIONS
from .drawing import captioned, mask_image, overlay_image
from .steps import ROOT

QUALITY = 86
PHOTOGRAPHS = ROOT / "diffseg_core" / "benchmark" / "photographs"
FREE, BOUND = (24, 128, 92), (70, 74, 84)  # of the line on a thumbnail: needs no model, needs one
MODELS = {"v1-5": "SD 1.5", "sd_xl": "SDXL", "flux1-dev": "Flux.1 dev"}  # by the beginning of a file's name
LOADERS = ("CheckpointLoaderSimple", "UNETLoader")
ACCENT, TEAL, AMBER = (64, 156, 255), (48, 178, 178), (246, 170, 60)
BOX_COLOURS = (ACCENT, AMBER, (240, 80, 150))
CUP = [(135, 179), (436, 225), (277, 309), (363, 281), (220, 213), (225, 254)]
CLICKS = [(277, 300), (277, 190), (190, 100), (290, 85), (365, 285)]
PAGODA = Box(80, 20, 390, 420)
BRUSH = [(215, 40), (250, 140), (130, 250), (230, 300), (330, 330), (430, 270), (360, 160)]


@dataclass
class Scene:
    """A photograph and what the demo model makes of it."""

    segmenter: Segmenter
    photograph: Image.Image

    @cached_property
    def maps(self) -> AttentionMaps:
        """Captured once."""
        return self.segmenter.capture(self.photograph)

    def nested(self, number: int | None = None) -> Segments:
        """Segments of the tree."""
        return segment_maps(self.maps, self.photograph, SegmentSettings(NestedSettings(number)))

    def merged(self) -> Segments:
        """The paper's segments."""
        return segment_maps(self.maps, self.photograph, SegmentSettings(DEMO_MERGE))

    def overlay(self, segments: Segments) -> Image.Image:
        """As of DiffSeg Preview."""
        return overlay_image(self.photograph, segments)

    def clicked(self, number: int, points: list[tuple[int, int]]) -> Image.Image:
        """The mask of the segments under these points, mode L."""
        segments = self.nested(number)
        chosen = segments_under(segments.labels[0], [Point(*point) for point in points])
        return mask_image(segments.subset([chosen]).union()[0])


def _halves(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two images with a slanted line between them."""
    width, height = left.size
    top, bottom = width * 0.56, width * 0.44
    chooser = Image.new("L", left.size, 0)
    ImageDraw.Draw(chooser).polygon([(top, 0), (width, 0), (width, height), (bottom, height)], fill=255)
    both = Image.composite(right.convert("RGB"), left.convert("RGB"), chooser)
    ImageDraw.Draw(both).line([(top, 0), (bottom, height)], fill="white", width=3)
    return both


def _outlined(image: Image.Image, mask: Image.Image, points: list[tuple[int, int]]) -> Image.Image:
    """What is chosen, in the light, with the clicks that chose it."""
    dark = Image.blend(image, Image.new("RGB", image.size, (18, 14, 14)), 0.7)
    out = Image.composite(image, dark, mask)
    edge = mask.filter(ImageFilter.MaxFilter(5))
    edge = Image.fromarray(np.asarray(edge) - np.minimum(np.asarray(edge), np.asarray(mask)))
    out.paste((255, 255, 255), mask=edge)
    draw = ImageDraw.Draw(out)
    for x, y in points:
        draw.ellipse([x - 7, y - 7, x + 7, y + 7], fill="white")
        draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=ACCENT)
    return out


def _tinted(image: Image.Image, mask: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    grey = np.asarray(image.convert("L"), np.float32)[..., None] / 255
    tint = Image.fromarray((grey * np.array(colour) * 1.25).clip(0, 255).astype(np.uint8))
    return Image.composite(tint, image, mask)


def _chequered(size: tuple[int, int], cell: int = 12) -> Image.Image:
    rows, columns = np.indices((size[1], size[0])) // cell
    return Image.fromarray(np.where((rows + columns) % 2, 235, 205).astype(np.uint8)).convert("RGB")


def clean_up(scene: Scene) -> Image.Image:
    """A rough stroke, and what it becomes."""
    stroke = Image.new("L", scene.photograph.size, 0)
    ImageDraw.Draw(stroke).line(BRUSH, fill=255, width=84, joint="curve")
    for x, y in BRUSH:
        ImageDraw.Draw(stroke).ellipse([x - 42, y - 42, x + 42, y + 42], fill=255)
    red = Image.composite(
        Image.blend(scene.photograph, Image.new("RGB", stroke.size, (255, 70, 70)), 0.55),
        scene.photograph,
        stroke,
    )
    snapped = snap(scene.nested(24), torch.from_numpy(np.array(stroke)).float()[None] / 255)
    mask = mask_image(snapped.union()[0])
    return _halves(red, Image.composite(scene.photograph, _chequered(stroke.size), mask))


def click_and_inpaint(scene: Scene) -> Image.Image:
    """Clicks, and the soft mask that inpainting takes."""
    mask = scene.clicked(24, CUP)
    soft = mask.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.GaussianBlur(5))
    return _halves(_outlined(scene.photograph, mask, CUP), soft)


def click_an_object(scene: Scene) -> Image.Image:
    """Clicks on a thing of several parts, and the soft mask that inpainting takes."""
    found, _ = find_object(scene.nested(), scene.photograph, [Click(Point(*each)) for each in CLICKS])
    mask = mask_image(found.union()[0])
    soft = mask.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.GaussianBlur(5))
    return _halves(_outlined(scene.photograph, mask, CLICKS), soft)


def clicked_object(scene: Scene) -> Image.Image:
    """Clicks on a thing, and the thing."""
    clicks = [(203, 156), (203, 340)]
    found, _ = find_object(scene.nested(), scene.photograph, [Click(Point(*each)) for each in clicks])
    return _outlined(scene.photograph, mask_image(found.union()[0]), clicks)


def cuts(scene: Scene) -> Image.Image:
    """Normalised cuts of the features, and the tree of the same features."""
    cut = segment_cut(scene.maps, scene.photograph)
    tree = segment_hierarchy(scene.maps, scene.photograph, evidence="features")
    return _halves(scene.overlay(cut), scene.overlay(tree))


def checked(segmenter: Segmenter) -> Image.Image:
    """Some of the photographs of a check, with segments of the demo model."""
    out = Image.new("RGB", (960, 480), (18, 14, 14))
    for place, name in enumerate(("otter", "harbour", "coffee", "lake")):
        with Image.open(PHOTOGRAPHS / f"{name}.jpg") as file:
            scene = Scene(segmenter, file.convert("RGB"))
        tile = ImageOps.fit(scene.overlay(scene.nested()), (480, 240))
        out.paste(tile, (place % 2 * 480, place // 2 * 240))
    return out


def box_to_cutout(scene: Scene) -> Image.Image:
    """The thing that a box means, cut out."""
    found, _ = find_object(scene.nested(), scene.photograph, [PAGODA])
    mask = mask_image(found.union()[0])
    out = Image.composite(scene.photograph, _chequered(mask.size), mask)
    corners = [PAGODA.x1, PAGODA.y1, PAGODA.x2, PAGODA.y2]
    ImageDraw.Draw(out).rectangle(corners, outline=ACCENT, width=4)
    return out


def words(scene: Scene) -> Image.Image:
    """Everything in the image, and the words that choose among it."""
    left, right = scene.overlay(scene.nested()), Image.new("RGB", scene.photograph.size, (18, 14, 14))
    draw, size = ImageDraw.Draw(right), right.height // 9
    for line, (word, colour) in enumerate({"cup": ACCENT, "saucer": TEAL, "!table": AMBER}.items()):
        place = (right.width * 0.62, right.height * (0.26 + 0.19 * line))
        draw.text(place, word, fill=colour, font=ImageFont.load_default(size))
    return _halves(left, right)


def regions(scene: Scene) -> Image.Image:
    """Two regions, a prompt for each."""
    mask = scene.clicked(24, list(DEMONSTRATIONS["coffee"].points))
    rest = mask.point(lambda value: 255 - value)
    return _tinted(_tinted(scene.photograph, mask, AMBER), rest, TEAL)


def recolour(scene: Scene) -> Image.Image:
    """The thing in another colour."""
    mask = scene.clicked(24, CUP)
    return _halves(_outlined(scene.photograph, mask, CUP), _tinted(scene.photograph, mask, ACCENT))


def background(scene: Scene) -> Image.Image:
    """The thing before another background."""
    points = list(DEMONSTRATIONS["coffee"].points)
    mask = scene.clicked(24, points)
    fade = Image.linear_gradient("L").resize(mask.size)
    ground = Image.composite(
        Image.new("RGB", mask.size, (24, 92, 110)), Image.new("RGB", mask.size, TEAL), fade
    )
    placed = Image.composite(scene.photograph, ground, mask.filter(ImageFilter.GaussianBlur(1)))
    return _halves(_outlined(scene.photograph, mask, points), placed)


def detailer(scene: Scene) -> Image.Image:
    """The boxes that a detailer works on."""
    segments = scene.nested()
    labels = segments.labels[0].numpy()
    boxes = bounding_boxes(labels, segments.counts[0])
    height, width = labels.shape
    inner = [
        index
        for index, (rows, columns) in enumerate(boxes)
        if rows.start > 0 and rows.stop < height and columns.start > 0 and columns.stop < width
    ][:3]
    out = _outlined(scene.photograph, mask_image(segments.subset([inner]).union()[0]), [])
    draw = ImageDraw.Draw(out)
    for colour, index in zip(BOX_COLOURS, inner, strict=False):
        draw.rectangle(corners(boxes[index]), outline=colour, width=3)
    return out


def edges(scene: Scene) -> Image.Image:
    """Merged as in the paper, with refined edges, and the hierarchy's automatic cut."""
    merged = scene.merged()
    shown = [merged, refine_edges(merged, scene.photograph), scene.nested()]
    panels = [scene.overlay(segments).resize((500, 333), Image.Resampling.LANCZOS) for segments in shown]
    out = Image.new("RGB", (1500, 333))
    for place, panel in enumerate(panels):
        out.paste(panel, (500 * place, 0))
    return out


def needed_model(workflow: dict[str, Any]) -> str | None:
    """What an example workflow has to be given to run, such as "SD 1.5"; None for nothing.

    Raises:
        ValueError: it loads a model that has no entry in ``MODELS``.
    """
    files = [node["widgets_values"][0] for node in workflow["nodes"] if node["type"] in LOADERS]
    if not files:
        return None
    found = next((model for start, model in MODELS.items() if files[0].startswith(start)), None)
    if found is None:
        raise ValueError(f"Expected a model that MODELS names, got {files[0]}. Enter what a card is to say.")
    return found


def with_need(thumbnail: Image.Image, name: str) -> Image.Image:
    """The thumbnail of ``workflows/{name}.json`` with a line that says which model it needs."""
    path = ROOT / "workflows" / f"{name}.json"
    model = needed_model(json.loads(path.read_text(encoding="utf-8")))
    if model is None:
        return captioned(thumbnail, "runs without a checkpoint", FREE)
    return captioned(thumbnail, f"needs a checkpoint: {model}", BOUND)


def main() -> None:
    """Make them all."""
    segmenter = Segmenter(ModelChoice(device="cpu", precision="float32"), DEMO_CAPTURE)
    coffee, pagoda, dahlia = (
        Scene(segmenter, read_image(DEMONSTRATIONS[name].photograph))
        for name in ("coffee", "pagoda", "dahlia")
    )
    made: dict[str, Callable[[], Image.Image]] = {
        "workflows/as_in_the_paper.jpg": lambda: coffee.overlay(coffee.merged()),
        "workflows/try_it_without_a_checkpoint.jpg": lambda: coffee.overlay(coffee.nested()),
        "workflows/masks_of_everything.jpg": lambda: pagoda.overlay(pagoda.nested()),
        "workflows/clean_up_a_drawn_mask.jpg": lambda: clean_up(coffee),
        "workflows/click_and_inpaint.jpg": lambda: click_and_inpaint(coffee),
        "workflows/click_an_object_and_inpaint_it.jpg": lambda: click_an_object(coffee),
        "workflows/flux_click_an_object.jpg": lambda: clicked_object(pagoda),
        "workflows/select_by_words_and_inpaint.jpg": lambda: words(coffee),
        "workflows/sdxl_features.jpg": lambda: cuts(dahlia),
        "workflows/check_my_model.jpg": lambda: checked(segmenter),
        "workflows/one_prompt_per_region.jpg": lambda: regions(coffee),
        "workflows/recolour_an_object.jpg": lambda: recolour(coffee),
        "workflows/replace_the_background.jpg": lambda: background(coffee),
        "workflows/segs_to_detailer_needs_impact_pack.jpg": lambda: detailer(coffee),
        "workflows/box_to_cutout.jpg": lambda: box_to_cutout(pagoda),
        "docs/edges.jpg": lambda: edges(coffee),
    }
    for name, make in made.items():
        path = ROOT / name
        image = with_need(make(), path.stem) if path.parent.name == "workflows" else make()
        image.save(path, quality=QUALITY, optimize=True)
        print(name)


if __name__ == "__main__":
    main()
