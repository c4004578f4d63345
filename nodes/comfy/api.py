"""ComfyUI's node interface, by its version, which every release keeps, and the prompt that runs."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from comfy_api.v0_0_2 import ComfyExtension, io, ui
from comfy_execution.graph_utils import is_link

__all__ = ["ComfyExtension", "Running", "io", "made_from", "running", "server", "ui"]


class Running(NamedTuple):
    """A run of a prompt.

    Attributes:
        id: another for each run.
        nodes: of the prompt as it was sent, by their ids.
    """

    id: str
    nodes: dict[str, Any]


def server() -> Any:
    """ComfyUI's server; None where its nodes are used without it."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def running() -> Running:
    """What runs; nothing without a server."""
    host = server()
    if host is None:
        return Running("", {})
    for _, prompt_id, nodes, *_ in list(host.prompt_queue.currently_running.values()):
        return Running(prompt_id, nodes)
    return Running("", {})


def made_from(node_id: str, nodes: dict[str, Any]) -> list[Any]:
    """What a node's result follows from, as ComfyUI's cache has it: its inputs and those of all before it.

    Args:
        node_id: of the node.
        nodes: of the prompt.

    Returns:
        class and inputs of the node and of those before it, which are numbered by where they are connected.
        The whole prompt for a node that is not in it: one that another node put there while it ran.
    """
    if node_id not in nodes:
        return [sorted((name, node["inputs"]) for name, node in nodes.items())]
    order, nodes_before = [node_id], []
    for current in order:  # grows
        inputs: dict[str, Any] = {}
        for name, value in sorted(nodes[current]["inputs"].items()):
            if is_link(value) and value[0] in nodes:
                if value[0] not in order:
                    order.append(value[0])
                value = ["from", order.index(value[0]), value[1]]
            inputs[name] = value
        nodes_before.append([nodes[current]["class_type"], inputs])
    return nodes_before
