"""What a card of the template browser says about an example workflow."""

from __future__ import annotations

import json

import numpy as np
import pytest
from diffseg_tools.steps import ROOT
from diffseg_tools.thumbnails import needed_model, with_need
from PIL import Image

WORKFLOWS = {path.stem: path for path in sorted(ROOT.glob("workflows/*.json"))}


def test_every_card_says_whether_the_workflow_needs_a_checkpoint() -> None:
    free = set()
    for name, path in WORKFLOWS.items():
        text = path.read_text(encoding="utf-8")
        model = needed_model(json.loads(text))
        assert (model is None) == (".safetensors" not in text), name
        if model is None:
            free.add(name)
        with Image.open(path.with_suffix(".jpg")) as file:
            thumbnail = file.convert("RGB")
        height = thumbnail.height - round(thumbnail.width * 0.1)  # without the line
        expected = with_need(thumbnail.crop((0, 0, thumbnail.width, height)), name)
        below = (0, height + 8, *thumbnail.size)  # the line, without what JPEG mixes of both
        strips = (np.asarray(image.crop(below), np.float32) for image in (thumbnail, expected))
        assert np.abs(np.subtract(*strips)).mean() < 5, (
            f"{name}: diffseg_tools.thumbnails"
        )  # JPEG alone is below 2
    assert free == {"move_one_slider", "try_it_without_a_checkpoint"}


def test_a_model_that_no_card_can_name_is_refused() -> None:
    loader = {"type": "UNETLoader", "widgets_values": ["unknown.safetensors"]}
    with pytest.raises(ValueError, match=r"got unknown\.safetensors"):
        needed_model({"nodes": [loader]})
