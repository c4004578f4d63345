"""DiffSeg Select Segments on a live ComfyUI, as a program calls it."""

from __future__ import annotations

import io
import json
import shutil
from typing import Any

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyRunError, ComfyServer
from PIL import Image

POINTS = [{"x": 120, "y": 80}, {"x": 300, "y": 200}]
CUP = [{"x": 220, "y": 80}, {"x": 280, "y": 300}, {"x": 60, "y": 360, "label": 0}]


def with_select(prompt: dict[str, Any], points: Any, **inputs: Any) -> dict[str, Any]:
    values = {"segments": ["3", 0], "points": points, "invert": False, "image_index": 0, **inputs}
    return {
        **prompt,
        "4": {"class_type": "DiffSegSelect", "inputs": values},
        "5": {"class_type": "MaskToImage", "inputs": {"mask": ["4", 0]}},
        "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
    }


def mask_of(server: ComfyServer, prompt: dict[str, Any]) -> np.ndarray:
    (entry,) = server.run(prompt).outputs["6"]["images"]
    return np.asarray(Image.open(io.BytesIO(server.fetch_image(entry))))[..., 0]


def test_points_may_come_as_json_itself(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    as_text = mask_of(any_comfy_server, with_select(segments_prompt, '[{"x": 120, "y": 80}]'))
    assert 0 < np.count_nonzero(as_text) < as_text.size
    as_list = mask_of(any_comfy_server, with_select(segments_prompt, POINTS[:1], more_points=None))
    np.testing.assert_array_equal(as_list, as_text)
    both = mask_of(any_comfy_server, with_select(segments_prompt, POINTS))
    further = mask_of(any_comfy_server, with_select(segments_prompt, POINTS[:1], more_points=POINTS[1:]))
    np.testing.assert_array_equal(further, both)
    assert np.count_nonzero(both) > np.count_nonzero(as_text)


def test_objects_by_prompts_and_by_a_bounding_box(
    any_comfy_server: ComfyServer, hierarchy_prompt: dict[str, Any]
) -> None:
    box = {"x": 85, "y": 15, "width": 405, "height": 385}
    drawn = [{"box": [85, 15, 490, 400]}]
    by_prompt = mask_of(any_comfy_server, with_select(hierarchy_prompt, drawn, mode="object"))
    assert 0.1 < (by_prompt > 0).mean() < 0.8
    node = {"class_type": "PrimitiveBoundingBox", "inputs": box}
    linked = with_select(hierarchy_prompt, [], mode="object", bounding_box=["box", 0])
    if "PrimitiveBoundingBox" in any_comfy_server.object_info():
        by_node = mask_of(any_comfy_server, {**linked, "box": node})
        np.testing.assert_array_equal(by_node, by_prompt)


def test_a_program_finds_objects_by_prompts_without_a_canvas(
    any_comfy_server: ComfyServer, hierarchy_prompt: dict[str, Any]
) -> None:
    def found(prompts: Any) -> np.ndarray:
        return mask_of(any_comfy_server, with_select(hierarchy_prompt, prompts, mode="object")) == 255

    mask = found(CUP)
    assert [bool(mask[each["y"], each["x"]]) for each in CUP] == [True, True, False]
    assert 0.05 < mask.mean() < 0.7
    np.testing.assert_array_equal(found(json.dumps(CUP)), mask)
    box = found([{"box": [60, 10, 430, 390]}])
    assert box.any()
    assert not box[:, :40].any()
    assert not found(None).any()
    with pytest.raises(ComfyRunError, match="label of 1 or 0"):
        found([{"x": 1, "y": 1, "label": 7}])


def test_objects_need_a_hierarchy(any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]) -> None:
    with pytest.raises(ComfyRunError, match="Connect DiffSeg Hierarchy"):
        any_comfy_server.run(with_select(segments_prompt, POINTS, mode="object"))
    with pytest.raises(ComfyRunError, match="box of at least one pixel"):
        any_comfy_server.run(with_select(segments_prompt, [{"box": [9, 9, 1, 1]}], mode="object"))


def test_no_points_may_be_null(any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]) -> None:
    assert not mask_of(any_comfy_server, with_select(segments_prompt, None, more_points=None)).any()


def test_what_is_no_point_is_refused_in_words(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    with pytest.raises(ComfyRunError, match=r'got \{"x": 1\} as entry 0. Correct or remove it'):
        any_comfy_server.run(with_select(segments_prompt, [{"x": 1}]))
    with pytest.raises(ComfyRunError, match=r"Put it in brackets"):
        any_comfy_server.run(with_select(segments_prompt, "[]", more_points={"x": 1, "y": 2}))


def test_files_that_were_removed_are_there_after_the_next_run(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    server, prompt = any_comfy_server, with_select(segments_prompt, POINTS)
    (view,) = server.run(prompt).outputs["4"]["diffseg_view"]
    files = [view["pictures"]["0"][name] for name in ("segments", "picture")]
    before = [server.fetch_image(file) for file in files]
    assert server.run(prompt).executed == (), "nothing changed, nothing runs"
    shutil.rmtree(server.base_directory / "temp" / "diffseg")
    again = server.run(prompt)
    assert "4" in again.executed
    assert {"1", "2", "3"} <= set(again.cached)
    assert again.outputs["4"]["diffseg_view"] == [view]
    assert [server.fetch_image(file) for file in files] == before
    assert server.run(prompt).executed == ()


def test_files_of_another_workflows_node_of_the_same_number_are_none_of_its_own(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    server = any_comfy_server
    first, second = (with_select(segments_prompt, POINTS, image=image) for image in (["1", 3], ["7", 0]))
    second["7"] = {"class_type": "ImageInvert", "inputs": {"image": ["1", 3]}}
    pictures = []
    for prompt in (first, second):
        (view,) = server.run(prompt).outputs["4"]["diffseg_view"]
        pictures.append(server.base_directory / "temp/diffseg" / view["pictures"]["0"]["picture"]["filename"])
    pictures[0].unlink()
    assert server.run(second).executed == ()
    pictures[1].unlink()
    assert "4" in server.run(second).executed
    assert pictures[1].is_file()
    assert server.run(second).executed == ()


def test_a_list_of_images_tells_the_picker_of_every_item(
    any_comfy_server: ComfyServer, segments_prompt: dict[str, Any]
) -> None:
    prompt = with_select(segments_prompt, POINTS)
    prompt["7"] = {"class_type": "ImageBatch", "inputs": {"image1": ["1", 3], "image2": ["1", 3]}}
    prompt["8"] = {"class_type": "RebatchImages", "inputs": {"images": ["7", 0], "batch_size": 1}}
    prompt["2"]["inputs"]["image"] = ["8", 0]
    outputs = any_comfy_server.run(prompt).outputs
    views = outputs["4"]["diffseg_view"]
    assert [view["batch_size"] for view in views] == [1, 1]
    assert len(outputs["6"]["images"]) == 2
