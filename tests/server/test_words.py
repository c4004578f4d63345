"""DiffSeg Find by Words on a live ComfyUI: its workflow, new words without a new capture, names that travel.

The model is the demo model with made-up attention to text, which means nothing but is always the same.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyRunError, ComfyServer
from diffseg_tools.workflow import to_prompt
from PIL import Image, ImageFilter

ROOT = Path(__file__).resolve().parents[2]
FOUND, MISSED = "cup", "moon"  # by the model of word_model.py, in the demo model's photograph

Prompt = dict[str, Any]


@pytest.fixture
def server(any_comfy_server: ComfyServer) -> ComfyServer:
    """A ComfyUI with the pack and a model that reads words."""
    return any_comfy_server


@pytest.fixture
def prompt(segments_prompt: Prompt, hierarchy_prompt: Prompt) -> Prompt:
    """Words looked for in the demo model's photograph: node "4", its table as text "5"."""
    hierarchy_prompt["2"]["inputs"] |= {"model": ["words", 0], "clip": ["words", 1]}
    inputs = {"segments": ["3", 0], "words": f"{FOUND}\n{MISSED}", "threshold": 0.9}
    return {
        **hierarchy_prompt,
        "words": {"class_type": "DiffSegTestWords", "inputs": {}},
        "4": {"class_type": "DiffSegFindWords", "inputs": inputs},
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["4", 3]}},
    }


def node_of(prompt: Prompt, **wanted: str) -> str:
    """The one node of that class_type, or of that title."""
    (found,) = (
        key
        for key, node in prompt.items()
        if wanted in ({"class_type": node["class_type"]}, {"title": node.get("_meta", {}).get("title")})
    )
    return found


def with_images(prompt: Prompt, **links: list[Any]) -> Prompt:
    """The prompt with these masks saved, each as an output of its name."""
    more: Prompt = {}
    for name, link in links.items():
        more[f"{name} image"] = {"class_type": "MaskToImage", "inputs": {"mask": link}}
        more[name] = {"class_type": "PreviewImage", "inputs": {"images": [f"{name} image", 0]}}
    return {**prompt, **more}


def images_of(server: ComfyServer, entries: list[dict[str, str]]) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(server.fetch_image(entry)))) for entry in entries]


def table_of(outputs: dict[str, Any]) -> list[str]:
    (text,) = outputs["5"]["text"]
    return text.splitlines()


def test_each_line_has_a_mask_and_one_that_is_not_found_says_so(server: ComfyServer, prompt: Prompt) -> None:
    outputs = server.run(with_images(prompt, all=["4", 0], each=["4", 1])).outputs
    (union,) = images_of(server, outputs["all"]["images"])
    found, missed = images_of(server, outputs["each"]["images"])
    assert 0.01 < (found == 255).mean() < 0.99
    np.testing.assert_array_equal(found, union)
    assert not missed[..., :3].any()
    heading, row, sentence = table_of(outputs)
    assert heading.split() == ["word", "score", "area", "place"]
    assert row.startswith(FOUND)
    assert sentence.startswith(f"{MISSED}: not found, best 0.")
    (overlay,) = images_of(server, outputs["4"]["images"])
    assert overlay.shape[:2] == union.shape[:2]
    assert outputs["4"]["text"] == outputs["5"]["text"]


def test_new_words_leave_the_capture_and_the_hierarchy_cached(server: ComfyServer, prompt: Prompt) -> None:
    server.run(prompt)
    prompt["4"]["inputs"]["words"] = "moon\n!cup\n(table:1.3)"
    run = server.run(prompt)
    assert {"2", "3"} <= set(run.cached)
    assert "4" in run.executed
    assert len([line for line in table_of(run.outputs) if line.split()[0] != "word"]) == 2


def test_names_go_on_to_coco_categories(server: ComfyServer, prompt: Prompt) -> None:
    prompt["4"]["inputs"] |= {"words": "cup\ntable\nmoon", "threshold": 0.1}
    save = {"segments": ["4", 2], "filename_prefix": "test_words/named"}
    prompt["6"] = {"class_type": "DiffSegSave", "inputs": save}
    outputs = server.run(prompt).outputs
    named = [line.split()[0] for line in table_of(outputs)[1:] if "not found" not in line]
    assert FOUND in named
    (entry,) = outputs["6"]["images"]
    saved = json.loads(
        server.fetch_image({**entry, "filename": entry["filename"].replace("overlay.png", "panoptic.json")})
    )
    names = {category["id"]: category["name"] for category in saved["categories"]}
    assert {names[each["category_id"]] for each in saved["annotations"][0]["segments_info"]} == set(named)


@pytest.mark.parametrize(
    ("words", "message"),
    [("", "Expected"), ("!hand", "Expected"), ("cup\ncup", "lines 1 and 2"), ("(cup", "bracket")],
)
def test_words_that_cannot_be_read_are_refused_before_anything_runs(
    server: ComfyServer, prompt: Prompt, words: str, message: str
) -> None:
    prompt["4"]["inputs"]["words"] = words
    with pytest.raises(ComfyRunError, match=message) as refused:
        server.run(prompt)
    assert refused.value.node_id is None, "the prompt as a whole"


def test_inpainting_by_words_changes_no_pixel_elsewhere(server: ComfyServer) -> None:
    """The example workflow, with its checkpoint alone replaced and few steps."""
    with Image.open(ROOT / "demo_model" / "photograph.jpg") as photograph:
        photograph.save(path := server.base_directory / "example.png")
    server.upload_image(path)
    workflow = json.loads(
        (ROOT / "workflows" / "select_by_words_and_inpaint.json").read_text(encoding="utf-8")
    )
    prompt = to_prompt(workflow, server.object_info())
    loader = node_of(prompt, class_type="CheckpointLoaderSimple")
    prompt[loader] = {"class_type": "DiffSegTestWords", "inputs": {}}
    prompt["demo"] = {"class_type": "DiffSegDemoModel", "inputs": {}}
    for node in prompt.values():
        for name, value in node["inputs"].items():
            if value == [loader, 2]:
                node["inputs"][name] = ["demo", 1]
    settings = {
        "DiffSegCapture": {"noise_level": 25, "working_size": 384},
        "DiffSegFindWords": {"words": FOUND, "threshold": 0.95},
        "KSampler": {"steps": 2, "cfg": 1.0},
        "ImageScaleToTotalPixels": {"megapixels": 0.06},
    }
    for kind, values in settings.items():
        prompt[node_of(prompt, class_type=kind)]["inputs"] |= values
    before = [node_of(prompt, class_type="ImageScaleToTotalPixels"), 0]
    prompt["before"] = {"class_type": "PreviewImage", "inputs": {"images": before}}
    words = node_of(prompt, class_type="DiffSegFindWords")
    grown = [node_of(prompt, class_type="GrowMask"), 0]
    outputs = server.run(with_images(prompt, chosen=[words, 0], grown=grown)).outputs
    (image,), (chosen,), (reach,) = (
        images_of(server, outputs[name]["images"]) for name in ("before", "chosen", "grown")
    )
    (painted,) = images_of(server, outputs[node_of(prompt, class_type="SaveImage")]["images"])
    radius = prompt[node_of(prompt, title="Soft edge")]["inputs"]["blur_radius"]
    blurred = Image.fromarray(reach[..., 0]).filter(ImageFilter.MaxFilter(2 * radius + 1))
    outside = np.asarray(blurred) == 0
    assert (chosen[..., 0] == 255).any()
    assert outside.any()
    np.testing.assert_array_equal(painted[outside], image[outside])
    assert np.abs(painted.astype(int) - image)[chosen[..., 0] == 255].mean() > 5
