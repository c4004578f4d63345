"""Saved segments on a live ComfyUI: the files appear in its output folder, and other programs read them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyServer
from PIL import Image
from pycocotools import mask as coco

# pycocotools has not yet followed numpy 2 here.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def with_save(prompt: dict[str, Any], prefix: str, **inputs: Any) -> dict[str, Any]:
    values = {"segments": ["3", 0], "filename_prefix": prefix, **inputs}
    return {**prompt, "4": {"class_type": "DiffSegSave", "inputs": values}}


def output_files(server: ComfyServer, folder: str) -> list[str]:
    return sorted(path.name for path in (server.base_directory / "output" / folder).iterdir())


def fetch(server: ComfyServer, entry: dict[str, str], kind: str) -> bytes:
    """A file of the set to which an overlay belongs, as a client gets it."""
    return server.fetch_image({**entry, "filename": entry["filename"].replace("overlay.png", kind)})


def test_the_files_appear_and_the_masks_decode_to_the_label_map(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    prompt = with_save(segments_prompt, "test_save/whole")
    (entry,) = any_comfy_server.run(prompt).outputs["4"]["images"]
    assert entry == {"filename": "whole_00001_overlay.png", "subfolder": "test_save", "type": "output"}
    annotation = json.loads(fetch(any_comfy_server, entry, "segments.json"))
    labels = np.asarray(Image.open(io.BytesIO(fetch(any_comfy_server, entry, "labels.png"))))
    assert labels.shape == (annotation["height"], annotation["width"]) == (400, 600)
    found = annotation["segments_info"]
    assert 3 <= len(found) <= 40
    decoded = np.zeros(labels.shape, dtype=int)
    for segment in found:
        decoded += segment["id"] * coco.decode(segment["segmentation"])
    np.testing.assert_array_equal(decoded, labels)
    areas = [segment["area"] for segment in found]
    assert areas == sorted(areas, reverse=True)
    assert sum(areas) == labels.size


def test_numbering_goes_on_and_nothing_is_overwritten(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    any_comfy_server.run(with_save(segments_prompt, "test_save_again/a"))
    folder: Path = any_comfy_server.base_directory / "output" / "test_save_again"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    segments_prompt["3"]["inputs"]["smallest_area"] = 4.0
    (entry,) = any_comfy_server.run(with_save(segments_prompt, "test_save_again/a")).outputs["4"]["images"]
    assert entry["filename"] == "a_00002_overlay.png"
    assert output_files(any_comfy_server, "test_save_again") == [
        f"a_{number}_{kind}"
        for number in ("00001", "00002")
        for kind in ("labels.png", "overlay.png", "panoptic.json", "panoptic.png", "segments.json")
    ]
    assert all((folder / name).read_bytes() == content for name, content in before.items())


def test_the_overlay_carries_the_prompt_that_made_it(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    prompt = with_save(segments_prompt, "test_save_prompt/a")
    (entry,) = any_comfy_server.run(prompt).outputs["4"]["images"]
    with Image.open(io.BytesIO(any_comfy_server.fetch_image(entry))) as overlay:
        overlay.load()
        assert overlay.size == (600, 400)
        kept = json.loads(overlay.text["prompt"])
    assert kept["4"]["inputs"] == prompt["4"]["inputs"]


def test_every_image_of_a_batch_is_saved(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    segments_prompt["5"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 3], "amount": 2}}
    segments_prompt["2"]["inputs"]["image"] = ["5", 0]
    prompt = with_save(segments_prompt, "test_save_batch/%batch_num%")
    entries = any_comfy_server.run(prompt).outputs["4"]["images"]
    assert [entry["filename"] for entry in entries] == ["0_00001_overlay.png", "1_00002_overlay.png"]
    assert len(output_files(any_comfy_server, "test_save_batch")) == 10
