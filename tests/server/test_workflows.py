"""The example workflows on a live ComfyUI, and what ComfyUI says ran."""

from __future__ import annotations

import copy
import io
import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.javascript import rewritten
from diffseg_tools.prompt_run import ComfyRunError
from diffseg_tools.workflow import ANNOTATIONS, to_prompt
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
SAVED = ROOT / "tests" / "saved_workflows"
"""Workflows as users saved them with earlier versions: they have to go on working."""
NODES = {
    "DiffSegCapture",
    "DiffSegSegment",
    "DiffSegHierarchy",
    "DiffSegSelect",
    "DiffSegFindWords",
    "DiffSegFilter",
    "DiffSegSnapMask",
    "DiffSegRefine",
    "DiffSegMasks",
    "DiffSegLabelMap",
    "DiffSegToSEGS",
    "DiffSegSave",
    "DiffSegPreview",
    "DiffSegCheckModel",
    "DiffSegDemoModel",
}


def load(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "workflows" / name).read_text(encoding="utf-8"))


def as_the_front_end_reads(path: Path, info: dict[str, Any]) -> dict[str, Any]:
    return rewritten(json.loads(path.read_text(encoding="utf-8")), info)


def node_of(prompt: dict[str, Any], class_type: str) -> str:
    (found,) = (key for key, node in prompt.items() if node["class_type"] == class_type)
    return found


def image(server: ComfyServer, entry: dict[str, str]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(server.fetch_image(entry))))


def saved(server: ComfyServer, outputs: dict[str, Any], prefix: str) -> list[np.ndarray]:
    entries = [
        entry
        for output in outputs.values()
        for entry in output.get("images", [])
        if entry["type"] == "output" and entry["filename"].startswith(prefix)
    ]
    return [image(server, entry) for entry in entries]


@pytest.fixture
def demo_prompt(any_comfy_server: ComfyServer) -> dict[str, Any]:
    return to_prompt(load("try_it_without_a_checkpoint.json"), any_comfy_server.object_info())


def with_the_demo_model(server: ComfyServer, workflow: dict[str, Any], photograph: Path) -> dict[str, Any]:
    """The prompt of a Stable Diffusion workflow, with nothing but what its checkpoint gives replaced."""
    server.upload_image(photograph)
    prompt = to_prompt(workflow, server.object_info())
    loader = node_of(prompt, "CheckpointLoaderSimple")
    prompt[loader] = {"class_type": "DiffSegDemoModel", "inputs": {}}
    capture = prompt[node_of(prompt, "DiffSegCapture")]["inputs"]
    assert capture["model"] == [loader, 0]
    capture["vae"] = [loader, 1]
    if "conditioning" in capture:
        del prompt[capture["conditioning"][0]]  # the empty prompt
        capture["conditioning"] = [loader, 2]
    else:
        assert capture.pop("clip") == [loader, 1]  # the demo model has none
    return prompt


@pytest.fixture
def paper_prompt(any_comfy_server: ComfyServer, tmp_path: Path) -> dict[str, Any]:
    photograph = odd_sized_photograph(tmp_path / "example.png")
    prompt = with_the_demo_model(any_comfy_server, load("as_in_the_paper.json"), photograph)
    prompt[node_of(prompt, "DiffSegCapture")]["inputs"] |= {"noise_level": 25, "working_size": 384}
    prompt[node_of(prompt, "DiffSegSegment")]["inputs"] |= {"merge_threshold": 0.63, "smallest_area": 2.0}
    return prompt


def test_every_node_is_there_with_its_descriptions(any_comfy_server: ComfyServer) -> None:
    info = any_comfy_server.object_info()
    assert set(info) >= NODES
    for name in NODES:
        node = info[name]
        assert node["category"] in ("DiffSeg", "DiffSeg/more")
        assert node["description"].endswith(".")
        assert 3 <= len(node["search_aliases"]) <= 6
        assert all(tooltip and tooltip.endswith(".") for tooltip in node["output_tooltips"])
        inputs = node["input"].get("required", {}) | node["input"].get("optional", {})
        for input_name, (_, options) in inputs.items():
            assert options["tooltip"].endswith("."), (name, input_name)


def test_every_node_has_a_help_page(comfy_server: ComfyServer) -> None:
    info = comfy_server.object_info()
    for name in sorted(NODES):
        with urllib.request.urlopen(f"{comfy_server.url}/extensions/DiffSeg/docs/{name}.md") as answer:
            text = answer.read().decode("utf-8")
        assert text.startswith(f"# {info[name]['display_name']}\n"), name
        inputs = info[name]["input_order"].get("required", [])
        assert [input_name for input_name in inputs if input_name not in text] == [], name


def test_every_workflow_has_a_thumbnail_and_no_missing_node(comfy_server: ComfyServer) -> None:
    info = comfy_server.object_info()
    assert WORKFLOWS
    for path in WORKFLOWS:
        with Image.open(path.with_suffix(".jpg")) as thumbnail:
            assert min(thumbnail.size) >= 256, path.stem
        workflow = json.loads(path.read_text(encoding="utf-8"))
        missing = {node["type"] for node in workflow["nodes"]} - set(info)
        foreign = {node["type"] for node in workflow["nodes"] if node["properties"].get("cnr_id")}
        assert missing - ANNOTATIONS == foreign, path.stem
        assert bool(foreign) == ("_needs_" in path.stem), f"{path.stem}: which pack it needs, by its name"
        for node in workflow["nodes"]:
            node["mode"] = 2 if node["type"] in foreign else 0
        to_prompt(workflow, info)


def test_without_a_checkpoint_the_first_workflow_gives_an_overlay_and_masks(
    any_comfy_server: ComfyServer, demo_prompt: dict[str, Any]
) -> None:
    run = any_comfy_server.run(demo_prompt)
    (overlay,) = saved(any_comfy_server, run.outputs, "overlay")
    masks = np.stack([mask[..., 0] for mask in saved(any_comfy_server, run.outputs, "mask")])
    assert overlay.shape[:2] == masks.shape[1:]
    assert set(np.unique(masks)) == {0, 255}
    assert ((masks == 255).sum(0) == 1).all(), "every pixel lies in exactly one mask"
    areas = (masks == 255).sum((1, 2))
    assert (np.diff(areas) <= 0).all(), "the largest first"
    assert 4 <= len(masks) <= 40
    assert areas[0] < 0.9 * masks[0].size


def test_turning_a_segment_widget_leaves_the_capture_cached(
    any_comfy_server: ComfyServer, paper_prompt: dict[str, Any]
) -> None:
    capture, segment = node_of(paper_prompt, "DiffSegCapture"), node_of(paper_prompt, "DiffSegSegment")
    any_comfy_server.run(paper_prompt)
    for widget, value in {
        "merge_threshold": 0.33,
        "anchors": 8,
        "smallest_area": 1.0,
    }.items():
        changed = copy.deepcopy(paper_prompt)
        changed[segment]["inputs"][widget] = value
        run = any_comfy_server.run(changed)
        assert segment in run.executed, widget
        assert capture in run.cached, widget
        assert capture not in run.executed, widget


def test_a_higher_threshold_gives_fewer_masks(
    any_comfy_server: ComfyServer, paper_prompt: dict[str, Any]
) -> None:
    segment = node_of(paper_prompt, "DiffSegSegment")
    counts = []
    for threshold in (0.25, 0.7, 5.0):
        paper_prompt[segment]["inputs"]["merge_threshold"] = threshold
        counts.append(len(saved(any_comfy_server, any_comfy_server.run(paper_prompt).outputs, "mask")))
    assert counts[0] > counts[1] > counts[2] == 1


@pytest.mark.parametrize("name", ["masks_of_everything.json", "as_in_the_paper.json"])
def test_masks_of_everything_runs_with_only_its_loader_replaced(
    any_comfy_server: ComfyServer, tmp_path: Path, name: str
) -> None:
    workflow = load(name)
    photograph = odd_sized_photograph(tmp_path / "example.png")
    run = any_comfy_server.run(with_the_demo_model(any_comfy_server, workflow, photograph))
    (overlay,) = saved(any_comfy_server, run.outputs, "overlay")
    masks = saved(any_comfy_server, run.outputs, "mask")
    assert overlay.shape[:2] == (301, 517)
    assert {mask.shape[:2] for mask in masks} == {(301, 517)}


def odd_sized_photograph(path: Path) -> Path:
    with Image.open(ROOT / "demo_model" / "photograph.jpg") as photograph:
        photograph.resize((517, 301)).save(path)
    return path


def test_the_demo_models_vae_works_with_the_stock_nodes(comfy_server: ComfyServer) -> None:
    """Encode and decode with core's own nodes: the photograph comes back recognisably."""
    prompt = {
        "1": {"class_type": "DiffSegDemoModel", "inputs": {}},
        "2": {"class_type": "VAEEncode", "inputs": {"pixels": ["1", 3], "vae": ["1", 1]}},
        "3": {"class_type": "VAEDecode", "inputs": {"samples": ["2", 0], "vae": ["1", 1]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "tests/vae"}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["1", 3], "filename_prefix": "tests/photo"}},
    }
    outputs = comfy_server.run(prompt).outputs
    decoded, original = (image(comfy_server, outputs[node]["images"][0]).astype(float) for node in ("4", "5"))
    assert decoded.shape == original.shape
    assert np.abs(decoded - original).mean() < 25  # of 255
    correlation = np.corrcoef(decoded.ravel(), original.ravel())[0, 1]
    assert correlation > 0.9


def test_the_demo_model_samples_with_the_stock_sampler(comfy_server: ComfyServer) -> None:
    prompt = {
        "1": {"class_type": "DiffSegDemoModel", "inputs": {}},
        "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 128, "batch_size": 1}},
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0], "positive": ["1", 2], "negative": ["1", 2], "latent_image": ["2", 0],
                "seed": 1, "steps": 4, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "4": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["1", 1]}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "tests/sample"}},
    }  # fmt: skip
    (sample,) = comfy_server.run(prompt).outputs["5"]["images"]
    assert image(comfy_server, sample).std() > 5


@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("DiffSegCapture", {"image": None}, "Expected vae and image, or a latent, got neither"),
        ("DiffSegCapture", {"vae": None}, "a vae to encode the image with"),
    ],
)
def test_a_wrong_input_is_told_what_to_do(
    comfy_server: ComfyServer, demo_prompt: dict[str, Any], node: str, inputs: dict[str, Any], message: str
) -> None:
    widgets = demo_prompt[node_of(demo_prompt, node)]["inputs"]
    for name, value in inputs.items():
        if value is None:
            del widgets[name]
        else:
            widgets[name] = value
    with pytest.raises(ComfyRunError, match=message):
        comfy_server.run(demo_prompt)


@pytest.mark.parametrize("path", sorted(SAVED.glob("*.json")), ids=lambda path: path.stem)
def test_a_workflow_saved_with_an_earlier_version_is_valid(comfy_server: ComfyServer, path: Path) -> None:
    """Every required input of our nodes has its value, and of the node's kind."""
    info = comfy_server.object_info()
    workflow = as_the_front_end_reads(path, info)
    ours = [node for node in to_prompt(workflow, info).values() if node["class_type"].startswith("DiffSeg")]
    assert ours
    for node in ours:
        required = info[node["class_type"]]["input"].get("required", {})
        if path.stem != "click_to_mask":  # a subgraph, whose inputs are connected where it is used
            assert required.keys() <= node["inputs"].keys()
        for name, value in node["inputs"].items():
            kind = required.get(name, [None])[0]
            if kind in ("INT", "FLOAT"):
                assert isinstance(value, int | float), (node, name)
            if kind == "COMBO" or isinstance(kind, list):
                assert isinstance(value, str), (node, name)
