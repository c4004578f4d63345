"""The picker at work, from hover to edit, as the README shows it: by segments, and by clicks on an object.

With the environment variable DIFFSEG_IMAGES the frames become the images of the documentation:
`make images`.
"""

from __future__ import annotations

import io
import os
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from . import workflows
from .front_end import APP, TWO_FRAMES
from .graph_page import GraphPage

ROOT = Path(__file__).resolve().parents[2]
VIEWPORT = {"width": 1280, "height": 860}
CLIP = {"x": 80, "y": 116, "width": 1190, "height": 730}
MAKE_IMAGES = "DIFFSEG_IMAGES" in os.environ
SCALE = 1.15
SEGMENTS = 16
CUP = [(181, 90), (183, 125), (200, 175), (190, 230), (230, 290)]  # a stroke from its rim to the saucer
OBJECT = [(277, 300), (277, 190), (190, 100), (290, 85), (365, 285)]  # clicks on the cup and its saucer
AGAINST = (560, 120)  # the table
WANDERING = [(545, 40), (500, 180), (420, 160), (360, 275), (290, 140), (130, 200), (181, 90)]


def recolouring(object_info: dict[str, Any]) -> dict[str, Any]:
    """Pick something in the demo model's photograph and give it another colour."""
    graph = workflows.Graph(object_info)
    image = (graph.add("DiffSegDemoModel"), 3)
    segments = workflows.add_nested_segments(graph, SEGMENTS, photographs=image)
    select = workflows.add_picker(graph, segments)
    workflows.save_everything(graph, select, segments)
    paint = graph.add("EmptyImage", 600, 400, 1, 0x58A8FF)
    blend = graph.add("ImageBlend", 0.6, "normal", image1=image, image2=(paint, 0))
    edit = graph.add(
        "ImageCompositeMasked", 0, 0, False, destination=image, source=(blend, 0), mask=(select, 0)
    )
    graph.save_image("edit", (edit, 0))
    preview = graph.add("PreviewImage", size=(480, 560), images=(edit, 0))
    workflow = graph.workflow() | {"id": str(uuid4())}  # no run of it is known yet
    for node in workflow["nodes"]:
        node["pos"] = [4000 + 10 * node["id"], 3000]
    by_id = {node["id"]: node for node in workflow["nodes"]}
    by_id[select] |= {"pos": [0, 0], "size": [480, 610]}
    by_id[preview]["pos"] = [540, 0]
    return workflow


class Film:
    """Frames of a page with the mouse drawn in, and how long each is shown; kept where images are made."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.milliseconds: list[int] = []

    def look(self) -> Image.Image:
        """The part of the page that is filmed."""
        self.page.evaluate(TWO_FRAMES)
        return Image.open(io.BytesIO(self.page.screenshot(clip=CLIP))).convert("RGB")

    def take(self, mouse: tuple[float, float] | None, milliseconds: int, fades: int = 0) -> None:
        """One frame, after the milliseconds in which something fades in or out."""
        if not MAKE_IMAGES:
            return
        self.page.wait_for_timeout(fades)
        frame = self.look()
        if mouse:
            frame.paste(POINTER, (round(mouse[0] - CLIP["x"]), round(mouse[1] - CLIP["y"])), POINTER)
        self.frames.append(frame)
        self.milliseconds.append(milliseconds)

    def save(self, path: Path) -> None:
        """As an animated WebP that begins anew."""
        frames = [frame.resize((frame.width * 4 // 5, frame.height * 4 // 5)) for frame in self.frames]
        rest = {"append_images": frames[1:], "duration": self.milliseconds, "loop": 0}
        frames[0].save(path, save_all=True, quality=72, method=4, **rest)


def _pointer() -> Image.Image:
    """An arrow: screenshots leave out the mouse."""
    from PIL import ImageDraw

    arrow = Image.new("RGBA", (60, 84), (0, 0, 0, 0))
    outline = [(3, 3), (3, 63), (18, 50), (28, 75), (39, 70), (29, 46), (48, 45)]
    ImageDraw.Draw(arrow).polygon(outline, fill="white", outline="black", width=5)
    return arrow.resize((20, 28), Image.Resampling.LANCZOS)


POINTER = _pointer()


def stroke_over_segments(graph: GraphPage, film: Film) -> None:
    """Choose segments in one stroke."""
    graph.page.mouse.down()
    for start, end in pairwise(CUP):
        for part in (0.5, 1.0):
            place = tuple(a + (b - a) * part for a, b in zip(start, end, strict=True))
            graph.page.mouse.move(*graph.place(place))
            film.take(graph.place(place), 200)
    graph.page.mouse.up()
    film.take(graph.place(CUP[-1]), 600)


def click_an_object(graph: GraphPage, film: Film) -> None:
    """Click a thing of several parts, and what it is not."""
    for place in OBJECT:
        graph.hover(place)
        film.take(graph.place(place), 700)
        graph.click(place)
        film.take(graph.place(place), 700)
    graph.page.mouse.click(*graph.place(AGAINST), button="right")
    film.take(graph.place(AGAINST), 900)


@pytest.mark.parametrize(("mode", "name"), [("segments", "picker"), ("object", "objects")])
def test_from_hover_to_edit(graph: GraphPage, object_info: dict[str, Any], mode: str, name: str) -> None:
    page = graph.page
    page.set_viewport_size(VIEWPORT)
    graph.set_setting("Comfy.Minimap.Visible", False)
    graph.load(recolouring(object_info))
    page.evaluate(
        f"scale => {{ {APP}.canvas.ds.scale = scale; {APP}.canvas.ds.offset[0] = 85; "
        f"{APP}.canvas.ds.offset[1] = 130; {APP}.canvas.setDirty(true, true) }}",
        SCALE,
    )
    page.mouse.move(640, VIEWPORT["height"] - 5)
    film = Film(page)
    film.take(None, 1200, fades=500)  # menus that the mouse had opened
    first = graph.run()
    film.take(None, 700, fades=500)
    before = film.look()
    if mode == "object":
        button = page.locator(".diffseg-picker button[data-mode=object]")
        box = button.bounding_box()
        assert box is not None
        button.click()
        graph.wait_for_status("Click the thing")
        film.take((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), 900)
    for place in WANDERING:
        graph.hover(place)
        film.take(graph.place(place), 350)
    (click_an_object if mode == "object" else stroke_over_segments)(graph, film)
    second = graph.run()
    film.take(graph.place(CUP[-1]), 2500, fades=1200)  # the preview

    assert not first.mask.any()
    if mode == "object":
        assert all(second.mask[y, x] for x, y in OBJECT)
        assert not second.mask[AGAINST[1], AGAINST[0]]
    else:
        assert (second.mask == second.segments(CUP)).all()
    (photograph,), (edit,) = first.images["edit"], second.images["edit"]
    changed = (photograph != edit).any(-1)
    assert not changed[~second.mask].any(), "what was not chosen stays as it was"
    assert changed[second.mask].mean() > 0.99

    def previewed() -> float:
        shown = np.asarray(film.look()).astype(int) - np.asarray(before).astype(int)
        return (np.abs(shown[:, shown.shape[1] // 2 :]) > 40).any(-1).mean()

    graph.wait_until(lambda: previewed() > 0.02, "the preview shows the edit")
    if MAKE_IMAGES:
        image = f"{name}_{'nodes2' if graph.nodes2 else 'classic'}.jpg"
        if image in ("picker_classic.jpg", "objects_nodes2.jpg"):
            film.frames[-1].save(ROOT / "docs" / image, quality=88)
        if graph.nodes2:
            film.save(ROOT / "web" / "docs" / f"{name}.webp")
    graph.set_setting("Comfy.Minimap.Visible", True)
