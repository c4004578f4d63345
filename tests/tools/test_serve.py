"""What `make serve` has ready, without starting it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from diffseg_tools.environment import NEWEST, Installation, comfyui_directory
from diffseg_tools.serve import copy_images
from diffseg_tools.steps import ROOT
from diffseg_tools.workflow import loaded_images
from PIL import Image


def test_every_image_that_an_example_workflow_loads_is_there(tmp_path: Path) -> None:
    workflows = [json.loads(path.read_text(encoding="utf-8")) for path in ROOT.glob("workflows/*.json")]
    named = {name for workflow in workflows for name in loaded_images(workflow)}
    assert "example.png" in named
    for directory in (comfyui_directory(NEWEST), tmp_path):  # ComfyUI's own example, and none
        folder = tmp_path / directory.name / "input"
        copy_images(Installation(directory, Path(sys.executable)), folder)
        for name in named:
            with Image.open(folder / name) as image:
                assert min(image.size) >= 256
        own = directory / "input" / "example.png"
        if own.is_file():
            assert (folder / "example.png").read_bytes() == own.read_bytes(), "what the clicks are meant for"


def test_an_image_that_a_person_put_there_is_kept(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), "red").save(tmp_path / "example.png")
    before = (tmp_path / "example.png").read_bytes()
    copy_images(Installation(comfyui_directory(NEWEST), Path(sys.executable)), tmp_path)
    assert (tmp_path / "example.png").read_bytes() == before
