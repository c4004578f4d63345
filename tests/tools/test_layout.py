"""How the nodes of the example workflows are kept apart, with positions worked out by hand."""

from __future__ import annotations

import json

from diffseg_tools.layout import Place, arrange, covered, group_places, node_place


def test_nodes_that_lie_on_each_other_are_told_and_moved_apart() -> None:
    nodes = [
        {"id": 1, "type": "A", "pos": [0, 30], "size": [100, 70], "flags": {}},
        {"id": 2, "type": "B", "pos": [0, 110], "size": [100, 70], "flags": {}},  # its title begins at 80
        {"id": 3, "type": "DiffSegSelect", "pos": [300, 30], "size": [480, 840], "flags": {}},
        {"id": 4, "type": "C", "pos": [900, 30], "size": [100, 70], "flags": {"collapsed": True}},
    ]
    graph = {"nodes": nodes, "groups": [{"title": "G", "bounding": [290, -10, 500, 900]}]}
    sizes = [(100.0, 70.0), (100.0, 70.0), (480.0, 840.0), (80.0, 0.0)]
    assert covered([node_place(node, size) for node, size in zip(nodes, sizes, strict=True)]) == [
        "1 (A) and 2 (B) overlap by 100 x 20",
        "3 (DiffSegSelect) and 4 (C) overlap by 80 x 30",  # once the picker has the picture's shape
    ]
    arrange(graph, sizes)
    assert [node["pos"] for node in nodes] == [[0, 30], [0, 160], [152, 30], [924, 30]]
    assert nodes[3]["size"] == [100, 70], "what it is when it is opened again"
    assert group_places(graph)[0][0] == Place("G", (140, -40), (744, 922))
    again = json.loads(json.dumps(graph))
    arrange(again, sizes)
    assert again == graph
