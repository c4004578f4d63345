"""Values that come through the API as JSON itself, and become what the widgets would have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import is_link

from .comfy_running import server

AS_JSON = {"DiffSegSelect": ("points", "more_points", "negative_points"), "DiffSegObject": ("prompts",)}
"""Inputs that hold JSON, by the type of the node."""
AS_LINES = {"DiffSegFindWords": ("words",)}
"""Inputs that hold a text in each line."""
SWITCHES = {"true": True, "false": False}

Defaults = Mapping[str, Mapping[str, Any]]  # of each input that has one, by the type of the node


def register(nodes: Iterable[type[io.ComfyNode]]) -> None:
    """Have ComfyUI pass every prompt by `with_widget_values` before it looks at it.

    ComfyUI takes any list for a link to another node, ``null`` for the text "None" or for off, and any text
    for on, so a node cannot tell by itself.
    """
    host = server()
    if host is not None:
        host.add_on_prompt_handler(partial(with_widget_values, defaults=defaults_of(nodes)))


def defaults_of(nodes: Iterable[type[io.ComfyNode]]) -> Defaults:
    """The defaults of the nodes' inputs."""
    return {
        schema.node_id: {
            port.id: port.default for port in schema.inputs if getattr(port, "default", None) is not None
        }
        for schema in (node.GET_SCHEMA() for node in nodes)
    }


def with_widget_values(request: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    """A request to ComfyUI's ``/prompt`` in which our nodes' values are those of widgets, changed in place.

    A link stays, and so does a value of the widget's own kind. ``null`` is what the input is when it is left
    alone; JSON becomes the text that the node then reads or refuses in words; ``"true"`` and ``"false"`` are
    on and off.

    Args:
        request: as it came.
        defaults: as of `defaults_of`.
    """
    prompt = request.get("prompt")
    for node in prompt.values() if isinstance(prompt, dict) else ():
        kind = str(node.get("class_type")) if isinstance(node, dict) else ""
        inputs = node.get("inputs") if kind in defaults else None
        if isinstance(inputs, dict):
            own = defaults[kind]
            inputs.update({name: _value(kind, name, inputs[name], own.get(name)) for name in inputs})
    return request


def _value(kind: str, name: str, value: Any, default: Any) -> Any:
    if is_link(value):
        return value
    if name in AS_JSON.get(kind, ()):
        return value if isinstance(value, str) else _as_json(value)
    if value is None:
        return default
    if isinstance(default, bool) and isinstance(value, str):
        return SWITCHES.get(value.strip().lower(), value)
    if name in AS_LINES.get(kind, ()):
        texts = _unwrapped(value)
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            return "\n".join(texts)
    return value


def _as_json(value: Any) -> str:
    value = _unwrapped(value)
    if value is None:
        return "[]"
    return value if isinstance(value, str) else json.dumps(value)


def _unwrapped(value: Any) -> Any:
    """What is in the wrapping that ComfyUI's front end gives a list."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value
