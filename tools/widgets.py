"""A node's widgets: which values a saved node carries for the inputs that the server knows.

The rules are those by which the front end makes widgets from the server's definitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Spec = tuple[str, list[Any]]  # an input: its name, and [type, options]

WIDGET_TYPES = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO", "COLOR", "CURVE", "BOUNDING_BOX", "MARKDOWN"}
UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "mesh_upload")


class UnreadableWidgetError(ValueError):
    """A kind of widget that is not read yet. The message names the input."""


def type_name(kind: Any) -> str:
    """The name of a socket's type; old definitions have the list of choices in place of COMBO."""
    return "COMBO" if isinstance(kind, list) else str(kind)


def input_specs(definition: Json, sections: tuple[str, ...] = ("required", "optional")) -> Iterator[Spec]:
    """``name, [type, options]`` of every visible input, in the order of the server."""
    for section in sections:
        specs = definition["input"].get(section) or {}
        for name in definition.get("input_order", {}).get(section) or specs:
            yield name, specs[name]


def widget_values(node: Json, definition: Json) -> Json:
    """Value by input name, from either form of ``widgets_values``; the default where none is saved.

    Raises:
        UnreadableWidgetError: the node has a widget that is not read yet.
    """
    saved = node.get("widgets_values") or []
    result: Json = {}
    for position, (name, spec) in enumerate(_widgets(node, definition)):
        if name is None:
            continue
        if isinstance(saved, dict):
            result[name] = saved.get(name, _default(spec))
        else:
            result[name] = saved[position] if position < len(saved) else _default(spec)
    return {name: value for name, value in result.items() if value is not None}


def _widgets(node: Json, definition: Json) -> Iterator[tuple[str | None, list[Any]]]:
    """The node's widgets in the order of ``widgets_values``; None for those that are not inputs."""
    marked = {saved["widget"]["name"] for saved in node.get("inputs") or [] if saved.get("widget")}
    for section in ("required", "optional"):
        uploads = False
        for name, spec in input_specs(definition, (section,)):
            if type_name(spec[0]).startswith("COMFY_DYNAMICCOMBO"):
                raise UnreadableWidgetError(f'"{name}" is a dynamic combo, and those are not read yet.')
            uploads |= any(_options(spec).get(flag) for flag in UPLOADS)
            is_widget = type_name(spec[0]) in WIDGET_TYPES or name in marked
            if is_widget and not _options(spec).get("forceInput"):
                yield name, spec
                yield from [(None, spec)] * _extra_widgets(name, spec)
        if uploads and section == "required":  # the front end's upload button comes last among the required
            yield None, ["IMAGEUPLOAD"]


def _extra_widgets(name: str, spec: list[Any]) -> int:
    """How many values the front end saves after a widget's own: "control after generate" and its filter."""
    kind, control = type_name(spec[0]), _options(spec).get("control_after_generate")
    if kind == "INT":
        return int(bool(control) if control is not None else name in ("seed", "noise_seed"))
    if kind == "COMBO":
        return 2 if control else 0
    return int(kind == "FLOAT" and bool(control))


def _default(spec: list[Any]) -> Any:
    options = _options(spec)
    if "default" in options:
        return options["default"]
    choices = spec[0] if isinstance(spec[0], list) else options.get("options") or []
    if choices:
        return choices[0]
    return {"INT": 0, "FLOAT": 0.0, "BOOLEAN": False, "STRING": ""}.get(type_name(spec[0]))


def _options(spec: list[Any]) -> Json:
    return spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
