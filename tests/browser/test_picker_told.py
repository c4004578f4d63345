"""What the node tells the picker: several images as a list, what is ignored, and files that are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from . import workflows
from .graph_page import GraphPage
from .picker_run import inside

ObjectInfo = dict[str, Any]


def union_of_items(images: dict[str, list[np.ndarray]]) -> list[np.ndarray]:
    return [union[..., 0] == 255 for union in images["union"]]


def labels_of_items(images: dict[str, list[np.ndarray]]) -> list[np.ndarray]:
    """The label map of each item: its masks come one after another, and fill the image."""
    items: list[list[np.ndarray]] = [[]]
    for mask in images["segment"]:
        if items[-1] and np.any(items[-1], axis=0).all():
            items.append([])
        items[-1].append(mask[..., 0] == 255)
    return [np.stack(masks).argmax(0) for masks in items]


def files_of_the_picker(graph: GraphPage) -> list[Path]:
    """The temporary files of what the picker shows, as the server named them."""
    outputs = [message["data"]["output"] for message in graph.messages if message["type"] == "executed"]
    view = [output["diffseg_view"] for output in outputs if output and "diffseg_view" in output][-1]
    pictures = view[0]["pictures"].values()
    entries = [shown[kind] for shown in pictures for kind in ("picture", "segments")]
    folder = Path(graph.server.base_directory, "temp")
    return [folder / each["subfolder"] / each["filename"] for each in entries]


def test_every_image_of_a_list_can_be_seen_and_clicked(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_in_a_list(object_info))
    labels = labels_of_items(graph.queue().images)
    assert len(labels) == 2
    graph.image_size = labels[0].shape[::-1]
    graph.wait_for_image()
    pages = graph.page.locator(".diffseg-picker-pages")
    assert "Item 1 of 2" in pages.inner_text()
    graph.leave()
    first = graph.shown()
    pages.get_by_role("button", name="Later item").click()
    graph.page.locator(".diffseg-picker-pages", has_text="Item 2 of 2").wait_for()
    graph.leave()
    graph.wait_until(lambda: np.abs(graph.shown() - first).mean() > 5, "another image is shown")
    place = inside(labels[1], 2)
    graph.click(place)
    assert "1 of " in graph.status
    unions = union_of_items(graph.queue().images)
    for union, each in zip(unions, labels, strict=True):
        assert (union == (each == each[place[1], place[0]])).all(), "the point counts for every item"
    assert "Item 2 of 2" in pages.inner_text(), "a run leaves the shown item where it is"
    assert "1 of " in graph.status


def test_what_the_run_ignores_is_said_on_the_node(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_among_many(object_info, count=9, side=90, tree=False))
    note = graph.page.locator(".diffseg-picker-note")
    graph.run()
    assert note.inner_text() == ""
    graph.set_widget("DiffSegSelect", "points", '[{"x": 80, "y": 80}, {"x": 5, "y": 5, "label": 1}]')
    graph.set_widget("DiffSegTestCells", "side", 60)
    run = graph.run()
    assert (run.mask == run.segments([(5, 5)])).all()
    graph.page.wait_for_function("() => document.querySelector('.diffseg-picker-note').innerText")
    assert note.inner_text() == "1 point lies outside the image and is ignored"
    assert "1 of 9 chosen" in graph.status

    graph.set_widget("DiffSegSelect", "granularity", 3)
    assert "granularity 3 is ignored: these segments have no hierarchy" in note.inner_text()
    assert (graph.run().mask == run.mask).all()
    assert graph.page.locator(".diffseg-picker-slider").is_hidden()


def test_images_that_were_removed_are_there_after_a_run(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_among_many(object_info, count=9, side=97))
    graph.run()
    assert graph.queue().executed == set(), "nothing changed, nothing runs"
    with graph.provoking("/api/view?filename="):
        for file in files_of_the_picker(graph):  # no others: pages of other tests show those
            file.unlink()
        graph.reload()
        graph.show_picker()
        graph.page.wait_for_function(
            "() => document.querySelector('.diffseg-picker').innerText.includes('no longer on the server')"
        )
        run = graph.run()
    assert "DiffSegSelect" in run.executed
    assert "DiffSegTestCells" in run.cached
    assert graph.queue().executed == set()


def test_a_picker_of_another_release_says_to_reload(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_among_many(object_info, count=4, side=64))
    graph.run()
    graph.page.evaluate(
        """() => {
            const node = window.comfyAPI.app.app.rootGraph.nodes.find(node => node.type === 'DiffSegSelect')
            node.onExecuted({diffseg_view: [{version: 99, batch_size: 1, images: {}, more_points: []}]})
        }"""
    )
    assert "Restart ComfyUI, reload this page" in graph.picker.inner_text()
    assert graph.picker.get_attribute("data-state") == "empty"
