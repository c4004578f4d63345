"""Words in the picker: typed, looked for by a run up to the node, and a click that can be corrected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .front_end import APP, TWO_FRAMES
from .graph_page import GraphPage
from .picker_run import PickerRun, inside
from .test_objects import check_shown, prompts, switch_to_objects, wait_for_objects
from .workflows import Graph, Json, add_picker, save_everything

FOUND, MISSED = "cup", "moon"  # by the model of word_model.py, in the demo model's photograph
FIELD = ".diffseg-picker-words input"


def picking_by_words(object_info: Json, is_connected: bool = True) -> Json:
    """Find objects in the demo model's photograph, by a model that reads words."""
    graph = Graph(object_info)
    demo = graph.add("DiffSegDemoModel")
    words = graph.add("DiffSegTestWords")
    capture = graph.add(
        "DiffSegCapture", 25, "clean latent", 0, 384, "all",
        model=(words, 0), conditioning=(demo, 2), vae=(demo, 1), image=(demo, 3),
    )  # fmt: skip
    tree = graph.add(
        "DiffSegHierarchy",
        "automatic",
        10,
        0.1,
        True,
        0.5,
        0.25,
        0.06,
        attention=(capture, 0),
        image=(demo, 3),
    )
    select = add_picker(graph, (tree, 0), (demo, 3))
    if is_connected:
        node = graph.nodes[select - graph.first_id]
        for name, source in {"attention": (capture, 0), "model": (words, 0), "clip": (words, 1)}.items():
            slot = [socket["name"] for socket in node["inputs"]].index(name)
            node["inputs"][slot]["link"] = graph.link(*source, select, slot)
    save_everything(graph, select, (tree, 0))
    return graph.workflow()


@pytest.fixture
def before(graph: GraphPage, object_info: Json) -> PickerRun:
    """The first run of a fresh workflow, then switched to objects."""
    graph.load(picking_by_words(object_info))
    run = graph.run()
    switch_to_objects(graph)
    return run


def look_for(graph: GraphPage, words: str) -> list[dict[str, Any]]:
    """Type words and Enter, and wait for the run; what the server says of them."""
    with graph.page.expect_response(lambda response: response.url.endswith("/prompt")) as queued:
        graph.page.locator(FIELD).fill(words)
        graph.page.keyboard.press("Enter")
    answer = queued.value.json()
    assert not answer.get("node_errors"), answer
    graph.result(answer["prompt_id"])
    graph.page.evaluate(TWO_FRAMES)
    history = graph.server.get(f"/history/{answer['prompt_id']}")[answer["prompt_id"]]
    (view,) = (
        output["diffseg_view"][0] for output in history["outputs"].values() if "diffseg_view" in output
    )
    assert not any("images" in output for output in history["outputs"].values()), "nothing else is run"
    return view["pictures"]["0"]["words"]


def note(graph: GraphPage) -> str:
    """What the picker notes below the image."""
    return graph.page.locator(".diffseg-picker-note").inner_text()


def clicks(*words: dict[str, Any]) -> list[dict[str, Any]]:
    """The prompts that found words become."""
    return [{"x": each["x"], "y": each["y"], "label": 1, "object": each["text"]} for each in words]


def test_a_word_becomes_a_click_of_an_object_of_its_name(graph: GraphPage, before: PickerRun) -> None:
    (word,) = look_for(graph, FOUND)
    assert word["found"]
    assert prompts(graph) == clicks(word)
    assert graph.page.locator(".diffseg-picker-object").count() == 1
    assert graph.page.locator(FIELD).input_value() == ""
    run = check_shown(graph)
    assert run.mask[word["y"], word["x"]]
    assert len(run.masks) == 1


def test_the_click_can_be_corrected_and_undone(graph: GraphPage, before: PickerRun) -> None:
    (word,) = look_for(graph, FOUND)
    against = inside(before.labels, 0)
    graph.page.mouse.click(*graph.place(against), button="right")
    assert prompts(graph)[1] == {"x": against[0], "y": against[1], "label": 0, "object": FOUND}
    graph.press("undo")
    assert prompts(graph) == clicks(word)
    graph.press("undo")
    assert prompts(graph) == [], "the words are one step"
    graph.wait_for_status("Click the thing")


def test_the_front_ends_undo_takes_the_words_back_too(graph: GraphPage, before: PickerRun) -> None:
    look_for(graph, FOUND)
    graph.page.wait_for_timeout(150)
    graph.view.focus()
    for _ in range(2):  # the click, and the words that were sent
        graph.command("Comfy.Undo")
        graph.page.wait_for_timeout(300)
    assert prompts(graph) == []


def test_a_word_that_is_not_found_is_said_and_leaves_nothing(graph: GraphPage, before: PickerRun) -> None:
    (word,) = look_for(graph, MISSED)
    assert not word["found"]
    assert prompts(graph) == []
    assert note(graph) == f"{MISSED}: not found, best {word['score']:.2f}"
    graph.click(inside(before.labels, 1))
    assert note(graph) == ""


def test_what_is_known_needs_no_run(graph: GraphPage, before: PickerRun) -> None:
    (word,) = look_for(graph, FOUND)
    (missed,) = look_for(graph, MISSED)
    graph.press("none")
    graph.page.evaluate(
        f"() => {{ const app = {APP}; app.queuePrompt = () => {{ throw new Error('no run is needed') }} }}"
    )
    try:
        graph.page.locator(FIELD).fill(FOUND)
        graph.page.keyboard.press("Enter")
        assert prompts(graph) == clicks(word)
        graph.page.locator(FIELD).fill(FOUND)
        graph.page.keyboard.press("Enter")
        assert prompts(graph) == clicks(word), "once is enough"
        graph.page.locator(FIELD).fill(MISSED)
        graph.page.keyboard.press("Enter")
        assert prompts(graph) == clicks(word)
        assert note(graph) == f"{MISSED}: not found, best {missed['score']:.2f}"
    finally:
        graph.page.evaluate(f"() => {{ delete {APP}.queuePrompt }}")


def test_words_of_an_object_that_has_prompts_are_another_object(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 1))
    (word,) = look_for(graph, FOUND)
    assert "object" not in prompts(graph)[0]
    assert prompts(graph)[1:] == clicks(word)
    graph.click(inside(before.labels, 2))
    assert prompts(graph)[2]["object"] == FOUND, "further clicks correct what was found"
    assert len(check_shown(graph).masks) == 2


def test_without_a_run_the_words_wait_for_the_next(graph: GraphPage, before: PickerRun) -> None:
    graph.page.evaluate(f"() => {{ {APP}.queuePrompt = async () => false }}")
    graph.page.locator(FIELD).fill(FOUND)
    graph.page.keyboard.press("Enter")
    graph.wait_for_status(f"Run to find {FOUND}")
    graph.page.evaluate(f"() => {{ delete {APP}.queuePrompt }}")
    assert prompts(graph) == [{"words": FOUND, "label": 1, "object": FOUND}]
    run = graph.run()
    graph.page.wait_for_timeout(100)
    (click,) = prompts(graph)
    assert click["object"] == FOUND
    assert run.mask[click["y"], click["x"]], "the mask is right in the run that finds it"


def test_the_fields_keys_mean_nothing_to_the_graph(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 1))
    here = prompts(graph)
    count = graph.page.evaluate(f"() => {APP}.rootGraph.nodes.length")
    field = graph.page.locator(FIELD)
    field.click()
    graph.page.keyboard.type("cup")
    graph.page.keyboard.press("Backspace")
    graph.page.keyboard.press("Delete")
    assert field.input_value() == "cu"
    graph.page.keyboard.press("Escape")
    assert field.input_value() == ""
    assert prompts(graph) == here
    assert graph.page.evaluate(f"() => {APP}.rootGraph.nodes.length") == count
    assert graph.page.evaluate("() => document.activeElement.className") == "diffseg-picker-view"


def test_the_field_says_what_to_connect(graph: GraphPage, object_info: Json) -> None:
    graph.load(picking_by_words(object_info, is_connected=False))
    graph.run()
    switch_to_objects(graph)
    field = graph.page.locator(FIELD)
    assert field.is_disabled()
    assert field.get_attribute("placeholder") == "To find words, connect attention, model and clip"


def test_after_a_reload_the_found_click_is_there(graph: GraphPage, before: PickerRun) -> None:
    (word,) = look_for(graph, FOUND)
    mask = check_shown(graph).mask
    graph.reload()
    graph.show_picker()
    graph.wait_for_image()
    wait_for_objects(graph)
    assert json.loads(graph.widget("points")) == clicks(word)
    assert (check_shown(graph).mask == mask).all()
