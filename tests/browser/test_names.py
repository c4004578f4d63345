"""Names of saved files: DiffSeg Save fills in what Save Image does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from . import workflows
from .graph_page import GraphPage

ObjectInfo = dict[str, Any]
PREFIX = "%date:yyyy-MM-dd%/%DiffSegTestCells.count%_%DiffSegSave.nothing%_%width%"


def test_names_are_filled_in_as_by_save_image(graph: GraphPage, object_info: ObjectInfo) -> None:
    made = workflows.Graph(object_info)
    cells = made.add("DiffSegTestCells", 37, 64)
    made.add("DiffSegSave", PREFIX, segments=(cells, 0))
    made.add("SaveImage", PREFIX, images=(cells, 1))
    graph.show_workflow(made.workflow())
    days = [f"{datetime.now():%Y-%m-%d}"]
    with graph.provoking("Unable to find widget nothing"):  # and so does Save Image
        prompt = graph.api_format()
    names = {node["class_type"]: node["inputs"].get("filename_prefix") for node in prompt.values()}
    days.append(f"{datetime.now():%Y-%m-%d}")
    assert names["DiffSegSave"] == names["SaveImage"]
    assert names["DiffSegSave"] in [f"{day}/37_%DiffSegSave.nothing%_%width%" for day in days]
    saved = graph.page.evaluate("() => window.comfyAPI.app.app.rootGraph.serialize()")
    (kept,) = (node["widgets_values"][0] for node in saved["nodes"] if node["type"] == "DiffSegSave")
    assert kept == PREFIX, "a saved workflow keeps what was typed"
