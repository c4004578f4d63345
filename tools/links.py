"""Links of a saved workflow: where they begin, and what may be linked to what, by LiteGraph's rules."""

from __future__ import annotations

from typing import Any

from .widgets import type_name

Json = dict[str, Any]


def link_origin(link: Any) -> tuple[Any, tuple[str, int]]:
    """``link id, (origin node, origin slot)`` of a link in the array or the object form."""
    if isinstance(link, dict):
        return link["id"], (str(link["origin_id"]), int(link["origin_slot"]))
    return link[0], (str(link[1]), int(link[2]))


def compatible(output: str, wanted: str) -> bool:
    """LiteGraph's rule: equal names, any of a comma-separated list, or a wildcard on either side."""
    if any(kind in ("", "*") or kind.startswith("COMFY_MATCHTYPE") for kind in (output, wanted)):
        return True
    return bool(set(output.lower().split(",")) & set(wanted.lower().split(",")))


def bypass_input(node: Json, slot: int, wanted: Any) -> int | None:
    """The input of a bypassed node that stands in for one of its outputs."""
    types = [type_name(saved["type"]) for saved in node.get("inputs") or []]
    output, expected = type_name(node["outputs"][slot]["type"]), type_name(wanted)
    if not types:
        return None
    if expected in ("", "*"):
        return slot if slot < len(types) else 0
    fits = [compatible(kind, output) and compatible(kind, expected) for kind in types]
    if slot < len(types) and fits[slot]:
        return slot
    if expected in types:
        return types.index(expected)
    return fits.index(True) if True in fits else None
