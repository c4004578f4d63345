"""The example workflows as the front end opens them: nothing covers anything, and the text can be read.

With the environment variable DIFFSEG_LAYOUT their nodes are first moved apart, and the files written:
`make layout`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diffseg_tools.layout import TITLE, arrange, covered, group_places, node_place
from diffseg_tools.serve import copy_images

from .front_end import APP, TWO_FRAMES
from .graph_page import GraphPage

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("workflows/*.json"), *ROOT.glob("subgraphs/*.json")])
WRITE = "DIFFSEG_LAYOUT" in os.environ
READABLE = 8  # pixels: below it, the classic canvas leaves text out
SHOWN = f"""() => {APP}.canvas.graph.nodes.map(node => {{
    const {{scale, offset}} = {APP}.canvas.ds, from = {APP}.canvas.canvas.getBoundingClientRect()
    const element = document.querySelector(`.lg-node[data-node-id="${{node.id}}"]`)
    if (!element) return [...node.boundingRect]
    const {{left, top, width, height}} = element.getBoundingClientRect()
    return [(left - from.left) / scale - offset[0], (top - from.top) / scale - offset[1],
        width / scale, height / scale]
}})"""
FONT_SIZE = """() => {
    const node = document.querySelector('.lg-node')
    return node ? parseFloat(getComputedStyle(node).fontSize) : window.LiteGraph.NODE_TEXT_SIZE
}"""  # of names, values and titles


def open_as_template(graph: GraphPage, workflow: dict[str, Any]) -> list[list[float]]:
    """Show a workflow as the template browser does: left, top, width, height of each node with its title."""
    graph.page.evaluate(
        f"workflow => {APP}.loadGraphData(workflow, true, true, 'example', {{openSource: 'template'}})",
        workflow,
    )
    if not workflow["links"]:  # nothing but a subgraph: go into it
        graph.page.evaluate(f"() => {APP}.canvas.setGraph([...{APP}.rootGraph.subgraphs.values()][0])")
    for _ in range(3):
        graph.page.evaluate(TWO_FRAMES)
    return graph.page.evaluate(SHOWN)


def complaints(name: str, graph: GraphPage, content: dict[str, Any], boxes: list[list[float]]) -> list[str]:
    """What a person would not like about a workflow as it is shown."""
    places = [
        node_place({**node, "pos": [left, top + TITLE]}, (width, height - TITLE))
        for node, (left, top, width, height) in zip(content["nodes"], boxes, strict=True)
    ]
    found = covered(places)
    groups = group_places(content)
    found += covered([group for group, _ in groups])
    for group, members in groups:
        outside = [place for node, place in zip(content["nodes"], places, strict=True) if node not in members]
        found += [line for place in outside for line in covered([group, place])]
    pixels = graph.page.evaluate(FONT_SIZE) * graph.zoom()
    if pixels < READABLE:
        found.append(f"expected text of {READABLE} pixels or more, got {pixels:.2f} at {graph.zoom():.3f}")
    if graph.page.evaluate(f"() => {APP}.canvas.low_quality"):
        found.append("the canvas leaves its text out")
    return [f"{name}: {line}" for line in found]


@pytest.fixture
def large(graph: GraphPage) -> Iterator[GraphPage]:
    """The front end in a window of the usual size, on a server that has the images."""
    copy_images(graph.server.installation, graph.server.base_directory / "input")
    before = graph.page.viewport_size
    graph.page.set_viewport_size({"width": 1920, "height": 1080})
    graph.page.evaluate(TWO_FRAMES)
    yield graph
    graph.page.set_viewport_size(before)


@pytest.mark.both_renderers
def test_no_example_opens_with_covered_nodes_or_text_that_is_too_small(large: GraphPage) -> None:
    found = []
    for path in FILES:
        workflow = json.loads(path.read_text(encoding="utf-8"))
        content = workflow if workflow["links"] else workflow["definitions"]["subgraphs"][0]
        # It looks for models at their addresses, and a subgraph's file alone is no workflow of a person's.
        with large.provoking("Failed to load resource"), large.provoking("subgraph"):
            boxes = open_as_template(large, workflow)
            if WRITE:
                arrange(content, [(width, height - TITLE) for _, _, width, height in boxes])
                path.write_text(json.dumps(workflow, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
                boxes = open_as_template(large, workflow)
        found += complaints(path.stem, large, content, boxes)
    assert not found, "\n".join(found)
