"""Where the nodes of an example workflow lie: a person arranges them, and this keeps them apart.

`make layout` measures the nodes in the front end, in both of its renderers, and writes what had to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

Json = dict[str, Any]
Pair = tuple[float, float]

TITLE = 30  # units of the graph: a node's title lies above its position
GAP = (40, 30)  # between two nodes, to the side and downwards
PAD, GROUP_TITLE = 12, 40  # within a group's border, and above the titles of its nodes
GROWS = {"DiffSegSelect": ((480, 840), (720, 840))}
"""What a node of exactly this size may become at its first run, when it takes the picture's shape."""


@dataclass(frozen=True)
class Place:
    """What a node takes of the graph, with its title.

    Attributes:
        name: what a person is told.
        corner: left and top, in units of the graph.
        size: width and height.
        group: position in the file of the group that it belongs to; None outside of all.
    """

    name: str
    corner: Pair
    size: Pair
    group: int | None = None

    def shared(self, other: Place, axis: int) -> float:
        """How far both reach over each other along an axis (0 to the side, 1 downwards); negative apart."""
        end = min(place.corner[axis] + place.size[axis] for place in (self, other))
        return end - max(self.corner[axis], other.corner[axis])


def node_place(node: Json, size: Pair, group: int | None = None) -> Place:
    """Where a node lies whose body the front end shows in this size; a collapsed one has no body."""
    left, top = node["pos"]
    size = (round(size[0]), round(size[1]))  # the browser's pixels are not quite units of the graph
    before, after = GROWS.get(node["type"], (None, size))
    width, height = after if size == before else size
    name = f"{node['id']} ({node.get('title') or node['type']})"
    return Place(name, (left, top - TITLE), (width, height + TITLE), group)


def covered(places: Sequence[Place]) -> list[str]:
    """Every two that lie on each other by a unit or more, in words."""
    return [
        f"{one.name} and {other.name} overlap by {one.shared(other, 0):.0f} x {one.shared(other, 1):.0f}"
        for one, other in combinations(places, 2)
        if min(one.shared(other, 0), one.shared(other, 1)) >= 1
    ]


def group_places(graph: Json) -> list[tuple[Place, list[Json]]]:
    """Where each group lies by the file, and the nodes whose titles begin in it."""
    places = []
    for group in graph.get("groups") or []:
        left, top, width, height = group["bounding"]
        place = Place(group["title"], (left, top), (width, height))
        places.append((place, [node for node in graph["nodes"] if _lies_in(node, place)]))
    return places


def arrange(graph: Json, sizes: Sequence[Pair]) -> None:
    """Move the nodes of a workflow, or of a subgraph's definition, apart and together; its groups follow.

    What lies left of or above another stays so, and what shares a left or an upper edge goes on sharing it.

    Args:
        graph: is changed: ``pos`` and ``size`` of its nodes, ``bounding`` of its groups.
        sizes: of the nodes' bodies as the front end shows them, in the order of the file.
    """
    members = [inside for _, inside in group_places(graph)]
    places = []
    for node, size in zip(graph["nodes"], sizes, strict=True):
        group = next((index for index, inside in enumerate(members) if node in inside), None)
        places.append(node_place(node, size, group))
        if not node["flags"].get("collapsed"):
            node["size"] = [round(length) for length in size]
    ends = [graph[name] for name in ("inputNode", "outputNode") if name in graph]
    for end in ends:
        left, top, width, height = end["bounding"]
        places.append(Place(str(end["id"]), (left, top), (width, height)))
    corners = zip(_apart(places, 0), _apart(places, 1), strict=True)
    places = [replace(place, corner=corner) for place, corner in zip(places, corners, strict=True)]
    for item, place in zip([*graph["nodes"], *ends], places, strict=True):
        left, top = place.corner
        if item in ends:
            item["bounding"][:2] = [left, top]
        else:
            item["pos"] = [left, top + TITLE]
    for index, group in enumerate(graph.get("groups") or []):
        if members[index]:
            group["bounding"] = _around([place for place in places if place.group == index])


def _around(places: Sequence[Place]) -> list[float]:
    """The bounding of a group with these in it."""
    left, top = (min(place.corner[axis] for place in places) for axis in (0, 1))
    right, bottom = (max(place.corner[axis] + place.size[axis] for place in places) for axis in (0, 1))
    return [left - PAD, top - GROUP_TITLE, right - left + 2 * PAD, bottom - top + PAD + GROUP_TITLE]


def _lies_in(node: Json, group: Place) -> bool:
    """Whether a node's title begins in a group."""
    title = Place("", (node["pos"][0], node["pos"][1] - TITLE / 2), (0, 0))
    return min(title.shared(group, axis) for axis in (0, 1)) >= 0


def _apart(places: Sequence[Place], axis: int) -> list[int]:
    """Where each begins along an axis: as near to the first as what lies before it allows."""
    order = sorted({place.corner[axis] for place in places})
    begins = dict.fromkeys(order, order[0])
    for corner in order:
        for after in (place for place in places if place.corner[axis] == corner):
            ends = (
                begins[before.corner[axis]] + before.size[axis] + _gap(before, after, axis)
                for before in places
                if before.corner[axis] < corner and _separating_axis(before, after) == axis
            )
            begins[corner] = max(begins[corner], *ends, order[0])
    return [round(begins[place.corner[axis]]) for place in places]


def _separating_axis(one: Place, other: Place) -> int:
    """Along which axis two are to be kept apart: side by side, or one above the other."""
    aside, below = one.shared(other, 0), one.shared(other, 1)
    if one.corner[0] == other.corner[0]:
        return 1
    if one.corner[1] == other.corner[1]:
        return 0
    return 0 if aside <= max(0, below) else 1


def _gap(before: Place, after: Place, axis: int) -> float:
    """What must be free between two neighbours, borders of groups counted."""
    if before.group == after.group:
        return GAP[axis]
    border = PAD * (before.group is not None)
    return GAP[axis] + border + (after.group is not None) * (PAD, GROUP_TITLE)[axis]
