"""ComfyUI workflows as files: from what the front end saves (UI format) to what the server runs (API format).

The rules are those of the front end's own ``graphToPrompt``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .links import bypass_input, compatible, link_origin
from .widgets import UnreadableWidgetError, input_specs, type_name, widget_values

Json = dict[str, Any]

MUTED, BYPASSED = 2, 4
ANNOTATIONS = {"Note", "MarkdownNote"}
VIRTUAL = ANNOTATIONS | {"Reroute", "PrimitiveNode"}
SUBGRAPH_INPUTS = "-10"  # the id of the node inside a subgraph that stands for its inputs
HOST = "-1"  # in ``proxyWidgets``: the subgraph's own input, not the widget of a node inside


class WorkflowError(ValueError):
    """A workflow that cannot be turned into a prompt. The message names the node."""


@dataclass(frozen=True)
class Output:
    """An output of a node that the server runs: where a link really begins."""

    graph: _Graph
    node: Json
    slot: int


@dataclass(frozen=True)
class Constant:
    """A value that a primitive node, or a widget shown on a subgraph, puts into an input."""

    value: Any


def to_prompt(workflow: Json, object_info: Json) -> Json:
    """Turn a workflow in UI format (litegraph 0.4) into a prompt in API format.

    Muted nodes are left out, bypassed ones and reroutes are routed through, notes are ignored. A subgraph
    gives way to the nodes inside it, with ids such as "7:3": node 3 inside node 7.

    Args:
        workflow: the parsed file, with ``nodes`` and ``links``.
        object_info: the server's answer to ``GET /object_info``: every node type it knows.

    Returns:
        ``{node id: {"class_type": ..., "inputs": {...}, "_meta": {"title": ...}}}``.

    Raises:
        WorkflowError: a node type that the server lacks, a link between different types, a broken link, a
            subgraph that contains itself or hands an input straight on, or a file that is not in UI format.
    """
    if not isinstance(workflow.get("nodes"), list):
        raise WorkflowError('Expected a workflow in UI format with a list of "nodes". Is this API format?')
    return dict(_Graph(workflow, object_info, {part["id"]: part for part in _subgraphs(workflow)}).prompt())


def loaded_images(workflow: Json) -> list[str]:
    """File names that the workflow's LoadImage nodes read from ComfyUI's input folder, each once."""
    all_nodes = [*workflow["nodes"], *(node for part in _subgraphs(workflow) for node in part["nodes"])]
    nodes = [node for node in all_nodes if node["type"] in ("LoadImage", "LoadImageMask")]
    return list(dict.fromkeys(node["widgets_values"][0] for node in nodes))


class _Graph:
    """The nodes and links of a workflow, or of a subgraph at one place, beside the server's definitions.

    Args:
        content: the workflow, or the definition of the subgraph.
        object_info: every node type that the server knows.
        subgraphs: the definitions of the workflow's subgraphs by id, which is their nodes' type.
        outer: the graph that the subgraph stands in; None for the workflow itself.
        host: the node that stands for the subgraph there.
    """

    def __init__(
        self,
        content: Json,
        object_info: Json,
        subgraphs: dict[str, Json],
        outer: _Graph | None = None,
        host: Json | None = None,
    ) -> None:
        self.content = content
        self.nodes: dict[str, Json] = {str(node["id"]): node for node in content["nodes"]}
        self.links = dict(link_origin(link) for link in content.get("links") or [])
        self.object_info = object_info
        self.subgraphs = subgraphs
        self.outer = outer
        self.host = host or {}
        self.prefix: str = f"{outer.prefix}{self.host['id']}:" if outer else ""
        self.kinds: tuple[str, ...] = (*outer.kinds, self.host["type"]) if outer else ()
        self.promoted = self._promoted()
        self.inner = {key: self._instance(node) for key, node in self.nodes.items() if self.is_subgraph(node)}

    def is_subgraph(self, node: Json) -> bool:
        """Whether the node stands for a subgraph of this workflow."""
        return node["type"] in self.subgraphs

    def _instance(self, node: Json) -> _Graph:
        kind = node["type"]
        if kind in self.kinds:
            raise WorkflowError(f"{self.name(node)} is a subgraph that contains itself.")
        return _Graph(self.subgraphs[kind], self.object_info, self.subgraphs, self, node)

    def _promoted(self) -> dict[tuple[str, str], Any]:
        """Values of the widgets that the host shows: ``{(node id, widget): value}``, or (HOST, input)."""
        saved = self.host.get("widgets_values") or []
        places: list[list[str]] = (self.host.get("properties") or {}).get("proxyWidgets") or []
        if not places:
            inputs = self.content.get("inputs") or [] if self.outer else []
            places = [
                [HOST, socket["name"]] for socket in inputs if any(self._widgets_fed_by(socket["name"]))
            ]
        values = zip(places, saved, strict=False)  # what was not saved has the value of the widget inside
        return {(str(node), name): value for (node, name, *_), value in values if value is not None}

    def name(self, node: Json) -> str:
        """What errors call a node."""
        kind = self.subgraphs[node["type"]].get("name", "") if self.is_subgraph(node) else node["type"]
        return f"Node {self.prefix}{node['id']} ({kind})"

    def prompt(self) -> Iterator[tuple[str, Json]]:
        """Id and entry of every node that the server gets to see."""
        for key, node in self.nodes.items():
            silent = node["type"] in VIRTUAL or node.get("mode", 0) in (MUTED, BYPASSED)
            if self.is_subgraph(node):
                # The front end sends what is inside a muted subgraph if that lies inside another one.
                yield from self.inner[key].prompt() if self.outer or not silent else ()
            elif not silent:
                yield self.prefix + key, self.prompt_node(node)

    def definition(self, node: Json) -> Json:
        """What the server says about the type of a node."""
        if node["type"] not in self.object_info:
            raise WorkflowError(f"{self.name(node)}: the server has no such node. Is its pack installed?")
        found: Json = self.object_info[node["type"]]
        return found

    def prompt_node(self, node: Json) -> Json:
        """One entry of the prompt."""
        definition = self.definition(node)
        specs = dict(input_specs(definition))
        inputs = {name: _as_input(value) for name, value in self.values(node).items()}
        for saved in node.get("inputs") or []:
            source = self.resolve(saved.get("link"), saved["type"], node)
            if isinstance(source, Constant):
                inputs[saved["name"]] = _as_input(source.value)
            elif source is not None:
                self.check_type(source, node, saved["name"], specs)
                inputs[saved["name"]] = [source.graph.prefix + str(source.node["id"]), source.slot]
        title = node.get("title") or definition.get("display_name") or node["type"]
        return {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}

    def values(self, node: Json) -> Json:
        """The values of a node's widgets by name, a subgraph's own included."""
        key = str(node["id"])
        if self.is_subgraph(node):
            names = [socket["name"] for socket in self.inner[key].content.get("inputs") or []]
            constants = {name: self.inner[key].input_value(name) for name in names}
            return {name: constant.value for name, constant in constants.items() if constant}
        try:
            values = widget_values(node, self.definition(node))
        except UnreadableWidgetError as error:
            raise WorkflowError(f"{self.name(node)}: {error}") from error
        return {name: self.promoted.get((key, name), value) for name, value in values.items()}

    def input_value(self, name: str) -> Constant | None:
        """What the host's widget for an input of this subgraph says; None where the input is a socket."""
        assert self.outer is not None
        for promoted, key in ((self.outer.promoted, str(self.host["id"])), (self.promoted, HOST)):
            if (key, name) in promoted:
                return Constant(promoted[key, name])
        for node, widget in self._widgets_fed_by(name):
            values = self.values(node)
            if widget in values:
                return Constant(values[widget])
        return None

    def _widgets_fed_by(self, name: str) -> Iterator[tuple[Json, str]]:
        """Node and widget for every widget inside that an input of this subgraph is linked to."""
        links = next(
            socket.get("linkIds") or [] for socket in self.content["inputs"] if socket["name"] == name
        )
        for link in links:
            for node in self.nodes.values():
                for saved in node.get("inputs") or []:
                    if saved.get("link") == link and saved.get("widget"):
                        yield node, saved["widget"]["name"]

    def resolve(
        self, link: Any, wanted: Any, target: Json, seen: frozenset[Any] = frozenset()
    ) -> Output | Constant | None:
        """Follow a link back to the output or constant that feeds it; None where nothing does."""
        if link is None:
            return None
        if link not in self.links:
            raise WorkflowError(
                f"{self.name(target)} is fed by link {link}, which the workflow does not list."
            )
        if (self.prefix, link) in seen:
            raise WorkflowError(f"{self.name(target)} is part of a circle of links.")
        origin_id, slot = self.links[link]
        seen = seen | {(self.prefix, link)}
        if self.outer and origin_id == SUBGRAPH_INPUTS:
            return self.resolve_input(slot, seen)
        if origin_id not in self.nodes:
            raise WorkflowError(f"{self.name(target)} is fed by node {origin_id}, which is not there.")
        node = self.nodes[origin_id]
        if node.get("mode", 0) == MUTED:
            return None
        if node["type"] == "PrimitiveNode":
            return Constant(self.promoted.get((origin_id, "value"), node["widgets_values"][0]))
        if node["type"] == "Reroute":
            return self.resolve(node["inputs"][0].get("link"), wanted, node, seen)
        if node.get("mode", 0) == BYPASSED:
            position = bypass_input(node, slot, wanted)
            if position is None:
                return None
            return self.resolve(node["inputs"][position].get("link"), wanted, node, seen)
        if self.is_subgraph(node):
            return self.inner[origin_id].resolve_output(slot, wanted, seen)
        return Output(self, node, slot)

    def resolve_input(self, slot: int, seen: frozenset[Any]) -> Output | Constant | None:
        """What comes into this subgraph by one of its inputs: a link from outside, or the host's widget."""
        assert self.outer is not None
        name = self.content["inputs"][slot]["name"]
        for saved in self.host.get("inputs") or []:
            if saved["name"] == name and saved.get("link") is not None:
                return self.outer.resolve(saved["link"], saved["type"], self.host, seen)
        return self.input_value(name)

    def resolve_output(self, slot: int, wanted: Any, seen: frozenset[Any]) -> Output | Constant | None:
        """What goes out of this subgraph by one of its outputs."""
        assert self.outer is not None
        output = self.content["outputs"][slot]
        link = next(iter(output.get("linkIds") or []), None)
        if link in self.links and self.links[link][0] == SUBGRAPH_INPUTS:
            host = self.outer.name(self.host)
            raise WorkflowError(
                f'{host}: "{output["name"]}" is one of its inputs, which ComfyUI does not run.'
            )
        return self.resolve(link, wanted, self.host, seen)

    def check_type(self, source: Output, target: Json, name: str, specs: Json) -> None:
        """Raise unless the output may feed the input."""
        origin = source.graph.name(source.node)
        outputs = self.definition(source.node)["output"]
        if source.slot >= len(outputs):
            raise WorkflowError(f"{origin} has no output {source.slot}, only {len(outputs)} of them.")
        grown = name.split(".")[0]  # an input that grows names its slots "images.image0", "images.image1"
        if name not in specs and grown in specs:
            return
        if name not in specs:
            raise WorkflowError(f'{self.name(target)} has no input "{name}" on this server.')
        kind, expected = type_name(outputs[source.slot]), type_name(specs[name][0])
        if not compatible(kind, expected):
            raise WorkflowError(
                f'{self.name(target)}: expected {expected} for "{name}", got {kind} from {origin}.'
            )


def _subgraphs(workflow: Json) -> list[Json]:
    return (workflow.get("definitions") or {}).get("subgraphs") or []


def _as_input(value: Any) -> Any:
    """A list is wrapped, or the server would take it for a link."""
    return {"__value__": value} if isinstance(value, list) else value
