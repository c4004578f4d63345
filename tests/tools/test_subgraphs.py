"""A subgraph gives way to the nodes inside it, as in the prompt that ComfyUI's front end sends.

The expected prompts are those of ComfyUI's front end 1.47.12 for the same graphs.
"""

from __future__ import annotations

from typing import Any

import pytest
from diffseg_tools.workflow import WorkflowError, loaded_images, to_prompt

SERVER = {
    "Load": {"input": {"required": {"image": [["a.png"], {"image_upload": True}]}}, "output": ["IMAGE"]},
    "Invert": {"input": {"required": {"image": ["IMAGE"]}}, "output": ["IMAGE"]},
    "Blur": {
        "input": {"required": {"image": ["IMAGE"], "radius": ["INT", {}], "sigma": ["FLOAT", {}]}},
        "output": ["IMAGE"],
    },
    "Save": {"input": {"required": {"images": ["IMAGE"]}}, "output": []},
}
BLURRED = {"image": ["2:11", 0], "radius": 9, "sigma": 1.5}


def node(number: int, kind: str, inputs: dict[str, Any], values: tuple[Any, ...] = (), mode: int = 0) -> dict:
    """A saved node with one output; ``inputs`` is ``{name: link}``, those of type INT are widgets."""
    saved: list[dict[str, Any]] = [
        {"name": name, "type": "INT", "link": link, "widget": {"name": name}}
        if name == "radius"
        else {"name": name, "type": "IMAGE", "link": link}
        for name, link in inputs.items()
    ]
    outputs = [{"name": "IMAGE", "type": "IMAGE"}]
    return {
        "id": number, "type": kind, "mode": mode, "inputs": saved, "outputs": outputs, "properties": {},
        "widgets_values": values,
    }  # fmt: skip


def link(number: int, origin: int, slot: int, target: int, target_slot: int) -> dict[str, int]:
    return {
        "id": number, "origin_id": origin, "origin_slot": slot, "target_id": target,
        "target_slot": target_slot,
    }  # fmt: skip


def subgraph(name: str, inputs: dict[str, int], output: int, nodes: list[dict], links: list[dict]) -> dict:
    """A definition with one output; ``inputs`` is ``{name: link inside}``, ``output`` the link to it."""
    return {
        "id": name.lower(),
        "name": name,
        "inputs": [{"name": key, "linkIds": [number]} for key, number in inputs.items()],
        "outputs": [{"name": "IMAGE", "linkIds": [output]}],
        "nodes": nodes,
        "links": links,
    }


def blurring(values: tuple[Any, ...] = (9,), mode: int = 0, inner_mode: int = 0) -> dict:
    """Load (1), then Outer (2) with Invert (11) and Inner (12), which has Blur (21), then Save (3).

    The radius of Blur is shown by Inner, which says 7, and by Outer.
    """
    inner = subgraph(
        "Inner",
        {"image": 1, "radius": 3},
        2,
        [node(21, "Blur", {"image": 1, "radius": 3}, (3, 1.5))],
        [link(1, -10, 0, 21, 0), link(2, 21, 0, -20, 0), link(3, -10, 1, 21, 1)],
    )
    outer = subgraph(
        "Outer",
        {"image": 1, "radius": 3},
        4,
        [
            node(11, "Invert", {"image": 1}),
            node(12, "inner", {"image": 2, "radius": 3}, (7,), inner_mode),
        ],
        [link(1, -10, 0, 11, 0), link(2, 11, 0, 12, 0), link(3, -10, 1, 12, 1), link(4, 12, 0, -20, 0)],
    )
    return {
        "nodes": [
            node(1, "Load", {}, ("a.png", "image")),
            node(2, "outer", {"image": 1, "radius": None}, values, mode),
            node(3, "Save", {"images": 2}),
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"]],
        "definitions": {"subgraphs": [outer, inner]},
    }


def inputs(graph: dict) -> dict[str, dict]:
    """Inputs by node id of the prompt, without those of the node that loads the image."""
    found = {key: entry["inputs"] for key, entry in to_prompt(graph, SERVER).items()}
    assert found.pop("1") == {"image": "a.png"}
    return found


def test_the_nodes_inside_run_under_ids_that_lead_to_them() -> None:
    assert inputs(blurring()) == {
        "2:11": {"image": ["1", 0]},
        "2:12:21": BLURRED,
        "3": {"images": ["2:12:21", 0]},
    }


def test_a_value_that_was_not_saved_comes_from_the_widget_inside() -> None:
    assert inputs(blurring(values=()))["2:12:21"] == {**BLURRED, "radius": 7}


def test_a_widget_that_nothing_outside_leads_to_keeps_its_value() -> None:
    graph = blurring()
    outer, inner = graph["definitions"]["subgraphs"]
    outer["inputs"][1]["linkIds"] = []
    outer["nodes"][1]["inputs"][1]["link"] = None
    assert inputs(graph)["2:12:21"] == {**BLURRED, "radius": 7}
    inner["inputs"][1]["linkIds"] = []
    inner["nodes"][0]["inputs"][1]["link"] = None
    assert inputs(graph)["2:12:21"] == {**BLURRED, "radius": 3}


def test_a_link_from_outside_takes_the_place_of_the_widget() -> None:
    graph = blurring()
    graph["nodes"].append(node(4, "PrimitiveNode", {}, (21, "fixed")))
    graph["nodes"][1]["inputs"][1]["link"] = 3
    graph["links"].append([3, 4, 0, 2, 1, "INT"])
    assert inputs(graph)["2:12:21"] == {**BLURRED, "radius": 21}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([["-1", "radius"]], {"radius": 9}),
        ([["12", "radius"]], {"radius": 9}),
        ([["11", "nothing"], ["-1", "radius"]], {"radius": 5}),
    ],
    ids=["the subgraph's input", "the widget inside", "the second of two"],
)
def test_widgets_listed_in_the_older_form_are_read(shown: list[list[str]], expected: dict[str, int]) -> None:
    graph = blurring(values=(9, 5))
    graph["nodes"][1]["properties"] = {"proxyWidgets": shown}
    assert inputs(graph)["2:12:21"] == {**BLURRED, **expected}


def test_the_older_form_reaches_a_widget_without_a_link() -> None:
    graph = blurring()
    outer, _ = graph["definitions"]["subgraphs"]
    outer["nodes"][1]["properties"] = {"proxyWidgets": [["21", "sigma"]]}
    outer["nodes"][1]["widgets_values"] = (0.25,)
    assert inputs(graph)["2:12:21"] == {**BLURRED, "sigma": 0.25}


def test_two_nodes_of_one_subgraph_have_values_of_their_own() -> None:
    graph = blurring()
    graph["nodes"] += [node(5, "outer", {"image": 1}, (4,)), node(6, "Save", {"images": 5})]
    graph["links"].append([5, 5, 0, 6, 0, "IMAGE"])
    found = inputs(graph)
    assert (found["2:12:21"]["radius"], found["5:12:21"]["radius"]) == (9, 4)
    assert found["6"] == {"images": ["5:12:21", 0]}


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ({"mode": 2}, {"3": {}}),
        ({"mode": 4}, {"3": {"images": ["1", 0]}}),
        ({"inner_mode": 2}, {"2:11": {"image": ["1", 0]}, "2:12:21": BLURRED, "3": {}}),
        (
            {"inner_mode": 4},
            {"2:11": {"image": ["1", 0]}, "2:12:21": BLURRED, "3": {"images": ["2:11", 0]}},
        ),
    ],
    ids=["muted", "bypassed", "muted inside another", "bypassed inside another"],
)
def test_a_silent_subgraph_is_left_out_or_routed_through(
    modes: dict[str, int], expected: dict[str, dict]
) -> None:
    assert inputs(blurring(**modes)) == expected


def test_an_input_that_is_handed_straight_on_is_refused_as_by_the_front_end() -> None:
    graph = blurring()
    outer = graph["definitions"]["subgraphs"][0]
    outer["links"].append(link(5, -10, 0, -20, 0))
    outer["outputs"][0]["linkIds"] = [5]
    with pytest.raises(WorkflowError, match=r'Node 2 \(Outer\): "IMAGE" is one of its inputs'):
        to_prompt(graph, SERVER)


def test_a_subgraph_that_contains_itself_is_refused() -> None:
    graph = blurring()
    graph["definitions"]["subgraphs"][1]["nodes"].append(node(22, "outer", {}))
    with pytest.raises(WorkflowError, match=r"Node 2:12:22 \(Outer\) is a subgraph that contains itself"):
        to_prompt(graph, SERVER)


def test_a_missing_node_inside_is_named_by_its_way() -> None:
    graph = blurring()
    graph["definitions"]["subgraphs"][1]["nodes"][0]["type"] = "Ours"
    with pytest.raises(WorkflowError, match=r"Node 2:12:21 \(Ours\): the server has no such node"):
        to_prompt(graph, SERVER)


def test_images_that_are_loaded_inside_are_named() -> None:
    graph = blurring()
    graph["definitions"]["subgraphs"][1]["nodes"].append(node(23, "Load", {}, ("b.png", "image")))
    graph["nodes"][0]["type"] = graph["definitions"]["subgraphs"][1]["nodes"][1]["type"] = "LoadImage"
    assert loaded_images(graph) == ["a.png", "b.png"]
