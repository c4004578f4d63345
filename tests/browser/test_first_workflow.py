"""The first workflows as a newcomer opens them: they run as they are, and show what they promise.

With the environment variable DIFFSEG_IMAGES what they show becomes images of the documentation:
`make images`.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from diffseg_tools.thumbnails import with_need
from PIL import Image
from playwright.sync_api import Locator, Page

from .front_end import APP, TWO_FRAMES
from .graph_page import GraphPage

ROOT = Path(__file__).resolve().parents[2]
MAKE_IMAGES = "DIFFSEG_IMAGES" in os.environ
SAUCER = (276, 310)
NUMBER = 16


def workflow(name: str) -> dict:
    return json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def save(page: Page, path: str, clip: dict[str, float]) -> None:
    image = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
    if path.startswith("workflows/"):
        image = with_need(image, Path(path).stem)
    image.save(ROOT / path, quality=88, optimize=True)


def box(locator: Locator, margin: int = 0) -> dict[str, float]:
    found = locator.bounding_box()
    assert found is not None
    return {
        "x": found["x"] - margin,
        "y": found["y"] - margin,
        "width": found["width"] + 2 * margin,
        "height": found["height"] + 2 * margin,
    }


def test_the_first_workflow_runs_as_it_is(graph: GraphPage) -> None:
    graph.page.set_viewport_size({"width": 1720, "height": 800})
    graph.set_setting("Comfy.Minimap.Visible", False)
    graph.show_workflow(workflow("try_it_without_a_checkpoint"))
    result = graph.queue()
    assert "DiffSegHierarchy" in result.executed | result.cached
    shown = graph.page.evaluate(
        f"() => {APP}.rootGraph.nodes.filter(node => node.imgs?.length || node.images?.length)"
        ".map(node => node.type)"
    )
    assert "DiffSegPreview" in shown, "the overlay is seen on the node"
    if MAKE_IMAGES and not graph.nodes2:
        graph.page.evaluate(
            f"""() => {{
                const {{ds}} = {APP}.canvas, nodes = {APP}.rootGraph.nodes
                const left = Math.min(...nodes.map(node => node.pos[0]))
                const top = Math.min(...nodes.map(node => node.pos[1]))
                const right = Math.max(...nodes.map(node => node.pos[0] + node.size[0]))
                ds.scale = 1580 / (right - left)
                ds.offset[0] = 90 / ds.scale - left
                ds.offset[1] = 160 / ds.scale - top + 30
                {APP}.canvas.setDirty(true, true)
            }}"""
        )
        graph.page.mouse.move(5, 790)
        graph.page.wait_for_timeout(1500)  # images of the nodes fade in
        save(graph.page, "docs/workflow.png", {"x": 70, "y": 138, "width": 1620, "height": 590})
    graph.set_setting("Comfy.Minimap.Visible", True)


def test_the_slider_workflow_gives_what_the_slider_shows(graph: GraphPage) -> None:
    graph.load(workflow("move_one_slider"))
    graph.queue()
    graph.image_size = (600, 400)
    graph.wait_for_image()
    graph.press("none")
    graph.set_widget("DiffSegSelect", "granularity", NUMBER)
    graph.click(SAUCER)
    graph.leave()
    graph.page.evaluate(TWO_FRAMES)
    assert graph.page.locator(".diffseg-picker-slider output").inner_text().startswith(str(NUMBER))
    if MAKE_IMAGES and graph.nodes2:
        node = graph.page.locator(".lg-node", has=graph.picker)
        save(graph.page, "docs/granularity.jpg", box(node))
        save(graph.page, "workflows/move_one_slider.jpg", box(graph.picker))
    (masks,) = graph.queue().images.values()
    assert masks[0][SAUCER[1], SAUCER[0]].all()
    assert not masks[0].all()
