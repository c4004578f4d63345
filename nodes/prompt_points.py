"""Points and prompts that come through the API as JSON itself instead of JSON in a text."""

from __future__ import annotations

import json
import sys
from typing import Any

INPUTS = {"DiffSegSelect": ("points", "more_points", "negative_points"), "DiffSegObject": ("prompts",)}
"""By the type of the node."""


def register() -> None:
    """Have ComfyUI pass every prompt by `with_points_as_text` before it looks at it.

    ComfyUI takes any list for a link to another node, so a node cannot take one by itself.
    """
    module = sys.modules.get("server")  # not there where ComfyUI's nodes are used without its server
    server = getattr(getattr(module, "PromptServer", None), "instance", None)
    if server is not None:
        server.add_on_prompt_handler(with_points_as_text)


def with_points_as_text(request: dict[str, Any]) -> dict[str, Any]:
    """A request to ComfyUI's ``/prompt`` in which points and prompts are JSON text, changed in place.

    A link stays, and so does text. ``null`` becomes no points; any other value becomes its JSON, which the
    node then reads or refuses in words.
    """
    prompt = request.get("prompt")
    for node in prompt.values() if isinstance(prompt, dict) else ():
        names = INPUTS.get(str(node.get("class_type")), ()) if isinstance(node, dict) else ()
        inputs = node.get("inputs") if names else None
        if not isinstance(inputs, dict):
            continue
        for name in names:
            if name in inputs and not isinstance(inputs[name], str) and not _is_link(inputs[name]):
                inputs[name] = _as_text(inputs[name])
    return request


def _as_text(value: Any) -> str:
    if isinstance(value, dict) and "__value__" in value:  # how ComfyUI's front end wraps a list
        value = value["__value__"]
    if value is None:
        return "[]"
    return value if isinstance(value, str) else json.dumps(value)


def _is_link(value: Any) -> bool:
    """Whether a value is ComfyUI's ``[node id, number of its output]``."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], (str, int))
        and isinstance(value[1], int)
    )
