"""Words in the picker: typed, looked for by a run up to the node, and a click that can be corrected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .front_end import APP, TWO_FRAMES
from .graph_page import PICKER_NODE, GraphPage
from .picker_run import PickerRun, inside
from .test_objects import check_shown, prompts, switch_to_objects, wait_for_objects
from .workflows import Graph, Json, Output, add_picker, save_everything, saved_outside

FOUND, MISSED = "cup", "moon"  # by the model of word_model.py, in the demo model's photograph
FIELD = ".diffseg-picker-words input"


def add_picking(graph: Graph, has_clip: bool = True) -> tuple[int, Output]:
    """Find objects in the demo model's photograph, by words; the picker and the segments."""
    demo = graph.add("DiffSegDemoModel")
    words = graph.add("DiffSegTestWords")
    capture = graph.add(
        "DiffSegCapture", 25, "clean latent", 0, 384, "all",
        model=(words, 0), conditioning=(demo, 2), vae=(demo, 1), image=(demo, 3),
        **({"clip": (words, 1)} if has_clip else {}),
    )  # fmt: skip
    tree = graph.add("DiffSegHierarchy", "automatic", 10, 0.1, 0.5, True, 0.06, attention=(capture, 0))
    return add_picker(graph, (tree, 0)), (tree, 0)


def picking_by_words(object_info: Json, has_clip: bool = True) -> Json:
    """The picker, and all that it gives saved."""
    graph = Graph(object_info)
    save_everything(graph, *add_picking(graph, has_clip))
    return graph.workflow()


def picking_by_words_in_a_subgraph(object_info: Json) -> Json:
    """The picker in a subgraph, and all that it gives saved outside of it."""
    inner = Graph(object_info, first_id=101)
    select, segments = add_picking(inner)
    masks = inner.add("DiffSegMasks", segments=segments)
    ends = {"union": (select, 0), "chosen": (select, 1), "cutout": (select, 2), "segment": (masks, 0)}
    return saved_outside(object_info, inner, ends)


@pytest.fixture
def before(graph: GraphPage, object_info: Json) -> PickerRun:
    """The first run of a fresh workflow, then switched to objects."""
    graph.load(picking_by_words(object_info))
    run = graph.run()
    switch_to_objects(graph)
    return run


def enter(graph: GraphPage, words: str) -> None:
    """Type words and Enter."""
    graph.page.locator(FIELD).fill(words)
    graph.page.keyboard.press("Enter")


@contextmanager
def sending(graph: GraphPage, answer: str) -> Iterator[Callable[[], int]]:
    """Send no run, but answer as the front end does: "true" for sent; how many were asked for."""
    graph.page.evaluate(
        f"() => {{ window.asked = 0; {APP}.queuePrompt = async () => {{ window.asked++; return {answer} }} }}"
    )
    try:
        yield lambda: graph.page.evaluate("() => window.asked")
    finally:
        graph.page.evaluate(f"() => {{ delete {APP}.queuePrompt }}")


def look_for(graph: GraphPage, words: str) -> list[dict[str, Any]]:
    """Type words and Enter, and wait for the run; what the server says of them."""
    with graph.page.expect_response(lambda response: response.url.endswith("/prompt")) as queued:
        enter(graph, words)
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
    graph.pause()
    graph.view.focus()
    for _ in range(2):  # the click, and the words that were sent
        before = prompts(graph)
        graph.command("Comfy.Undo")
        graph.wait_until(lambda before=before: prompts(graph) != before, "a step is undone")
    assert prompts(graph) == []


def test_a_word_that_is_not_found_is_said_and_leaves_nothing(graph: GraphPage, before: PickerRun) -> None:
    (word,) = look_for(graph, MISSED)
    assert not word["found"]
    assert prompts(graph) == []
    assert note(graph) == f"{MISSED}: not found, best {word['score']:.2f}"
    graph.click(inside(before.labels, 1))
    assert note(graph) == ""


def test_what_the_last_run_found_needs_no_other(graph: GraphPage, before: PickerRun) -> None:
    (word,) = look_for(graph, FOUND)
    graph.press("none")
    with sending(graph, "true") as asked:
        for _ in range(2):  # once is enough
            enter(graph, FOUND)
            assert prompts(graph) == clicks(word)
        assert asked() == 0


def test_after_another_run_or_connection_a_word_is_looked_for_again(
    graph: GraphPage, before: PickerRun
) -> None:
    look_for(graph, FOUND)
    look_for(graph, MISSED)
    graph.press("none")
    look_for(graph, FOUND)
    graph.press("none")
    graph.page.evaluate(
        f"""() => {{
            const node = {PICKER_NODE}, slot = node.inputs.findIndex(input => input.name === 'segments')
            const link = node.graph.getLink(node.inputs[slot].link)
            node.disconnectInput(slot)
            node.graph.getNodeById(link.origin_id).connect(link.origin_slot, node, slot)
        }}"""
    )
    (word,) = look_for(graph, FOUND)
    assert prompts(graph) == clicks(word)


def test_a_word_that_was_not_found_is_looked_for_again(graph: GraphPage, before: PickerRun) -> None:
    look_for(graph, MISSED)
    (word,) = look_for(graph, MISSED)
    assert prompts(graph) == []
    assert note(graph) == f"{MISSED}: not found, best {word['score']:.2f}"


def test_words_that_are_refused_are_back_in_the_field(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 1))
    here = prompts(graph)
    with graph.provoking(""):
        enter(graph, "! (bad")
        graph.page.locator(".diffseg-picker-note", has_text="(bad").wait_for()
    assert note(graph).startswith("Expected brackets around a whole word")
    assert graph.page.locator(FIELD).input_value() == "! (bad"
    assert prompts(graph) == here
    assert graph.page.locator(".diffseg-picker-object").count() == 1
    assert "(bad" not in graph.status
    (word,) = look_for(graph, FOUND)
    assert prompts(graph) == here + clicks(word)
    assert note(graph) == ""
    for expected in (here, []):  # what was refused is no step
        graph.press("undo")
        assert prompts(graph) == expected


def test_words_of_an_object_that_has_prompts_are_another_object(graph: GraphPage, before: PickerRun) -> None:
    graph.click(inside(before.labels, 1))
    (word,) = look_for(graph, FOUND)
    assert "object" not in prompts(graph)[0]
    assert prompts(graph)[1:] == clicks(word)
    graph.click(inside(before.labels, 2))
    assert prompts(graph)[2]["object"] == FOUND, "further clicks correct what was found"
    assert len(check_shown(graph).masks) == 2


def test_without_a_run_the_words_wait_for_the_next(graph: GraphPage, before: PickerRun) -> None:
    with sending(graph, "false"):
        enter(graph, FOUND)
        graph.wait_for_status(f"Run to find {FOUND}")
    assert prompts(graph) == [{"words": FOUND, "label": 1, "object": FOUND}]
    run = graph.run()
    graph.wait_until(lambda: "words" not in prompts(graph)[0], "the words become a click")
    (click,) = prompts(graph)
    assert click["object"] == FOUND
    assert run.mask[click["y"], click["x"]], "the mask is right in the run that finds it"


def test_enter_on_words_that_wait_runs_once_more(graph: GraphPage, before: PickerRun) -> None:
    with sending(graph, "false"):
        enter(graph, FOUND)
        graph.wait_for_status(f"Run to find {FOUND}")
    (word,) = look_for(graph, FOUND)
    assert prompts(graph) == clicks(word)


def test_enter_on_words_that_are_looked_for_does_nothing(graph: GraphPage, before: PickerRun) -> None:
    with sending(graph, "true") as asked:
        enter(graph, FOUND)
        enter(graph, FOUND)
        graph.wait_for_status(f"Looking for {FOUND} …")
        assert asked() == 1
    assert prompts(graph) == [{"words": FOUND, "label": 1, "object": FOUND}]


@pytest.mark.parametrize("is_removed", [False, True], ids=["it comes", "it is removed from the queue"])
def test_words_are_looked_for_as_long_as_their_run_is_queued(
    graph: GraphPage, before: PickerRun, is_removed: bool
) -> None:
    seeds = 1 + is_removed + 2 * graph.nodes2  # further on: no results of another test are used again
    graph.page.evaluate(
        f"""() => {{
            const {{api}} = window.comfyAPI.api, status = document.querySelector('.diffseg-picker-status')
            window.ends = []
            const note = () => window.ends.push(status.innerText)
            api.addEventListener('execution_success', () => setTimeout(note), {{once: true}})
            const capture = {APP}.rootGraph.nodes.find(node => node.type === 'DiffSegCapture')
            capture.widgets.find(widget => widget.name === 'noise_seed').value += {seeds}
        }}"""
    )
    with graph.page.expect_response(lambda response: response.url.endswith("/prompt")) as queued:
        graph.page.evaluate(f"() => {{ {APP}.queuePrompt(0) }}")
    first = queued.value.json()["prompt_id"]
    with graph.page.expect_response(lambda response: response.url.endswith("/prompt")) as queued:
        enter(graph, FOUND)
    second = queued.value.json()["prompt_id"]
    if is_removed:
        graph.server.post("/queue", {"delete": [second]})
    graph.result(first)
    if is_removed:
        graph.wait_for_status(f"Run to find {FOUND}")
        return
    graph.page.wait_for_function("() => window.ends.length")
    assert f"Looking for {FOUND}" in graph.page.evaluate("() => window.ends[0]")
    graph.result(second)
    graph.page.evaluate(TWO_FRAMES)
    (click,) = prompts(graph)
    assert click["object"] == FOUND
    assert "x" in click


def test_in_a_subgraph_words_are_found_as_outside(graph: GraphPage, object_info: Json) -> None:
    graph.show_workflow(picking_by_words_in_a_subgraph(object_info))
    graph.enter_subgraph()
    graph.run()
    switch_to_objects(graph)
    (word,) = look_for(graph, FOUND)
    assert prompts(graph) == clicks(word)
    assert check_shown(graph).mask[word["y"], word["x"]]
    graph.leave_subgraph()


@pytest.mark.both_renderers
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


def test_the_field_is_there_where_words_can_be_looked_for(graph: GraphPage, object_info: Json) -> None:
    graph.load(picking_by_words(object_info, has_clip=False))
    graph.run()
    switch_to_objects(graph)
    field = graph.page.locator(FIELD)
    assert field.is_hidden()
    tip = graph.page.locator("button[data-mode=object]").get_attribute("title")
    assert tip is not None
    assert "clip of DiffSeg Capture Attention" in tip
    graph.load(picking_by_words(object_info))
    graph.run()
    switch_to_objects(graph)
    assert field.is_enabled()


def test_after_a_reload_the_found_click_is_there(graph: GraphPage, before: PickerRun) -> None:
    (word,) = look_for(graph, FOUND)
    mask = check_shown(graph).mask
    graph.reload()
    graph.show_picker()
    graph.wait_for_image()
    wait_for_objects(graph)
    assert json.loads(graph.widget("points")) == clicks(word)
    assert (check_shown(graph).mask == mask).all()
