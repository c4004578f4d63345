"""The picker as a part of its node: its room, the rows beside it, undo, and images that cannot be had."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Route

from . import workflows
from .front_end import APP, TWO_FRAMES
from .graph_page import PICKER_NODE, GraphPage
from .picker_run import inside

ObjectInfo = dict[str, Any]

FRESH = (480, 840)  # of web/picker/node_shape.mjs
OWN_ROWS = ["points", "invert", "granularity", "mode"]

WATCH = """() => {
    window.blanks = []
    const look = () => {
        for (const each of document.querySelectorAll('.diffseg-picker')) {
            if (each.dataset.state !== 'ready') window.blanks.push(each.innerText)
        }
        window.watching = requestAnimationFrame(look)
    }
    cancelAnimationFrame(window.watching)
    look()
}"""
BACKGROUND = "() => getComputedStyle(document.querySelector('.diffseg-picker-words input')).backgroundColor"
CONTRAST = """([selector, pseudo]) => {
    const element = document.querySelector(selector)
    const rgba = text => {
        const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true})
        canvas.fillStyle = text
        canvas.fillRect(0, 0, 1, 1)
        const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data
        return [red, green, blue, alpha / 255]
    }
    const over = ([...above], below, alpha) => [0, 1, 2].map(i => above[i] * alpha + below[i] * (1 - alpha))
    const luminance = colour => {
        const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
        const [red, green, blue] = colour.map(value => linear(value / 255))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
    const style = getComputedStyle(element, pseudo), back = rgba(getComputedStyle(element).backgroundColor)
    const alpha = Number(style.opacity), text = rgba(style.color)
    const lights = [over(text, back, text[3] * alpha), back].map(luminance).sort((a, b) => b - a)
    return (lights[0] + 0.05) / (lights[1] + 0.05)
}"""


def add_fresh_node(graph: GraphPage) -> None:
    """Nothing but a node as a user adds it."""
    graph.page.evaluate(
        f"""() => {{
            for (const node of [...{APP}.rootGraph.nodes]) {APP}.rootGraph.remove(node)
            {APP}.rootGraph.add(window.LiteGraph.createNode('DiffSegSelect'))
        }}"""
    )
    graph.show_picker()


@pytest.mark.both_renderers
def test_the_field_of_the_image_is_most_of_the_node(graph: GraphPage, object_info: ObjectInfo) -> None:
    add_fresh_node(graph)
    assert graph.node_size() == FRESH
    assert graph.field_share() >= 0.6
    for width, height in [(600, 400), (400, 1111), (1600, 213)]:
        graph.load(workflows.picking_among_many(object_info, 9, side=height, width=width, node_size=FRESH))
        graph.run()
        graph.show_picker()
        graph.wait_until(lambda: graph.node_size() != FRESH, "the node takes the shape of the image")
        graph.page.evaluate(TWO_FRAMES)
        assert 360 <= graph.node_size()[0] <= 720
        assert graph.field_share() >= 0.6
        field, image = graph.page.locator(".diffseg-picker-frame").bounding_box(), graph.box()
        assert field is not None
        shares = image.width / field["width"], image.height / field["height"]
        assert max(shares) == pytest.approx(1, abs=0.01), "the image touches the field"
        assert image.width / image.height == pytest.approx(width / height, rel=0.02)


@pytest.mark.both_renderers
def test_a_size_is_taken_once_and_never_from_a_person(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_among_many(object_info, 9, side=300, node_size=(500, 800)))
    graph.run()
    assert graph.node_size() == (500, 800)

    graph.load(workflows.picking_among_many(object_info, 8, side=310, node_size=FRESH))
    graph.run()
    taken = graph.node_size()
    assert taken != FRESH
    graph.set_widget("DiffSegTestCells", "width", 620)
    graph.run()
    assert graph.node_size() == taken, "another image"
    saved = graph.page.evaluate(f"() => {APP}.rootGraph.serialize()")
    graph.load(saved)
    graph.set_widget("DiffSegTestCells", "width", 630)
    graph.run()
    assert graph.node_size() == taken, "saved and opened again"
    graph.page.evaluate(f"size => {PICKER_NODE}.setSize(size)", list(FRESH))
    graph.set_widget("DiffSegTestCells", "width", 640)
    graph.run()
    assert graph.node_size() == FRESH, "a person's, though it is that of a fresh node"


@pytest.mark.both_renderers
def test_rows_are_there_where_they_apply(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_among_many(object_info, 9, side=97))
    assert graph.rows == []
    graph.run()
    assert graph.rows == []
    for name, value in {"points": "[]", "invert": True, "granularity": 4, "mode": "object"}.items():
        graph.set_widget("DiffSegSelect", name, value)
    prompt = graph.api_format()
    (select,) = (node["inputs"] for node in prompt.values() if node["class_type"] == "DiffSegSelect")
    assert (select["invert"], select["granularity"], select["mode"]) == (True, 4, "object")

    batch = {"version": 2, "batch_size": 3, "pictures": {}}
    graph.page.evaluate(f"view => {PICKER_NODE}.onExecuted({{diffseg_view: [view]}})", batch)
    graph.redraw()
    assert graph.rows == ["image_index"]
    for expected in ([*OWN_ROWS[:2], "image_index", *OWN_ROWS[2:]], ["image_index"]):
        graph.page.evaluate(
            f"""() => {{
                const node = {PICKER_NODE}, options = []
                node.getExtraMenuOptions({APP}.canvas, options)
                options.find(each => /values of the picker/.test(each.content)).callback()
            }}"""
        )
        graph.redraw()
        assert graph.rows == expected


@pytest.mark.both_renderers
def test_what_a_subgraph_shows_of_the_node_stays_a_row_of_it(
    graph: GraphPage, object_info: ObjectInfo
) -> None:
    workflow = workflows.picking_in_a_subgraph(object_info, nested=True)
    inner = workflow["definitions"]["subgraphs"][0]["nodes"]
    (select,) = (node["id"] for node in inner if node["type"] == "DiffSegSelect")
    shown = ["granularity", "points"]
    workflow["nodes"][0]["properties"]["proxyWidgets"] = [[f"{select}", name] for name in shown]
    for _ in range(2):  # as it was saved before, and as it is saved now
        graph.show_workflow(workflow)
        if graph.nodes2:
            rows = graph.page.locator(".lg-node", has_text="Pick").first.locator(".lg-node-widget")
            assert [row.split("\n")[0] for row in rows.all_inner_texts()] == shown
        found = graph.page.evaluate(
            f"""() => {{
                const host = {APP}.rootGraph.nodes.find(node => node.isSubgraphNode())
                return host.widgets.filter(each => host.isWidgetVisible(each)).map(each => each.name)
            }}"""
        )
        assert found == shown
        workflow = graph.page.evaluate(f"() => {APP}.rootGraph.serialize()")


@pytest.mark.both_renderers
def test_a_pasted_node_has_the_buttons_of_its_mode(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_among_many(object_info, 9, side=97))
    graph.set_widget("DiffSegSelect", "mode", "object")
    graph.page.evaluate(
        f"""() => {{
            {APP}.rootGraph.state.lastNodeId = 5000  // no node of an earlier run
            {APP}.canvas.copyToClipboard([{PICKER_NODE}])
            {APP}.canvas.pasteFromClipboard()
        }}"""
    )
    pickers = graph.page.locator(".diffseg-picker")
    of_objects = "document.querySelectorAll('.diffseg-picker[data-mode=object]')"
    graph.page.wait_for_function(f"() => {of_objects}.length === 2")
    for index in range(2):
        every = pickers.nth(index).locator("[data-action=all]")
        assert every.evaluate("button => getComputedStyle(button).display") == "none"


@contextmanager
def keeping_the_picker(graph: GraphPage) -> Iterator[None]:
    """What happens meanwhile neither makes the picker anew nor blanks it."""
    graph.picker.evaluate("picker => { window.kept = picker }")
    graph.page.evaluate(WATCH)
    yield
    graph.page.wait_for_timeout(400)  # ComfyUI's own undo comes a frame later
    assert graph.page.evaluate("() => document.querySelector('.diffseg-picker') === window.kept")
    assert graph.page.evaluate("() => window.blanks") == []


@pytest.mark.parametrize("mode", ["segments", "object"])
def test_ctrl_z_in_the_image_is_the_pickers_undo(
    graph: GraphPage, object_info: ObjectInfo, mode: str
) -> None:
    graph.load(workflows.picking_among_many(object_info, 9, side=97))
    labels = graph.run().labels
    graph.page.locator(f".diffseg-picker button[data-mode={mode}]").click()
    if mode == "object":
        graph.wait_for_status("Click the thing")
    states = ["[]"]
    for segment in (1, 5):
        graph.click(inside(labels, segment))
        states.append(graph.widget("points"))
    assert len(set(states)) == 3
    with keeping_the_picker(graph):
        for keys, expected in [
            ("Control+z", states[1]), ("Control+z", states[0]), ("Control+y", states[1]),
            ("Control+Shift+z", states[2]), ("Control+y", states[2]), ("Control+z", states[1]),
        ]:  # fmt: skip
            graph.page.keyboard.press(keys)
            assert graph.widget("points") == expected, keys
    assert graph.widget("points") == states[1]
    assert graph.page.evaluate("() => document.activeElement.className") == "diffseg-picker-view"


@pytest.mark.both_renderers
def test_the_front_ends_undo_keeps_the_image(graph: GraphPage, object_info: ObjectInfo) -> None:
    graph.load(workflows.picking_among_many(object_info, 9, side=97))
    labels = graph.run().labels
    graph.page.locator(".diffseg-picker button[data-mode=object]").click()
    graph.wait_for_status("Click the thing")
    for segment in (1, 5):
        graph.click(inside(labels, segment))
    both = graph.widget("points")
    graph.view.evaluate("view => view.blur()")
    graph.pause()
    asked: list[str] = []
    graph.page.on("request", lambda request: asked.append(request.url))
    graph.picker.evaluate("picker => { window.kept = picker }")
    graph.page.evaluate(WATCH)
    graph.page.keyboard.press("Control+z")
    graph.page.wait_for_function("() => document.querySelector('.diffseg-picker') !== window.kept")
    graph.wait_for_status("1 prompt")
    assert graph.page.evaluate("() => window.blanks") == []
    assert [url for url in asked if "subfolder=diffseg" in url] == []
    assert len(json.loads(graph.widget("points"))) == 1
    assert "1 prompt" in graph.status
    graph.press("undo")
    assert graph.widget("points") == "[]", "the picker's own undo goes on from there"
    graph.view.focus()
    for expected in (1, 2):
        graph.page.keyboard.press("Control+y")
        assert len(json.loads(graph.widget("points"))) == expected
    assert graph.widget("points") == both


def test_where_comfyui_undoes_in_text_fields_too_it_is_one_step(
    graph: GraphPage, object_info: ObjectInfo
) -> None:
    graph.load(workflows.picking_among_many(object_info, 9, side=97))
    labels = graph.run().labels
    for segment in (1, 5):
        graph.click(inside(labels, segment))
    graph.pause()
    run_on_change = (
        "on => { Object.assign(window.comfyAPI.app.app.ui, {autoQueueEnabled: on, autoQueueMode: 'change'}) }"
    )
    graph.page.evaluate(run_on_change, True)
    try:
        graph.page.keyboard.press("Control+z")
        graph.wait_until(lambda: len(graph.points) < 2, "a step is undone")
        graph.page.wait_for_timeout(300)  # for another one, which must not come
        assert len(graph.points) == 1
    finally:
        graph.page.evaluate(run_on_change, False)


def aborted(route: Route) -> None:
    route.abort()


def refused(route: Route) -> None:
    route.fulfill(status=500, body="no")


def broken(route: Route) -> None:
    route.fulfill(status=200, body="no image", content_type="image/png")


def gone(route: Route) -> None:
    route.fulfill(status=404)


def test_what_cannot_be_had_is_said_and_asked_for_again(graph: GraphPage, object_info: ObjectInfo) -> None:
    kinds: list[tuple[str, Callable[[Route], None], str]] = [
        ("bin", aborted, "did not send the image"),
        ("bin", refused, "did not send the image"),
        ("bin", gone, "no longer on the server"),
        ("bin", broken, "cannot be read"),
        ("jpg", aborted, "did not send the image"),
        ("jpg", broken, "cannot be read"),
    ]
    side = 120  # files of other images: the browser keeps those that it has
    for mode in ("segments", "object"):
        for kind, answer, hint in kinds:
            side += 1
            graph.load(workflows.picking_among_many(object_info, 9, side=side))
            if mode == "object":
                if kind == "jpg":
                    continue
                graph.run()  # then only what it takes to find objects is missing
            with graph.provoking(""):
                before = len(graph.complaints)
                graph.page.route(f"**/view?*.{kind}*", answer)
                if mode == "segments":
                    graph.queue()
                else:
                    graph.page.locator(".diffseg-picker button[data-mode=object]").click()
                graph.page.locator(".diffseg-picker-hint", has_text=hint).wait_for(timeout=5_000)
                assert graph.picker.get_attribute("data-state") == "empty"
                assert [each for each in graph.complaints[before:] if "thrown" in each] == []
                graph.page.unroute(f"**/view?*.{kind}*")
            graph.leave()
            box = graph.picker.bounding_box()
            assert box is not None
            graph.page.mouse.move(box["x"] + 30, box["y"] + 30)
            graph.wait_for_image()
            if mode == "object":
                graph.wait_for_status("Click the thing")


def test_the_last_run_is_asked_for_again_where_the_server_did_not_answer(
    graph: GraphPage, object_info: ObjectInfo
) -> None:
    workflow = workflows.picking_among_many(object_info, 9, side=151)
    graph.load(workflow)
    graph.run()
    with graph.provoking(""):
        before = len(graph.complaints)
        graph.page.route("**/history?*", refused)
        graph.reload()
        graph.show_picker()
        graph.page.locator(".diffseg-picker-hint", has_text="did not send").wait_for(timeout=5_000)
        assert [each for each in graph.complaints[before:] if "thrown" in each] == []
        graph.page.unroute("**/history?*")
    graph.page.locator(".diffseg-picker-hint").click()
    graph.wait_for_image()


def test_what_cannot_be_pressed_and_what_is_to_be_typed_can_be_read(
    graph: GraphPage, object_info: ObjectInfo
) -> None:
    graph.load(workflows.picking_among_many(object_info, 9, side=97))
    graph.run()
    try:
        for palette in ("light", "dark"):
            before = graph.page.evaluate(BACKGROUND)
            graph.set_setting("Comfy.ColorPalette", palette)
            graph.wait_until(lambda old=before: graph.page.evaluate(BACKGROUND) != old, "the colours change")
            for selector, pseudo in [
                (".diffseg-picker button[data-action=undo]", None),
                (".diffseg-picker-words input", "::placeholder"),
            ]:
                assert graph.page.evaluate(CONTRAST, [selector, pseudo]) >= 4.5, (palette, selector)
    finally:
        graph.set_setting("Comfy.ColorPalette", "dark")
