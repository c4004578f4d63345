"""Workflows that earlier versions saved give the masks that they gave then, pixel by pixel.

``MASKS`` holds what the version before the nodes' inputs changed gave for them on ComfyUI 0.30.0, with other
values than the defaults in every widget that the nodes still have.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.javascript import rewritten
from diffseg_tools.workflow import to_prompt
from PIL import Image

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
SAVED = ROOT / "tests" / "saved_workflows"
MASKS = Path(__file__).with_name("saved_masks.npz")
"""By name of the workflow and number of the variant: bits of bool ``[masks, h, w]``."""
VARIANTS = [("number of segments", "segments", 0), ("height", "segments", 0), ("height", "object", 12)]
"""With DiffSeg Hierarchy: its cut, and mode and granularity of Select. Others have the first."""
VALUES: dict[str, list[Any]] = {
    "DiffSegCapture": [40, "noised latent", 9, 320, "finest two"],
    "DiffSegSegment": [0.5, 3, 12, "none", 1.5],
    "DiffSegHierarchy": ["CUT", 7, 0.04, False, 0.5, 0.25, 0.4],
    "DiffSegSelect": ["POINTS", True, 0, "GRANULARITY", "MODE"],
    "ImageScaleToTotalPixels": ["lanczos", 0.15, 8],
    "1c47ff2b-3e08-5e6a-a307-a0660535d4da": [0.5, 1.5],  # the subgraph, which shows two of Segment's
}
"""Of the widgets that the nodes had, in their order; defaults of those that are gone, and one image."""


def with_values(workflow: Json, variant: tuple[str, str, int]) -> Json:
    """The workflow with `VALUES`, as many of them as it has."""
    cut, mode, granularity = variant
    for part in [workflow, *workflow.get("definitions", {}).get("subgraphs", [])]:
        for node in part["nodes"]:
            prompts = [{"x": 40 * node["id"], "y": 150}, {"x": 40, "y": 40, "label": 0}]
            by_place = {
                "CUT": cut, "MODE": mode, "GRANULARITY": granularity,
                "POINTS": json.dumps(prompts if mode == "object" else prompts[:1]),
            }  # fmt: skip
            if node["type"] in VALUES:
                values = VALUES[node["type"]][: len(node["widgets_values"])]
                node["widgets_values"] = [by_place.get(value, value) for value in values]
    return workflow


def masks_only(prompt: Json) -> Json:
    """The prompt with the demo model in place of the loader, and with nothing but what makes masks."""
    kept = {key: node for key, node in prompt.items() if node["class_type"].startswith("DiffSeg")}
    kept |= {
        key: node
        for key, node in prompt.items()
        if node["class_type"] in ("LoadImage", "ImageScaleToTotalPixels")
    }
    kept["model"] = {"class_type": "DiffSegDemoModel", "inputs": {}}
    for node in list(kept.values()):
        if node["class_type"] == "DiffSegCapture":
            node["inputs"] |= {"model": ["model", 0], "conditioning": ["model", 2], "vae": ["model", 1]}
            node["inputs"].setdefault("image", ["model", 3])  # the subgraph's is connected where it is used
            node["inputs"].pop("clip", None)
    for key, node in list(kept.items()):
        if node["class_type"] == "DiffSegPreview":
            del kept[key]
        if node["class_type"] in ("DiffSegSelect", "DiffSegMasks"):
            kept[f"image {key}"] = {"class_type": "MaskToImage", "inputs": {"mask": [key, 0]}}
            kept[f"save {key}"] = {"class_type": "PreviewImage", "inputs": {"images": [f"image {key}", 0]}}
    return kept


def masks_of(server: ComfyServer, workflow: Json, *, is_rewritten: bool) -> np.ndarray:
    """What a workflow gives: bool ``[masks, h, w]``."""
    info = server.object_info()
    run = server.run(masks_only(to_prompt(rewritten(workflow, info) if is_rewritten else workflow, info)))
    entries = [
        entry
        for key in sorted(run.outputs)
        if key.startswith("save ")
        for entry in run.outputs[key]["images"]
    ]
    images = [np.asarray(Image.open(io.BytesIO(server.fetch_image(entry))))[..., 0] for entry in entries]
    return np.stack(images) > 127


def masks_of_all(
    server: ComfyServer, photograph: Path, *, is_rewritten: bool = True
) -> dict[str, np.ndarray]:
    """Of every saved workflow, those with a hierarchy for each variant."""
    with Image.open(ROOT / "demo_model" / "photograph.jpg") as image:
        image.resize((517, 301)).save(photograph)
    server.upload_image(photograph, "example.png")
    found = {}
    for path in sorted(SAVED.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        for number, variant in enumerate(VARIANTS if "DiffSegHierarchy" in text else VARIANTS[:1]):
            workflow = with_values(json.loads(text), variant)
            found[f"{path.stem} {number}"] = masks_of(server, workflow, is_rewritten=is_rewritten)
    return found


def test_a_saved_workflow_gives_the_masks_that_it_gave(comfy_server: ComfyServer, tmp_path: Path) -> None:
    found = masks_of_all(comfy_server, tmp_path / "example.png")
    with np.load(MASKS) as expected:
        assert found.keys() == {name for name in expected.files if not name.endswith(" shape")}
        for name, masks in found.items():
            shape = expected[f"{name} shape"]
            assert masks.shape == tuple(shape), name
            before = np.unpackbits(expected[name], count=masks.size).reshape(shape).astype(bool)
            assert 0 < before.mean() < 1
            assert np.mean(masks != before) < 1e-3, f"{name}: other processors round a few pixels elsewhere"
