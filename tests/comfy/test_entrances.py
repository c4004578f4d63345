"""The table of entrances at the nodes: inputs are made of settings, and what comes in goes to the door."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
from typing import Any

import pytest
import torch
from diffseg_tools.entrances import COMFYUIS_OWN, RULES, SETTINGS, VALUES, WITHOUT_RULE

ROWS = {entry: row for row in (*SETTINGS, *VALUES) for entry in row.nodes}
BY_SETTING = {entry: row.name for row in SETTINGS for entry in row.nodes}
WHERE_IT_COUNTS = {
    "DiffSegHierarchy.number": {"cut": "number of segments"},
    "DiffSegHierarchy.height": {"cut": "height"},
    "DiffSegHierarchy.threshold": {"cut": "normalised cut"},
    "DiffSegCapture.noise_seed": {"input_mode": "noised latent"},
}


@pytest.fixture(scope="module")
def nodes(pack):
    """Every node by its id."""
    extension = asyncio.run(pack.comfy_entrypoint())
    return {node.__name__: node for node in asyncio.run(extension.get_node_list())}


def inputs_of(nodes):
    return {f"{name}.{port.id}": port for name, node in nodes.items() for port in node.GET_SCHEMA().inputs}


def test_every_input_has_a_row_and_every_row_its_input(nodes):
    found = set(inputs_of(nodes))
    own = {entry for entry in found if entry.partition(".")[2] in COMFYUIS_OWN}
    assert found - set(ROWS) - own - set(WITHOUT_RULE) == set(), "without a row"
    assert (set(ROWS) | set(WITHOUT_RULE)) - found == set(), "of nothing"


def test_inputs_have_the_ranges_options_and_defaults_of_their_settings(pack, nodes):
    settings, checks = pack.diffseg_core.settings, pack.diffseg_core.checks
    inputs = inputs_of(nodes)
    for entry, name in BY_SETTING.items():
        setting, port = getattr(settings, name), inputs[entry]
        if isinstance(setting, checks.Number):
            assert (port.min, port.max) == setting.limits, entry
            assert port.default == setting.entered_default, entry
        elif isinstance(setting, checks.Choice):
            assert (tuple(port.options), port.default) == (setting.options, setting.default), entry
        else:
            assert port.default == setting.default, entry


def test_what_is_left_out_is_the_default(nodes):
    for name, node in nodes.items():
        parameters = inspect.signature(node.execute).parameters
        for port in node.GET_SCHEMA().inputs:
            if port.optional and getattr(port, "default", None) is not None:
                assert parameters[port.id].default == port.default, f"{name}.{port.id}"


def test_null_through_the_api_is_the_default_and_texts_switch(pack, nodes):
    api = pack.nodes.api_values
    defaults = api.defaults_of(nodes.values())
    nothing = {
        str(number): {"class_type": node, "inputs": dict.fromkeys(defaults[node])}
        for number, node in enumerate(nodes)
    }
    for node in api.with_widget_values({"prompt": nothing}, defaults)["prompt"].values():
        kind, inputs = node["class_type"], node["inputs"]
        no_points = dict.fromkeys(api.AS_JSON.get(kind, ()), "[]")
        assert inputs == {**defaults[kind], **no_points}, kind
    sent = {"neighbours_only": "False", "height": 0.5, "cut": ["3", 0], "finest": "0.06"}
    once = {"attention": ["2", 0], "evidence": ["4", 0]}  # an input of today, and one of an earlier version
    hierarchy = {"1": {"class_type": "DiffSegHierarchy", "inputs": {**sent, **once}}}
    changed = api.with_widget_values({"prompt": hierarchy}, defaults)["prompt"]["1"]["inputs"]
    assert changed == {**sent, "neighbours_only": False, "attention": ["2", 0]}
    for value, is_on in (("TRUE", True), (" false ", False), (1, True), (0, False), (True, True)):
        sent = {"1": {"class_type": "DiffSegSelect", "inputs": {"invert": value}}}
        assert api.with_widget_values({"prompt": sent}, defaults)["prompt"]["1"]["inputs"]["invert"] is is_on
    for value in ("no", "0", 5, -1, float("nan"), {"__value__": "off"}):
        sent = {"1": {"class_type": "DiffSegSelect", "inputs": {"invert": value}}}
        changed = api.with_widget_values({"prompt": sent}, defaults)["prompt"]["1"]["inputs"]["invert"]
        with pytest.raises(ValueError, match="Expected true or false, got"):
            bool(changed)  # as ComfyUI converts it
    for name, value in (("anchors", 2.9), ("anchors", True), ("merge_threshold", True)):
        sent = {"1": {"class_type": "DiffSegSegment", "inputs": {name: value}}}
        changed = api.with_widget_values({"prompt": sent}, defaults)["prompt"]["1"]["inputs"][name]
        with pytest.raises(ValueError, match="literal|convert"):
            (int if name == "anchors" else float)(changed)
    for words in (["cup, mug", "table", "!hand"], {"__value__": ["cup, mug", "table", "!hand"]}):
        asked = {"1": {"class_type": "DiffSegFindWords", "inputs": {"words": words}}}
        changed = api.with_widget_values({"prompt": asked}, defaults)["prompt"]["1"]["inputs"]
        assert changed == {"words": "cup, mug\ntable\n!hand"}


@pytest.fixture
def complete(pack, run_capture, sd1, images, nodes):
    """What each node needs to run, by its id; the widgets at their defaults."""
    image = images.movedim(1, -1)
    attention = run_capture(vae=sd1.vae, image=image, working_size=64)
    segments = nodes["DiffSegHierarchy"].execute(attention, **defaults(nodes["DiffSegHierarchy"]))[0]
    values = {
        "attention": attention,
        "image": image,
        "segments": segments,
        "mask": torch.ones(2, *image.shape[1:3]),
        "model": sd1.model,
        "conditioning": sd1.conditioning,
        "vae": sd1.vae,
        "clip": object(),
        "words": "cup",
    }

    def inputs(node: str) -> dict[str, Any]:
        schema = nodes[node].GET_SCHEMA()
        named = {port.id: values[port.id] for port in schema.inputs if port.id in values}
        return {**defaults(nodes[node]), **named}

    return inputs


def defaults(node: Any) -> dict[str, Any]:
    return {
        port.id: port.default
        for port in node.GET_SCHEMA().inputs
        if getattr(port, "default", None) is not None
    }


def never(setting: Any) -> list[Any]:
    """Values that the setting may not be, and that ComfyUI lets through where another node gives them."""
    if not hasattr(setting, "limits"):
        return ["neither", None, [1]]
    return [setting.limits[1] * 2 + 1, float("nan"), str(setting.default), None, [setting.default]]


def test_what_another_node_gives_is_refused_at_the_door(pack, nodes, complete, sd1):
    """ComfyUI looks at the range of what is typed, and not of what is linked."""
    runs: list[Any] = []
    hook = sd1.unet.register_forward_pre_hook(lambda *_: runs.append(1))
    try:
        for entry, name in BY_SETTING.items():
            node, _, port = entry.partition(".")
            setting = getattr(pack.diffseg_core.settings, name)
            for value in never(setting):
                if (name, value) in (
                    ("NOISE_LEVEL", None),
                    ("WORKING_SIZE", None),
                    ("MERGE_THRESHOLD", [1.0]),
                ):
                    continue  # the model's own twice, and one for each pass, as in the library
                wrong = {**complete(node), **WHERE_IT_COUNTS.get(entry, {}), port: value}
                runs.clear()
                with pytest.raises(pack.diffseg_core.InvalidSettingError, match=f"^Expected {setting.what}"):
                    nodes[node].execute(**wrong)
                assert not runs, f"{entry}: the model ran"
    finally:
        hook.remove()


def test_texts_are_refused_before_anything_runs_and_when_another_node_gives_them(pack, nodes, complete):
    for row in VALUES:
        for entry, case in ((entry, case) for entry in row.nodes for case in row.refused[:1]):
            node, _, port = entry.partition(".")
            text, _, message = case.rpartition(" -> ")
            told = nodes[node].validate_inputs(**{port: json.loads(text)})
            assert isinstance(told, str), entry
            assert message in told, entry
            with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
                nodes[node].execute(**{**complete(node), port: json.loads(text)})


def test_an_image_that_is_not_there_is_refused_by_every_node(pack, nodes, complete):
    row = next(row for row in VALUES if row.door == "checks.position")
    for entry in row.nodes:
        node = entry.partition(".")[0]
        for index in (2, -1):
            with pytest.raises(pack.diffseg_core.InvalidSettingError, match="image index from 0 to 1"):
                nodes[node].execute(**{**complete(node), "image_index": index})


def test_every_door_of_the_nodes_is_there(pack):
    doors = [door for rule in RULES for door in rule.doors if door.startswith("nodes.")]
    for door in [*doors, *COMFYUIS_OWN.values()]:
        module, _, name = door.rpartition(".")
        assert hasattr(importlib.import_module(f"{pack.__name__}.{module}"), name), door
