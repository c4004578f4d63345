"""Workflows as users saved them with earlier versions: the front end reads them as they were meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffseg_tools.javascript import rewritten
from diffseg_tools.workflow import to_prompt
from PIL import Image

from .graph_page import GraphPage

SAVED = Path(__file__).resolve().parents[1] / "saved_workflows"
WHOLE = sorted(path for path in SAVED.glob("*.json") if path.stem != "click_to_mask")  # that is a subgraph


def test_a_saved_workflow_has_its_links_and_values(
    graph: GraphPage, object_info: dict[str, Any], tmp_path: Path
) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "example.png")
    graph.server.upload_image(tmp_path / "example.png")  # they load it
    for path in WHOLE:
        workflow = json.loads(path.read_text(encoding="utf-8"))
        graph.show_workflow(workflow)
        shown = graph.api_format()
        ours = {key: node for key, node in shown.items() if node["class_type"].startswith("DiffSeg")}
        assert len(ours) >= 2, path.stem
        today = rewritten(workflow, object_info)
        expected = to_prompt(today, object_info)
        for key, node in ours.items():
            assert node["inputs"] == expected[key]["inputs"], (path.stem, key)
        links = sum(isinstance(value, list) for node in shown.values() for value in node["inputs"].values())
        assert links == len(today["links"]), path.stem


def test_nodes_in_a_saved_subgraph_have_their_values(graph: GraphPage, object_info: dict[str, Any]) -> None:
    """The subgraph of an earlier version, with other values than the defaults, as a workflow holds it."""
    workflow = json.loads((SAVED / "click_to_mask.json").read_text(encoding="utf-8"))
    (segment,) = (
        node for node in workflow["definitions"]["subgraphs"][0]["nodes"] if node["type"] == "DiffSegSegment"
    )
    segment["widgets_values"] = [0.8, 5, 8, "kmeans", 2.0]
    with graph.provoking("duplicate subgraph node ID"):  # LiteGraph's own habit with an id that it knows
        graph.show_workflow(workflow)
    (shown,) = (node for node in graph.api_format().values() if node["class_type"] == "DiffSegSegment")
    values = {name: value for name, value in shown["inputs"].items() if name != "attention"}
    # The subgraph shows two of them outside, where they are at their defaults.
    assert values == {"merge_threshold": 1, "anchors": 8, "smallest_area": 0.2}
