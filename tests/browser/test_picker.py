"""What a person does on the node, and the mask that the server makes of it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from . import workflows
from .graph_page import GraphPage
from .picker_run import PickerRun, inside

ObjectInfo = dict[str, Any]


@pytest.fixture
def before(graph: GraphPage, object_info: ObjectInfo) -> PickerRun:
    """The first run of a fresh workflow: nothing is chosen yet."""
    graph.load(workflows.picking(object_info))
    run = graph.run()
    assert not run.mask.any()
    assert len(np.unique(run.labels)) >= 10
    return run


def test_before_the_first_run_the_node_says_what_to_do(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking(object_info) | {"id": "e41d6a0e-8f54-4ae5-a3ed-6a2f2c1c9a01"})
    assert graph.picker.get_attribute("data-state") == "empty"
    assert "Run the workflow once" in graph.picker.inner_text()


@pytest.mark.both_renderers
def test_a_clicked_segment_is_the_mask(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 2))
    run = graph.run()
    assert (run.mask == (run.labels == 2)).all()
    assert (run.masks == run.mask).all()
    (cutout,) = run.images["cutout"]
    assert ((cutout[..., 3] == 255) == run.mask).all()
    assert "1 of " in graph.status


def test_a_click_runs_neither_the_capture_nor_the_segmentation(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 1))
    run = graph.run()
    assert run.executed <= {"DiffSegSelect", "MaskToImage", "SaveImage"}
    assert run.cached >= {"DiffSegDemoModel", "DiffSegCapture", "DiffSegSegment", "DiffSegMasks"}


def test_a_second_click_takes_the_segment_back(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 2))
    graph.click(inside(before.labels, 2))
    run = graph.run()
    assert not run.mask.any()
    assert run.masks.shape == (1, *run.labels.shape)
    assert "Nothing chosen" in graph.status


@pytest.mark.both_renderers
def test_the_corner_pixels_can_be_clicked(graph: GraphPage, before: PickerRun) -> None:
    height, width = before.labels.shape
    chosen: set[int] = set()
    for corner in [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]:
        graph.zoom_to(corner, scale=4)
        graph.click(corner)
        segment = int(before.labels[corner[1], corner[0]])
        if segment not in chosen:
            assert graph.points[-1] == corner
        chosen ^= {segment}
    run = graph.run()
    assert chosen
    assert (run.mask == np.isin(run.labels, list(chosen))).all()


@pytest.mark.parametrize("steps", [1, 12])
def test_a_stroke_takes_every_segment_on_its_way(graph: GraphPage, before: PickerRun, steps: int) -> None:
    row = before.labels[200]
    graph.stroke([(20, 200), (580, 200)], steps)
    run = graph.run()
    assert len(set(row[20:581])) >= 4
    assert (run.mask == np.isin(run.labels, row[20:581])).all()
    assert len(run.masks) == len(set(row[20:581]))


def test_a_stroke_that_begins_on_a_chosen_segment_gives_segments_back(
    graph: GraphPage, before: PickerRun
) -> None:
    graph.press("all")
    graph.press("invert")
    row = before.labels[200]
    graph.stroke([(20, 200), (580, 200)])
    graph.stroke([(300, 200), (580, 200)])
    run = graph.run()
    left = set(row[20:581]) - set(row[300:581])
    assert left
    assert (run.mask == np.isin(run.labels, list(left))).all()


def test_undo_takes_back_one_change_after_the_other(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 0))
    graph.stroke([(20, 200), (580, 200)])
    graph.press("all")
    graph.press("undo")
    graph.press("undo")
    assert (graph.run().mask == (before.labels == 0)).all()
    graph.press("undo")
    assert not graph.points
    assert graph.page.locator("button[data-action=undo]").is_disabled()


def test_all_none_and_invert(graph: GraphPage, before: PickerRun) -> None:
    graph.press("all")
    assert graph.run().mask.all()
    graph.click(inside(before.labels, 3))
    assert (graph.run().mask == (before.labels != 3)).all()
    graph.press("invert")
    assert (graph.run().mask == (before.labels == 3)).all()
    graph.press("none")
    assert not graph.run().mask.any()


def test_a_choice_outlives_another_threshold(graph: GraphPage, before: PickerRun) -> None:
    place = inside(before.labels, 4)
    graph.click(place)
    assert (graph.run().mask == (before.labels == 4)).all()
    graph.set_widget("DiffSegSegment", "merge_threshold", 0.7)
    run = graph.run()
    assert "DiffSegCapture" in run.cached
    assert len(np.unique(run.labels)) < len(np.unique(before.labels))
    assert (run.mask == run.segments([place])).all()
    assert f"1 of {len(np.unique(run.labels))} " in graph.status


def test_the_keyboard_reaches_segments_and_chooses_them(graph: GraphPage, before: PickerRun) -> None:
    graph.view.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowDown"):
        graph.page.keyboard.press(key)
    found = re.search(r"segment (\d+)", graph.status)
    assert found
    graph.page.keyboard.press("Enter")
    assert (graph.run().mask == (before.labels == int(found[1]))).all()
    graph.view.focus()
    graph.page.keyboard.press("ArrowLeft")
    graph.page.keyboard.press("Space")
    assert len(graph.run().masks) == 2


@pytest.mark.both_renderers
def test_ctrl_z_takes_back_one_change(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 0))
    graph.click(inside(before.labels, 5))
    graph.page.keyboard.press("Control+z")
    graph.wait_for_image()
    graph.wait_for_status("1 of ")
    assert (graph.run().mask == (before.labels == 0)).all()


@pytest.mark.both_renderers
def test_a_finger_chooses_as_the_mouse_does(graph: GraphPage, before: PickerRun) -> None:
    graph.tap(inside(before.labels, 0))
    graph.tap(inside(before.labels, 3))
    graph.tap(inside(before.labels, 0))
    assert (graph.run().mask == (before.labels == 3)).all()
