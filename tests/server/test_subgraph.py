"""The subgraph that comes with the pack: ComfyUI offers it, and it gives the mask of what is clicked."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.workflow import to_prompt
from PIL import Image

NAME = "Click to mask"
POINT = (190, 100)  # on the cup's rim in the photograph
LINKS = {"model": 0, "vae": 1, "image": 3}  # from the demo model
SETTINGS = {"DiffSegCapture": [25, "clean latent", 0, 384, "all"]}  # that suit the demo model

Json = dict[str, Any]


def blueprint_of(server: ComfyServer) -> Json:
    """The subgraph's file, as ComfyUI hands it to the front end."""
    (key,) = (key for key, entry in server.get("/global_subgraphs").items() if entry["name"] == NAME)
    entry = server.get(f"/global_subgraphs/{key}")
    assert entry["source"] == "custom_node"
    return json.loads(entry["data"])


def workflow_with(blueprint: Json) -> Json:
    """The demo model (2), the subgraph (1), and its mask saved."""
    (host,) = blueprint["nodes"]
    links = [[number, 2, slot, 1, 0, ""] for number, slot in enumerate(LINKS.values(), start=1)]
    for number, name in enumerate(LINKS, start=1):
        next(each for each in host["inputs"] if each["name"] == name)["link"] = number
    links += [[5, 1, 0, 3, 0, "MASK"], [6, 3, 0, 4, 0, "IMAGE"]]
    return {
        **blueprint,
        "nodes": [
            {"id": 2, "type": "DiffSegDemoModel"},
            host,
            {"id": 3, "type": "MaskToImage", "inputs": [{"name": "mask", "type": "MASK", "link": 5}]},
            {
                "id": 4,
                "type": "SaveImage",
                "inputs": [{"name": "images", "type": "IMAGE", "link": 6}],
                "widgets_values": ["tests/clicked"],
            },
        ],
        "links": links,
    }


def saved(server: ComfyServer, prompt: Json, node: str) -> list[np.ndarray]:
    entries = server.run(prompt).outputs[node]["images"]
    return [np.asarray(Image.open(io.BytesIO(server.fetch_image(entry))))[..., 0] for entry in entries]


def test_the_subgraph_gives_the_mask_of_the_segment_that_is_clicked(
    any_comfy_server: ComfyServer, hierarchy_prompt: Json
) -> None:
    blueprint = blueprint_of(any_comfy_server)
    for node in blueprint["definitions"]["subgraphs"][0]["nodes"]:
        node["widgets_values"] = SETTINGS.get(node["type"], node["widgets_values"])
        if node["type"] == "DiffSegSelect":
            node["widgets_values"][0] = json.dumps([{"x": POINT[0], "y": POINT[1]}])
    prompt = to_prompt(workflow_with(blueprint), any_comfy_server.object_info())
    (mask,) = saved(any_comfy_server, prompt, "4")

    masks = {"class_type": "DiffSegMasks", "inputs": {"segments": ["3", 0]}}
    images = {"class_type": "MaskToImage", "inputs": {"mask": ["4", 0]}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "tests/each"}}
    every = saved(any_comfy_server, {**hierarchy_prompt, "4": masks, "5": images, "6": save}, "6")
    (expected,) = (each for each in every if each[POINT[1], POINT[0]])
    assert 0 < expected.mean() < 255
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("name", ["clip", "conditioning"])
def test_clip_and_conditioning_reach_the_capture(comfy_server: ComfyServer, name: str) -> None:
    blueprint = blueprint_of(comfy_server)
    (host,) = blueprint["nodes"]
    socket = next(each for each in host["inputs"] if each["name"] == name)
    socket["link"] = 1
    kinds = ["MODEL", "CLIP", "VAE", "CONDITIONING"]
    origin = kinds.index(socket["type"])
    giver = {"id": 2, "type": "Giver", "outputs": [{"type": kind} for kind in kinds], "widgets_values": []}
    info = comfy_server.object_info()
    info["Giver"] = {"input": {}, "output": kinds, "output_name": kinds}
    links = [[1, 2, origin, 1, 0, socket["type"]]]
    prompt = to_prompt({**blueprint, "nodes": [giver, host], "links": links}, info)
    (capture,) = (node for node in prompt.values() if node["class_type"] == "DiffSegCapture")
    assert capture["inputs"][name] == ["2", origin]
    assert len({"clip", "conditioning"} & capture["inputs"].keys()) == 1
