"""ComfyUI workflows as files: from what the front end saves (UI format) to what the server runs (API format).

The rules are those of the front end's own ``graphToPrompt``; only subgraphs are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Spec = tuple[str, list[Any]]  # an input: its name, and [type, options]

MUTED, BYPASSED = 2, 4
ANNOTATIONS = {"Note", "MarkdownNote"}
VIRTUAL = ANNOTATIONS | {"Reroute", "PrimitiveNode"}
WIDGET_TYPES = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO", "COLOR", "CURVE", "BOUNDING_BOX", "MARKDOWN"}
UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "mesh_upload")


class WorkflowError(ValueError):
    """A workflow that cannot be turned into a prompt. The message names the node."""


@dataclass(frozen=True)
class Output:
    """An output of a node that the server runs: where a link really begins."""

    node: Json
    slot: int


@dataclass(frozen=True)
class Constant:
    """A value that a primitive node puts into an input."""

    value: Any


def to_prompt(workflow: Json, object_info: Json) -> Json:
    """Turn a workflow in UI format (litegraph 0.4) into a prompt in API format.

    Muted nodes are left out, bypassed ones and reroutes are routed through, notes are ignored.

    Args:
        workflow: the parsed file, with ``nodes`` and ``links``.
        object_info: the server's answer to ``GET /object_info``: every node type it knows.

    Returns:
        ``{node id: {"class_type": ..., "inputs": {...}, "_meta": {"title": ...}}}``.

    Raises:
        WorkflowError: a node type that the server lacks, a link between different types, a broken link, a
            subgraph, or a file that is not in UI format.
    """
    if not isinstance(workflow.get("nodes"), list):
        raise WorkflowError('Expected a workflow in UI format with a list of "nodes". Is this API format?')
    graph = _Graph(workflow, object_info)
    return {str(node["id"]): graph.prompt_node(node) for node in graph.nodes.values() if graph.runs(node)}


def loaded_pictures(workflow: Json) -> list[str]:
    """File names that the workflow's LoadImage nodes read from ComfyUI's input folder, each once."""
    nodes = [node for node in workflow["nodes"] if node["type"] in ("LoadImage", "LoadImageMask")]
    return list(dict.fromkeys(node["widgets_values"][0] for node in nodes))


class _Graph:
    """The nodes and links of one workflow, with the server's definitions beside them."""

    def __init__(self, workflow: Json, object_info: Json) -> None:
        self.nodes: dict[str, Json] = {str(node["id"]): node for node in workflow["nodes"]}
        self.links = dict(_link_origin(link) for link in workflow.get("links", []))
        self.object_info = object_info
        subgraphs = (workflow.get("definitions") or {}).get("subgraphs") or []
        self.subgraphs = {subgraph["id"]: subgraph.get("name", "") for subgraph in subgraphs}

    def runs(self, node: Json) -> bool:
        """Whether the server gets to see this node."""
        return node["type"] not in VIRTUAL and node.get("mode", 0) not in (MUTED, BYPASSED)

    def definition(self, node: Json) -> Json:
        """What the server says about the type of a node."""
        kind = node["type"]
        if kind in self.subgraphs:
            raise WorkflowError(
                f'{_name(node)} is the subgraph "{self.subgraphs[kind]}", and subgraphs are not read yet. '
                "Unpack it in ComfyUI and save the workflow again."
            )
        if kind not in self.object_info:
            raise WorkflowError(f"{_name(node)}: the server has no such node. Is its pack installed?")
        found: Json = self.object_info[kind]
        return found

    def prompt_node(self, node: Json) -> Json:
        """One entry of the prompt."""
        definition = self.definition(node)
        specs = dict(_input_specs(definition))
        inputs = {name: _as_input(value) for name, value in _widget_values(node, definition).items()}
        for saved in node.get("inputs") or []:
            source = self.resolve(saved.get("link"), saved["type"], node)
            if isinstance(source, Constant):
                inputs[saved["name"]] = _as_input(source.value)
            elif source is not None:
                self.check_type(source, node, saved["name"], specs)
                inputs[saved["name"]] = [str(source.node["id"]), source.slot]
        title = node.get("title") or definition.get("display_name") or node["type"]
        return {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}

    def resolve(
        self, link: Any, wanted: Any, target: Json, seen: frozenset[Any] = frozenset()
    ) -> Output | Constant | None:
        """Follow a link back to the output or constant that feeds it; None where nothing does."""
        if link is None:
            return None
        if link not in self.links:
            raise WorkflowError(f"{_name(target)} is fed by link {link}, which the workflow does not list.")
        if link in seen:
            raise WorkflowError(f"{_name(target)} is part of a circle of links.")
        origin_id, slot = self.links[link]
        if origin_id not in self.nodes:
            raise WorkflowError(f"{_name(target)} is fed by node {origin_id}, which is not there.")
        node = self.nodes[origin_id]
        seen = seen | {link}
        if node.get("mode", 0) == MUTED:
            return None
        if node["type"] == "PrimitiveNode":
            return Constant(node["widgets_values"][0])
        if node["type"] == "Reroute":
            return self.resolve(node["inputs"][0].get("link"), wanted, node, seen)
        if node.get("mode", 0) == BYPASSED:
            position = _bypass_input(node, slot, wanted)
            if position is None:
                return None
            return self.resolve(node["inputs"][position].get("link"), wanted, node, seen)
        return Output(node, slot)

    def check_type(self, source: Output, target: Json, name: str, specs: Json) -> None:
        """Raise unless the output may feed the input."""
        outputs = self.definition(source.node)["output"]
        if source.slot >= len(outputs):
            raise WorkflowError(
                f"{_name(source.node)} has no output {source.slot}, only {len(outputs)} of them."
            )
        grown = name.split(".")[0]  # an input that grows names its slots "images.image0", "images.image1"
        if name not in specs and grown in specs:
            return
        if name not in specs:
            raise WorkflowError(f'{_name(target)} has no input "{name}" on this server.')
        given, expected = _type_name(outputs[source.slot]), _type_name(specs[name][0])
        if not _compatible(given, expected):
            raise WorkflowError(
                f'{_name(target)}: expected {expected} for "{name}", got {given} from {_name(source.node)}.'
            )


def _name(node: Json) -> str:
    return f"Node {node['id']} ({node['type']})"


def _link_origin(link: Any) -> tuple[Any, tuple[str, int]]:
    """``link id, (origin node, origin slot)`` of a link in the array or the object form."""
    if isinstance(link, dict):
        return link["id"], (str(link["origin_id"]), int(link["origin_slot"]))
    return link[0], (str(link[1]), int(link[2]))


def _type_name(kind: Any) -> str:
    return "COMBO" if isinstance(kind, list) else str(kind)


def _compatible(given: str, expected: str) -> bool:
    """LiteGraph's rule: equal names, any of a comma-separated list, or a wildcard on either side."""
    if any(kind in ("", "*") or kind.startswith("COMFY_MATCHTYPE") for kind in (given, expected)):
        return True
    return bool(set(given.lower().split(",")) & set(expected.lower().split(",")))


def _bypass_input(node: Json, slot: int, wanted: Any) -> int | None:
    """The input of a bypassed node that stands in for one of its outputs."""
    types = [_type_name(saved["type"]) for saved in node.get("inputs") or []]
    given, expected = _type_name(node["outputs"][slot]["type"]), _type_name(wanted)
    if not types:
        return None
    if expected in ("", "*"):
        return slot if slot < len(types) else 0
    fits = [_compatible(kind, given) and _compatible(kind, expected) for kind in types]
    if slot < len(types) and fits[slot]:
        return slot
    if expected in types:
        return types.index(expected)
    return fits.index(True) if True in fits else None


def _input_specs(definition: Json, sections: tuple[str, ...] = ("required", "optional")) -> Iterator[Spec]:
    """``name, [type, options]`` of every visible input, in the order of the server."""
    for section in sections:
        specs = definition["input"].get(section) or {}
        for name in definition.get("input_order", {}).get(section) or specs:
            yield name, specs[name]


def _options(spec: list[Any]) -> Json:
    return spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}


def _extra_widgets(name: str, spec: list[Any]) -> int:
    """How many values the front end saves after a widget's own: "control after generate" and its filter."""
    kind, control = _type_name(spec[0]), _options(spec).get("control_after_generate")
    if kind == "INT":
        return int(bool(control) if control is not None else name in ("seed", "noise_seed"))
    if kind == "COMBO":
        return 2 if control else 0
    return int(kind == "FLOAT" and bool(control))


def _widgets(node: Json, definition: Json) -> Iterator[tuple[str | None, list[Any]]]:
    """The node's widgets in the order of ``widgets_values``; None for those that are not inputs."""
    marked = {saved["widget"]["name"] for saved in node.get("inputs") or [] if saved.get("widget")}
    for section in ("required", "optional"):
        uploads = False
        for name, spec in _input_specs(definition, (section,)):
            if _type_name(spec[0]).startswith("COMFY_DYNAMICCOMBO"):
                raise WorkflowError(
                    f'{_name(node)}: "{name}" is a dynamic combo, and those are not read yet.'
                )
            uploads |= any(_options(spec).get(flag) for flag in UPLOADS)
            is_widget = _type_name(spec[0]) in WIDGET_TYPES or name in marked
            if is_widget and not _options(spec).get("forceInput"):
                yield name, spec
                yield from [(None, spec)] * _extra_widgets(name, spec)
        if uploads and section == "required":  # the front end's upload button comes last among the required
            yield None, ["IMAGEUPLOAD"]


def _widget_values(node: Json, definition: Json) -> Json:
    """Value by input name, from either form of ``widgets_values``; the default where none is saved."""
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


def _default(spec: list[Any]) -> Any:
    options = _options(spec)
    if "default" in options:
        return options["default"]
    choices = spec[0] if isinstance(spec[0], list) else options.get("options") or []
    if choices:
        return choices[0]
    return {"INT": 0, "FLOAT": 0.0, "BOOLEAN": False, "STRING": ""}.get(_type_name(spec[0]))


def _as_input(value: Any) -> Any:
    """A list is wrapped, or the server would take it for a link."""
    return {"__value__": value} if isinstance(value, list) else value
