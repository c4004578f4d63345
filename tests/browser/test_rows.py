"""Rows of nodes: those that do not count by another row's value are not there, and keep their values."""

from __future__ import annotations

from typing import Any

from . import workflows
from .front_end import APP
from .graph_page import GraphPage

ROWS = {
    "automatic": ["cut", "neighbours_only", "finest"],
    "number of segments": ["cut", "number", "neighbours_only", "finest"],
    "height": ["cut", "height", "neighbours_only", "finest"],
    "normalised cut": ["cut", "threshold"],
}
NODE = f"{APP}.rootGraph.nodes.find(node => node.type === 'DiffSegHierarchy')"


def rows(graph: GraphPage) -> list[str]:
    """Of DiffSeg Hierarchy."""
    graph.redraw()
    if graph.nodes2:
        number = graph.page.evaluate(f"() => {NODE}.id")
        shown = graph.page.locator(f'.lg-node[data-node-id="{number}"] .lg-node-widget')
        return [text.split("\n")[0] for text in shown.all_inner_texts()]
    return graph.page.evaluate(
        f"() => {{ const node = {NODE}; return node.widgets.filter(each => node.isWidgetVisible(each))"
        ".map(each => each.name) }"
    )


def test_only_rows_that_count_are_there(graph: GraphPage, object_info: dict[str, Any]) -> None:
    graph.load(workflows.picking_at_any_granularity(object_info))
    for cut, expected in ROWS.items():
        graph.set_widget("DiffSegHierarchy", "cut", cut)
        # Nodes 2.0 folds advanced rows.
        assert rows(graph) == [name for name in expected if name != "finest" or not graph.nodes2]
    (node,) = (each for each in graph.api_format().values() if each["class_type"] == "DiffSegHierarchy")
    assert node["inputs"]["number"] == 10, "what is hidden is sent"
    graph.load(graph.save_as(f"rows {graph.nodes2}"))
    assert rows(graph) == ROWS["normalised cut"]
