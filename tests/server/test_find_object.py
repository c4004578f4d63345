"""DiffSeg Find Object on a live ComfyUI, as a program calls it."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyRunError, ComfyServer
from PIL import Image

CUP = [{"x": 220, "y": 80}, {"x": 280, "y": 300}, {"x": 60, "y": 360, "label": 0}]


def with_object(prompt: dict[str, Any], prompts: Any) -> dict[str, Any]:
    inputs = {"attention": ["2", 0], "image": ["1", 3], "prompts": prompts}
    return {
        "1": prompt["1"],
        "2": prompt["2"],
        "4": {"class_type": "DiffSegObject", "inputs": inputs},
        "5": {"class_type": "MaskToImage", "inputs": {"mask": ["4", 0]}},
        "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
    }


def mask_of(server: ComfyServer, prompt: dict[str, Any]) -> np.ndarray:
    (entry,) = server.run(prompt).outputs["6"]["images"]
    return np.asarray(Image.open(io.BytesIO(server.fetch_image(entry))))[..., 0] == 255


def test_prompts_may_be_text_or_json_itself(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    mask = mask_of(any_comfy_server, with_object(segments_prompt, CUP))
    assert [bool(mask[each["y"], each["x"]]) for each in CUP] == [True, True, False]
    assert 0.05 < mask.mean() < 0.7
    as_text = mask_of(any_comfy_server, with_object(segments_prompt, json.dumps(CUP)))
    np.testing.assert_array_equal(as_text, mask)
    box = mask_of(any_comfy_server, with_object(segments_prompt, [{"box": [60, 10, 430, 390]}]))
    assert box.any()
    assert not box[:, :40].any()
    assert not mask_of(any_comfy_server, with_object(segments_prompt, None)).any()


def test_what_is_no_prompt_is_refused_in_words(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    with pytest.raises(ComfyRunError, match="label of 1 or 0"):
        any_comfy_server.run(with_object(segments_prompt, [{"x": 1, "y": 1, "label": 7}]))
