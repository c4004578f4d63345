"""Values that come through the API as JSON itself, and become what the widgets would have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from comfy_execution.graph_utils import is_link

from .comfy.api import io, server

AS_JSON = {"DiffSegSelect": ("points", "more_points", "negative_points")}
"""Inputs that hold JSON, by the type of the node."""
AS_LINES = {"DiffSegFindWords": ("words",)}
"""Inputs that hold a text in each line."""
SWITCHES = {"true": True, "false": False, True: True, False: False}

Defaults = Mapping[str, Mapping[str, Any]]  # by the type of the node: of each input, None for none


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
        schema.node_id: {port.id: getattr(port, "default", None) for port in schema.inputs}
        for schema in (node.GET_SCHEMA() for node in nodes)
    }


def with_widget_values(request: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    """A request to ComfyUI's ``/prompt`` in which our nodes' values are those of widgets, changed in place.

    A link stays, and so does a value of the widget's own kind. ``null`` is what the input is when it is left
    alone; JSON becomes the text that the node then reads or refuses in words; ``"true"`` and ``"false"`` are
    on and off, and what is neither is refused, as are fractions of whole numbers. A link to an input that the
    node does not have is left out, as ComfyUI leaves out other values: of a node that had it once.

    Args:
        request: as it came.
        defaults: see `defaults_of`.
    """
    prompt = request.get("prompt")
    for node in prompt.values() if isinstance(prompt, dict) else ():
        kind = str(node.get("class_type")) if isinstance(node, dict) else ""
        inputs = node.get("inputs") if kind in defaults else None
        if isinstance(inputs, dict):
            of_node = defaults[kind]
            for name in [name for name, value in inputs.items() if is_link(value) and name not in of_node]:
                del inputs[name]
            inputs.update({name: _value(kind, name, inputs[name], of_node.get(name)) for name in inputs})
    return request


class _NoSwitch(str):
    """What is neither on nor off: ComfyUI, which would take any text for on, hears so when it converts it."""

    def __bool__(self) -> bool:
        raise ValueError(f"Expected true or false, got {str(self)!r:.60}.")


def _value(kind: str, name: str, sent: Any, default: Any) -> Any:
    if is_link(sent):
        return sent
    value = sent["__value__"] if isinstance(sent, dict) and "__value__" in sent else sent  # a list, wrapped
    if name in AS_JSON.get(kind, ()):
        return value if isinstance(value, str) else json.dumps([] if value is None else value)
    if value is None:
        return default
    if isinstance(default, bool):
        text = value.strip().lower() if isinstance(value, str) else value
        return SWITCHES.get(text, _NoSwitch(value)) if isinstance(text, str | bool) else _switched(value)
    if isinstance(default, int | float):
        # As text, which ComfyUI refuses to convert: it would take true for 1, and cut off a fraction.
        is_cut = isinstance(default, int) and isinstance(value, float) and value % 1 != 0
        return str(value) if isinstance(value, bool) or is_cut else value
    if (
        name in AS_LINES.get(kind, ())
        and isinstance(value, list)
        and all(isinstance(line, str) for line in value)
    ):
        return "\n".join(value)
    return value


def _switched(value: Any) -> Any:
    """0 and 1 are off and on, too."""
    return bool(value) if isinstance(value, int) and value in (0, 1) else _NoSwitch(value)
