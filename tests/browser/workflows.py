"""Workflows for the tests, as the front end saves them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Output = tuple[int, int]  # node id, number of the output

SUBGRAPH_ID = "6f0d1c52-54ad-4e0e-9a0b-0c9e5d1f7a11"
SUBGRAPH_INPUT, SUBGRAPH_OUTPUT = -10, -20  # ids of a subgraph's ends, by the front end's rule
PICKER_SIZE = (440, 640)  # not that of a fresh node: it stays
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}


class Graph:
    """Nodes and links, numbered from ``first_id``.

    ``object_info`` is what the server says about its node types.
    """

    def __init__(self, object_info: Json, first_id: int = 1) -> None:
        self.object_info = object_info
        self.first_id = first_id
        self.nodes: list[Json] = []
        self.links: list[Json] = []

    def add(self, kind: str, *widgets: Any, size: tuple[int, int] = (280, 120), **inputs: Output) -> int:
        """Add a node with these widget values and links; its id."""
        definition = self.object_info[kind]
        node_id = self.first_id + len(self.nodes)
        node = {
            "id": node_id, "type": kind, "pos": [320 * len(self.nodes), 0], "size": list(size), "flags": {},
            "order": node_id, "mode": 0, "properties": {}, "widgets_values": list(widgets),
            "inputs": [{"name": name, "type": type_, "link": None} for name, type_ in sockets(definition)],
            "outputs": [
                {"name": name, "type": type_, "links": []}
                for name, type_ in zip(definition["output_name"], definition["output"], strict=True)
            ],
        }  # fmt: skip
        self.nodes.append(node)
        for name, (origin, slot) in inputs.items():
            names = [socket["name"] for socket in node["inputs"]]
            link = self.link(origin, slot, node_id, names.index(name))
            node["inputs"][names.index(name)]["link"] = link
        return node_id

    def link(self, origin: int, slot: int, target: int, target_slot: int) -> int:
        """Add a link; its id."""
        output = self.nodes[origin - self.first_id]["outputs"][slot]
        link_id = self.first_id + len(self.links)
        output["links"].append(link_id)
        self.links.append(
            {
                "id": link_id, "origin_id": origin, "origin_slot": slot,
                "target_id": target, "target_slot": target_slot, "type": output["type"],
            }
        )  # fmt: skip
        return link_id

    def save_mask(self, name: str, mask: Output) -> None:
        """Save masks as images whose names begin so."""
        self.save_image(name, (self.add("MaskToImage", mask=mask), 0))

    def save_image(self, name: str, images: Output) -> None:
        """Save images whose names begin so."""
        self.add("SaveImage", f"picker/{name}", images=images)

    def workflow(self) -> Json:
        """The file."""
        keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        return {
            "id": "0b8f3f0e-3b7e-4f58-9d0c-5b9b0f6a3c21", "revision": 0,
            "last_node_id": len(self.nodes), "last_link_id": len(self.links),
            "nodes": self.nodes, "links": [[link[key] for key in keys] for link in self.links],
            "groups": [], "config": {}, "extra": {}, "version": 0.4,
        }  # fmt: skip


def sockets(definition: Json) -> list[tuple[str, str]]:
    """Name and type of every input that is a socket, and not a widget."""
    found = []
    for section in ("required", "optional"):
        for name, (kind, *options) in definition["input"].get(section, {}).items():
            forced = bool(options and options[0].get("forceInput"))
            if forced or not (isinstance(kind, list) or kind in WIDGETS):
                found.append((name, kind))
    return found


def add_segments(graph: Graph, photographs: Output | None = None) -> Output:
    """The demo model's segments of its photograph, or of other images."""
    model = graph.add("DiffSegDemoModel")
    images = photographs or (model, 3)
    capture = graph.add(
        "DiffSegCapture", 25, "clean latent", 0, 384, "all",
        model=(model, 0), conditioning=(model, 2), vae=(model, 1), image=images,
    )  # fmt: skip
    segment = graph.add("DiffSegSegment", 0.4, 16, 2.0, attention=(capture, 0))
    return segment, 0


def add_nested_segments(graph: Graph, number: int | None = None, photographs: Output | None = None) -> Output:
    """The demo model's segments with their tree, at the automatic cut or another."""
    model = graph.add("DiffSegDemoModel")
    images = photographs or (model, 3)
    capture = graph.add(
        "DiffSegCapture", 25, "clean latent", 0, 384, "all",
        model=(model, 0), conditioning=(model, 2), vae=(model, 1), image=images,
    )  # fmt: skip
    tree = graph.add(
        "DiffSegHierarchy",
        "automatic" if number is None else "number of segments",
        number or 10,
        0.1,
        0.5,
        True,
        0.06,
        attention=(capture, 0),
    )
    return tree, 0


def add_picker(
    graph: Graph, segments: Output, image_index: int = 0, size: tuple[int, int] = PICKER_SIZE
) -> int:
    """The node with the picker; its id."""
    return graph.add("DiffSegSelect", "[]", False, image_index, 0, "segments", size=size, segments=segments)


def save_choice(graph: Graph, select: int) -> None:
    """Save all that the picker's node gives."""
    graph.save_mask("union", (select, 0))
    graph.save_mask("chosen", (select, 1))
    graph.save_image("cutout", (select, 2))


def save_everything(graph: Graph, select: int, segments: Output) -> None:
    """Save all that the picker's node gives, and every segment to compare with."""
    save_choice(graph, select)
    graph.save_mask("segment", (graph.add("DiffSegMasks", segments=segments), 0))


def picking(object_info: Json) -> Json:
    """Click segments of the demo model's photograph."""
    graph = Graph(object_info)
    segments = add_segments(graph)
    save_everything(graph, add_picker(graph, segments), segments)
    return graph.workflow()


def picking_at_any_granularity(object_info: Json) -> Json:
    """Click segments of the demo model's photograph, from coarse to fine; the given ones are saved too."""
    graph = Graph(object_info)
    segments = add_nested_segments(graph)
    save_everything(graph, add_picker(graph, segments), segments)
    return graph.workflow()


def picking_in_a_batch(object_info: Json, image_index: int, nested: bool = False) -> Json:
    """Click segments of one of three images: the photograph, upside down, and mirrored."""
    graph = Graph(object_info)
    photograph = (graph.add("DiffSegDemoModel"), 3)
    turned = (graph.add("ImageFlip", "x-axis: vertically", image=photograph), 0)
    mirrored = (graph.add("ImageFlip", "y-axis: horizontally", image=photograph), 0)
    two = (graph.add("ImageBatch", image1=photograph, image2=turned), 0)
    three = (graph.add("ImageBatch", image1=two, image2=mirrored), 0)
    add = add_nested_segments if nested else add_segments
    segments = add(graph, photographs=three)
    save_everything(graph, add_picker(graph, segments, image_index=image_index), segments)
    return graph.workflow()


def picking_in_a_list(object_info: Json, nested: bool = False) -> Json:
    """Click segments of two images that come one by one, as a list: the photograph, and upside down."""
    graph = Graph(object_info)
    photograph = (graph.add("DiffSegDemoModel"), 3)
    turned = (graph.add("ImageFlip", "x-axis: vertically", image=photograph), 0)
    two = (graph.add("ImageBatch", image1=photograph, image2=turned), 0)
    add = add_nested_segments if nested else add_segments
    segments = add(graph, photographs=(graph.add("RebatchImages", 1, images=two), 0))
    save_everything(graph, add_picker(graph, segments), segments)
    return graph.workflow()


def picking_among_many(
    object_info: Json,
    count: int,
    side: int,
    tree: bool = True,
    width: int = 0,
    node_size: tuple[int, int] = PICKER_SIZE,
) -> Json:
    """Click segments of an image, square without a width, that is cut into so many (see many_segments.py)."""
    graph = Graph(object_info)
    cells = graph.add("DiffSegTestCells", count, side, tree, width)
    segments = (cells, 0)
    save_choice(graph, add_picker(graph, segments, size=node_size))
    graph.save_image("numbers", (cells, 2))
    return graph.workflow()


def images_only(object_info: Json) -> Json:
    """None of the pack's nodes."""
    graph = Graph(object_info)
    graph.save_image("plain", (graph.add("EmptyImage", 64, 64, 1, 0), 0))
    return graph.workflow()


def picking_in_a_subgraph(object_info: Json, nested: bool = False) -> Json:
    """Everything up to the picker in a subgraph whose outputs are saved outside of it."""
    inner = Graph(object_info, first_id=101)
    segments = (add_nested_segments if nested else add_segments)(inner)
    select = add_picker(inner, segments)
    masks = inner.add("DiffSegMasks", segments=segments)
    ends = {"union": (select, 0), "chosen": (select, 1), "cutout": (select, 2), "segment": (masks, 0)}
    return saved_outside(object_info, inner, ends)


def saved_outside(object_info: Json, inner: Graph, ends: dict[str, Output]) -> Json:
    """Nodes in a subgraph, and what they give saved outside of it: "union", "chosen", "cutout", "segment"."""
    outputs = []
    for slot, (name, (origin, origin_slot)) in enumerate(ends.items()):
        link = inner.link(origin, origin_slot, SUBGRAPH_OUTPUT, slot)
        kind = inner.links[-1]["type"]
        outputs.append({"id": f"{SUBGRAPH_ID[:-2]}{slot:02d}", "name": name, "type": kind, "linkIds": [link]})
    definition = {
        "id": SUBGRAPH_ID, "version": 1, "revision": 0, "config": {}, "name": "Pick",
        "state": {
            "lastGroupId": 0, "lastRerouteId": 0,
            "lastNodeId": 100 + len(inner.nodes), "lastLinkId": 100 + len(inner.links),
        },
        "inputNode": {"id": SUBGRAPH_INPUT, "bounding": [0, 0, 120, 60]},
        "outputNode": {"id": SUBGRAPH_OUTPUT, "bounding": [2400, 0, 120, 140]},
        "inputs": [], "outputs": outputs, "widgets": [], "nodes": inner.nodes, "groups": [],
        "links": inner.links, "extra": {},
    }  # fmt: skip
    host = {"input": {}, "output": [end["type"] for end in outputs], "output_name": list(ends)}
    outer = Graph(object_info | {SUBGRAPH_ID: host})
    pick = outer.add(SUBGRAPH_ID)
    outer.save_mask("union", (pick, 0))
    outer.save_mask("chosen", (pick, 1))
    outer.save_image("cutout", (pick, 2))
    outer.save_mask("segment", (pick, 3))
    return outer.workflow() | {"definitions": {"subgraphs": [definition]}}
