"""Where a choice survives: in saved workflows, after a reload, as a prompt, in batches and in subgraphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from . import workflows
from .graph_page import GraphPage
from .picker_run import inside

ObjectInfo = dict[str, Any]


def test_image_and_choice_are_back_after_a_reload(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking(object_info))
    before = graph.run()
    graph.click(inside(before.labels, 2))
    graph.run()
    graph.reload()
    graph.show_picker()
    graph.wait_for_image()
    assert "1 of " in graph.status
    graph.click(inside(before.labels, 5))
    assert "2 of " in graph.status
    assert (graph.run().mask == np.isin(before.labels, [2, 5])).all()


@pytest.mark.both_renderers
def test_a_saved_workflow_carries_the_choice(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking(object_info))
    before = graph.run()
    graph.click(inside(before.labels, 1))
    graph.press("invert")
    saved = graph.save_as(f"picked {graph.nodes2}")
    graph.command("Comfy.NewBlankWorkflow")
    graph.picker.wait_for(state="detached")
    graph.load(saved)
    graph.wait_for_image()
    assert (graph.run().mask == (before.labels != 1)).all()
    (node,) = (node for node in saved["nodes"] if node["type"] == "DiffSegSelect")
    assert node["widgets_values"] == [graph.widget("points"), True, 0, 0, "segments"]


def test_the_exported_prompt_carries_the_choice(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking(object_info))
    before = graph.run()
    graph.click(inside(before.labels, 1))
    prompt = graph.api_format()
    (select,) = (node["inputs"] for node in prompt.values() if node["class_type"] == "DiffSegSelect")
    assert set(select) == {"segments", "points", "invert", "image_index", "granularity", "mode"}
    (union,) = graph.saved(graph.server.run(prompt).outputs)["union"]
    assert ((union[..., 0] == 255) == (before.labels == 1)).all()


def test_in_a_batch_the_image_of_the_index_is_clicked(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_in_a_batch(object_info, image_index=1))
    before = graph.run()
    upside_down = graph.shown()
    labels = before.labels_of(1)
    place = inside(labels, 1)
    graph.click(place)
    assert (graph.run().mask == (labels == 1)).all()

    graph.set_widget("DiffSegSelect", "image_index", 2)
    graph.wait_for_image()
    graph.leave()
    assert np.abs(graph.shown() - upside_down).mean() > 5, "the picker turns to the other image by itself"
    run = graph.run()
    assert (run.mask == run.segments([place], image_index=2)).all()
    assert (run.labels_of(2) != labels).any()


@pytest.mark.both_renderers
def test_in_a_subgraph_it_works_as_outside(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.show_workflow(workflows.picking_in_a_subgraph(object_info))
    graph.enter_subgraph()
    before = graph.run()
    graph.click(inside(before.labels, 2))
    run = graph.run()
    assert (run.mask == (before.labels == 2)).all()
    assert {"DiffSegCapture", "DiffSegSegment"} <= run.cached
    assert "1 of " in graph.status
    graph.leave_subgraph()
