"""A workflow as ComfyUI saves it becomes the prompt that ComfyUI's front end would send."""

from __future__ import annotations

from typing import Any

import pytest
from diffseg_tools.workflow import WorkflowError, loaded_images, to_prompt


def definition(outputs: list[Any], required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict:
    return {
        "input": {"required": required, "optional": optional or {}},
        "output": outputs,
        "display_name": "Shown",
    }


SERVER = {
    "Load": definition(
        ["IMAGE", "MASK"], {"image": [["a.png"], {"image_upload": True}]}, {"note": ["STRING", {}]}
    ),
    "Blur": definition(["IMAGE"], {"radius": ["INT", {"default": 3}], "image": ["IMAGE"]}),
    "Sample": definition(
        ["IMAGE"],
        {
            "image": ["IMAGE"],
            "seed": ["INT", {"default": 0}],
            "steps": ["INT", {"control_after_generate": False}],
            "mode": ["COMBO", {"options": ["slow", "fast"]}],
            "linked": ["FLOAT", {"forceInput": True}],
        },
        {"strength": ["FLOAT", {"default": 0.5}]},
    ),
    "Save": definition([], {"images": ["IMAGE,MASK"], "prefix": ["STRING", {"default": "x"}]}),
    "Any": definition(["*"], {"value": ["*"]}),
}


def node(
    number: int,
    kind: str,
    links: dict[str, tuple[str, int | None]] | None = None,
    values: Any = (),
    mode: int = 0,
    outputs: tuple[str, ...] = ("IMAGE",),
) -> dict:
    """A saved node; ``links`` is ``{input: (type, link id)}``."""
    inputs = [{"name": name, "type": kind_, "link": link} for name, (kind_, link) in (links or {}).items()]
    values = values if isinstance(values, dict) else list(values)
    saved_outputs = [{"name": kind_, "type": kind_} for kind_ in outputs]
    return {
        "id": number,
        "type": kind,
        "mode": mode,
        "inputs": inputs,
        "outputs": saved_outputs,
        "widgets_values": values,
    }


def workflow(nodes: list[dict], links: list[Any]) -> dict:
    return {"nodes": nodes, "links": links, "version": 0.4}


def chain(*middle: dict) -> dict:
    """An image, nodes between (fed by link 1, feeding link 2), and a SaveImage."""
    load = node(1, "Load", values=["a.png", "image", "hello"], outputs=("IMAGE", "MASK"))
    save = node(9, "Save", {"images": ("IMAGE", 2)}, ["y"])
    return workflow([load, *middle, save], [[1, 1, 0, 5, 0, "IMAGE"], [2, 5, 0, 9, 0, "IMAGE"]])


def inputs_of(prompt: dict, number: int) -> dict:
    return prompt[str(number)]["inputs"]


def test_links_and_widgets_become_inputs() -> None:
    prompt = to_prompt(chain(node(5, "Blur", {"image": ("IMAGE", 1)}, [7])), SERVER)
    assert inputs_of(prompt, 5) == {"radius": 7, "image": ["1", 0]}
    assert inputs_of(prompt, 9) == {"images": ["5", 0], "prefix": "y"}
    assert prompt["9"]["class_type"] == "Save"
    assert prompt["9"]["_meta"] == {"title": "Shown"}


def test_the_upload_button_takes_a_value_after_the_required_widgets() -> None:
    prompt = to_prompt(chain(node(5, "Blur", {"image": ("IMAGE", 1)})), SERVER)
    assert inputs_of(prompt, 1) == {"image": "a.png", "note": "hello"}


def test_control_after_generate_takes_a_value_only_where_the_front_end_adds_it() -> None:
    sample = node(5, "Sample", {"image": ("IMAGE", 1)}, [42, "randomize", 20, "fast", 0.7])
    assert inputs_of(to_prompt(chain(sample), SERVER), 5) == {
        "image": ["1", 0],
        "seed": 42,
        "steps": 20,
        "mode": "fast",
        "strength": 0.7,
    }


def test_values_that_were_not_saved_are_the_defaults() -> None:
    sample = node(5, "Sample", {"image": ("IMAGE", 1)}, [42, "fixed"])
    found = inputs_of(to_prompt(chain(sample), SERVER), 5)
    assert (found["steps"], found["mode"], found["strength"]) == (0, "slow", 0.5)


def test_values_saved_by_name_are_read() -> None:
    blur = node(5, "Blur", {"image": ("IMAGE", 1)}, {"radius": 11})
    assert inputs_of(to_prompt(chain(blur), SERVER), 5)["radius"] == 11


@pytest.mark.parametrize("marked", [False, True], ids=["old form", "new form"])
def test_a_primitive_node_puts_its_value_into_the_widget(marked: bool) -> None:
    blur = node(5, "Blur", {"image": ("IMAGE", 1), "radius": ("INT", 3)}, [7])
    if marked:
        blur["inputs"][1]["widget"] = {"name": "radius"}
    graph = chain(blur, node(6, "PrimitiveNode", values=[21, "fixed"], outputs=("INT",)))
    graph["links"].append([3, 6, 0, 5, 1, "INT"])
    prompt = to_prompt(graph, SERVER)
    assert inputs_of(prompt, 5)["radius"] == 21
    assert "6" not in prompt


def test_reroutes_are_routed_through_and_notes_left_out() -> None:
    prompt = to_prompt(
        chain(node(5, "Reroute", {"": ("*", 1)}), node(6, "Note"), node(7, "MarkdownNote")), SERVER
    )
    assert set(prompt) == {"1", "9"}
    assert inputs_of(prompt, 9)["images"] == ["1", 0]


def test_a_bypassed_node_hands_on_the_input_of_the_same_type() -> None:
    blur = node(5, "Blur", {"radius": ("INT", None), "image": ("IMAGE", 1)}, [7], mode=4)
    prompt = to_prompt(chain(blur), SERVER)
    assert "5" not in prompt
    assert inputs_of(prompt, 9)["images"] == ["1", 0]


def test_a_muted_node_feeds_nothing() -> None:
    prompt = to_prompt(chain(node(5, "Blur", {"image": ("IMAGE", 1)}, [7], mode=2)), SERVER)
    assert "5" not in prompt
    assert inputs_of(prompt, 9) == {"prefix": "y"}


def test_links_saved_as_objects_are_read() -> None:
    graph = chain(node(5, "Blur", {"image": ("IMAGE", 1)}, [7]))
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    graph["links"] = [dict(zip(names, link, strict=True)) for link in graph["links"]]
    assert inputs_of(to_prompt(graph, SERVER), 5)["image"] == ["1", 0]


def test_wildcards_fit_every_type() -> None:
    prompt = to_prompt(chain(node(5, "Any", {"value": ("*", 1)}, outputs=("*",))), SERVER)
    assert inputs_of(prompt, 5) == {"value": ["1", 0]}


def wrong_type() -> dict:
    graph = chain(node(5, "Blur", {"image": ("IMAGE", 1)}, [7]))
    graph["links"][0] = [1, 1, 1, 5, 0, "MASK"]
    return graph


def circle() -> dict:
    return workflow(
        [node(5, "Blur", {"image": ("IMAGE", 1)}), node(6, "Reroute", {"": ("*", 1)})], [[1, 6, 0, 6, 0, "*"]]
    )


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (chain(node(5, "Ours", {"image": ("IMAGE", 1)})), r"Node 5 \(Ours\): the server has no such node"),
        (wrong_type(), r'Node 5 \(Blur\): expected IMAGE for "image", got MASK from Node 1 \(Load\)'),
        (chain(node(5, "Blur", {"image": ("IMAGE", 77)})), "link 77, which the workflow does not list"),
        (chain(node(5, "Blur", {"mask": ("IMAGE", 1)})), r'Node 5 \(Blur\) has no input "mask"'),
        (chain(), "fed by node 5, which is not there"),
        (circle(), "circle of links"),
        ({"1": {"class_type": "Load", "inputs": {}}}, "UI format"),
    ],
    ids=[
        "missing node type",
        "wrong type",
        "unlisted link",
        "unknown input",
        "missing node",
        "circle",
        "API format",
    ],
)
def test_a_broken_workflow_is_refused_by_name(graph: dict, message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        to_prompt(graph, SERVER)


def test_loaded_images_are_named_once() -> None:
    image = node(1, "LoadImage", values=["a.png", "image"])
    assert loaded_images(workflow([image, {**image, "id": 2}, node(3, "Save")], [])) == ["a.png"]
