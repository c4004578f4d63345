"""ComfyUI sees what our outputs weigh: with its own cache, which gives up the heaviest first."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import comfy.model_patcher
import comfy.sd
import execution
import pytest
import torch
from comfy_execution import caching
from word_clips import word_clip


class Keys:
    """Stands for the prompt: an entry's key is its node's id."""

    def get_data_key(self, node_id: str) -> str:
        return node_id


def freed_bytes(output: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """What ComfyUI says it has freed by giving up one node's output."""
    memory = SimpleNamespace(available=0)
    monkeypatch.setattr(caching.psutil, "virtual_memory", lambda: memory)
    cache = caching.RAMPressureCache(Keys)
    cache.cache["node"] = execution.CacheEntry(ui={}, outputs=[[output]])
    cache.used_generation["node"], cache.timestamps["node"] = cache.generation - 1, 0.0
    return cache.ram_release(1)


def held_bytes(value: Any, seen: set[int] | None = None) -> int:
    """What all tensors weigh that can be reached from a value, each memory once."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, comfy.model_patcher.ModelPatcher | comfy.sd.CLIP):
        return 0  # models are counted by being there
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        memory = value.untyped_storage()
        known = memory.data_ptr() in seen
        seen.add(memory.data_ptr())
        return 0 if known else memory.nbytes()
    if isinstance(value, dict):
        return sum(held_bytes(each, seen) for each in value.values())
    if isinstance(value, list | tuple):
        inside = sum(held_bytes(each, seen) for each in value)
        return inside + held_bytes(getattr(value, "__dict__", None), seen)
    return held_bytes(value.__dict__, seen) if hasattr(value, "__dict__") else 0


@pytest.fixture
def outputs(pack, run_capture, sd1, images) -> dict[str, Any]:
    """What every node gives whose output has a type of ours."""
    nodes, image = pack.nodes, images.movedim(1, -1)
    cut, clip = (7, 0.0, 0.5, True, 0.1), word_clip("SD 1")
    attention = run_capture(image=image, vae=sd1.vae, clip=clip)
    nested = nodes.hierarchy.DiffSegHierarchy.execute(attention, "number of segments", *cut)[0]
    again = pack.diffseg_core.Segments.of_hierarchies(nested.segments.hierarchies, [7, 7])
    with_finder = nested.replaced(again)
    points = '[{"x": 9, "y": 9}]'
    return {
        "DiffSegCapture": attention,
        "DiffSegSegment": nodes.segment.DiffSegSegment.execute(attention, 0.2, 8, 0.5)[0],
        "DiffSegHierarchy": nested,
        "DiffSegFilter": nodes.filter.DiffSegFilter.execute(nested, "0-2", 0.0, 100.0, "any", 0, "any")[0],
        "DiffSegRefine": nodes.refine.DiffSegRefine.execute(nested, 2.0, False)[0],
        "DiffSegFindWords": nodes.find_words.DiffSegFindWords.execute(nested, "cup\ntable", 0.0)[2],
        "DiffSegSelect": nodes.select.DiffSegSelect.execute(with_finder, points, False, 0, mode="object")[3],
        "DiffSegSnapMask": nodes.snap_mask.DiffSegSnapMask.execute(nested, torch.ones(1, 100, 150), 50.0)[0],
    }


def test_nine_tenths_of_every_output_of_ours_are_counted(pack, outputs, monkeypatch):
    extension = asyncio.run(pack.comfy_entrypoint())
    types = {"DIFFSEG_ATTENTION", "DIFFSEG_SEGMENTS"}
    ours = {
        node.__name__
        for node in asyncio.run(extension.get_node_list())
        if types & {port.get_io_type() for port in node.GET_SCHEMA().outputs}
    }
    assert set(outputs) == ours
    allowance = freed_bytes(None, monkeypatch)
    for name, value in outputs.items():
        counted, held = freed_bytes(value, monkeypatch) - allowance, held_bytes(value)
        assert 0.9 * held <= counted <= 1.01 * held, f"{name}: {counted} of {held}"


def test_the_host_sees_the_model_and_the_clip_of_every_output_once(outputs, sd1):
    """By them it knows what to give up first once another checkpoint is loaded."""

    def patchers(value: Any) -> list[Any]:
        if isinstance(value, list | tuple):
            return [found for each in value for found in patchers(each)]
        return [value] if comfy.model_patcher.is_model_patcher_output(value) else []

    clip = outputs["DiffSegCapture"].clip
    for name, value in outputs.items():
        seen = patchers(value)
        assert len(seen) == 2, name
        assert sd1.model in seen, name
        assert clip.patcher in seen, name


def test_an_aggregate_counts_once_it_is_there(outputs, monkeypatch):
    attention = outputs["DiffSegCapture"]
    fresh = type(attention.maps)({grid: attention.maps[grid] for grid in attention.maps})
    captured = type(attention)(fresh, attention.image_size)
    before = freed_bytes(captured, monkeypatch)
    aggregate = captured.maps.aggregate()
    assert captured.maps.aggregate() is aggregate
    assert freed_bytes(captured, monkeypatch) - before == aggregate.numel() * 4


def test_our_outputs_are_one_value_for_the_node_after(pack, outputs):
    """A tuple underneath is not taken apart, mapped over or compared by ComfyUI."""
    captured, segments = outputs["DiffSegCapture"], outputs["DiffSegSegment"]
    result = execution.merge_result_data([(captured, segments)], SimpleNamespace(RETURN_TYPES=("A", "B")))
    assert result[0][0] is captured
    assert result[1][0] is segments
    assert captured == captured
    assert segments != type(segments)(segments.segments, segments.capture)
    assert len({captured, segments}) == 2
    with pytest.raises(AttributeError):
        segments.capture = None
    with pytest.raises(AttributeError):
        captured.maps = None
