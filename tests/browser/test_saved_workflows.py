"""Workflows as users saved them with earlier versions: the front end reads them as they were meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
        kinds = {str(node["id"]): node for node in workflow["nodes"]}
        links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
        graph.show_workflow(workflow)
        shown = graph.api_format()
        ours = {key: node for key, node in shown.items() if node["class_type"].startswith("DiffSeg")}
        assert len(ours) >= 2, path.stem
        expected = to_prompt(workflow, object_info)
        for key, node in ours.items():
            for socket in kinds[key].get("inputs", []):
                if socket.get("link") is not None:
                    name = socket["name"]
                    assert node["inputs"][name] == links[socket["link"]], (path.stem, node, name)
            assert node["inputs"] == expected[key]["inputs"], (path.stem, key)
