"""What the other live tests rely on: a prompt's run is reported as ComfyUI's own messages tell it."""

from __future__ import annotations

from typing import Any

import pytest
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.prompt_run import ComfyRunError


def image_prompt(prefix: str) -> dict:
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 32, "batch_size": 2, "color": 255},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def test_the_release_is_the_one_asked_for(any_comfy_server: ComfyServer) -> None:
    stats = any_comfy_server.get("/system_stats")
    assert stats["system"]["comfyui_version"] == any_comfy_server.installation.version


def test_a_changed_node_runs_and_what_feeds_it_stays_cached(any_comfy_server: ComfyServer) -> None:
    first = any_comfy_server.run(image_prompt("tests/first"))
    assert (first.executed, first.cached) == (("1", "2"), ())
    again = any_comfy_server.run(image_prompt("tests/first"))
    assert (again.executed, set(again.cached)) == ((), {"1", "2"})
    changed = any_comfy_server.run(image_prompt("tests/second"))
    assert (changed.executed, changed.cached) == (("2",), ("1",))


def test_saved_images_can_be_fetched(any_comfy_server: ComfyServer) -> None:
    images = any_comfy_server.run(image_prompt("tests/fetched")).outputs["2"]["images"]
    assert len(images) == 2
    assert any_comfy_server.fetch_image(images[1]).startswith(b"\x89PNG")


def test_a_refused_prompt_says_which_input_is_missing(any_comfy_server: ComfyServer) -> None:
    prompt = image_prompt("tests/refused")
    del prompt["2"]["inputs"]["images"]
    with pytest.raises(ComfyRunError, match=r"node 2 \(SaveImage\): Required input is missing: images"):
        any_comfy_server.run(prompt)


def test_a_failing_node_is_named(any_comfy_server: ComfyServer) -> None:
    with pytest.raises(
        ComfyRunError, match=r"Node 2 \(SaveImage\) failed.*outside the output folder"
    ) as caught:
        any_comfy_server.run(image_prompt("/../../outside"))
    assert caught.value.node_id == "2"


def test_a_model_that_was_exchanged_leaves_memory_within_the_next_run(
    any_comfy_server: ComfyServer, hierarchy_prompt: dict[str, Any]
) -> None:
    """All nodes hand it on. By default one release caches by memory's pressure, the other by prompt."""
    prompt = {
        **hierarchy_prompt,
        "select": {
            "class_type": "DiffSegSelect",
            "inputs": {
                "segments": ["3", 0],
                "points": '[{"x": 9, "y": 9}]',
                "invert": False,
                "image_index": 0,
            },
        },
        "alive": {"class_type": "ModelsAlive", "inputs": {"mask": ["select", 0]}},
    }
    for seed in (1, 2):
        prompt["1"] = {"class_type": "WatchedModel", "inputs": {"seed": seed}}
        assert any_comfy_server.run(prompt).outputs["alive"]["seeds"] == [seed]
