"""Workflows as users saved them with earlier versions: the front end reads them as they were meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from diffseg_tools.javascript import rewritten
from diffseg_tools.workflow import to_prompt
from PIL import Image

from .graph_page import GraphPage

SAVED = Path(__file__).resolve().parents[1] / "saved_workflows"
WHOLE = sorted(path for path in SAVED.glob("*.json") if path.stem != "click_to_mask")  # that is a subgraph


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_saved_workflow_has_its_links_and_values(
    graph: GraphPage, object_info: dict[str, Any], path: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "example.png")
    graph.server.upload_image(tmp_path / "example.png")  # they load it
    workflow = json.loads(path.read_text(encoding="utf-8"))
    graph.show_workflow(workflow)
    shown = graph.api_format()
    ours = {key: node for key, node in shown.items() if node["class_type"].startswith("DiffSeg")}
    assert len(ours) >= 2
    today = rewritten(workflow, object_info)
    expected = to_prompt(today, object_info)
    for key, node in ours.items():
        assert node["inputs"] == expected[key]["inputs"]
    links = sum(isinstance(value, list) for node in shown.values() for value in node["inputs"].values())
    assert links == len(today["links"])


def test_nodes_in_a_saved_subgraph_have_their_values(graph: GraphPage, object_info: dict[str, Any]) -> None:
    """The subgraph of an earlier version, with other values than the defaults, as a workflow holds it."""
    workflow = json.loads((SAVED / "click_to_mask.json").read_text(encoding="utf-8"))
    inner = workflow["definitions"]["subgraphs"][0]["nodes"]
    old = {
        "DiffSegHierarchy": ["height", 7, 0.3, False, 1.5, 2.0, 0.2],
        "DiffSegSegment": [0.8, 5, 8, "kmeans", 2.0],
    }
    today = {
        "DiffSegHierarchy": {"cut": "height", "height": 0.3, "neighbours_only": False, "finest": 0.2},
        "DiffSegSegment": {"merge_threshold": 0.8, "anchors": 8, "smallest_area": 2.0},
    }
    for node in inner:
        node["widgets_values"] = old.get(node["type"], node.get("widgets_values"))
    graph.show_workflow(workflow)
    prompt = graph.api_format()
    changed = [node for node in prompt.values() if node["class_type"] in today]
    assert changed
    for node in changed:
        assert node["inputs"].items() >= today[node["class_type"]].items(), node
