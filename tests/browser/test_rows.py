"""Rows of nodes: those that do not count by another row's value are not there, and keep their values."""

from __future__ import annotations

from typing import Any

import pytest

from . import workflows
from .front_end import APP
from .graph_page import GraphPage

ROWS = {
    "automatic": ["cut", "neighbours_only", "finest"],
    "number of segments": ["cut", "number", "neighbours_only", "finest"],
    "height": ["cut", "height", "neighbours_only", "finest"],
    "normalised cut": ["cut", "threshold"],
}
EVERY = ["cut", "number", "height", "threshold", "neighbours_only", "finest"]
NODES = f"{APP}.canvas.graph.nodes.filter(node => node.type === 'DiffSegHierarchy')"
INTO_A_SUBGRAPH = f"""name => {{
    const node = {NODES}[0], {{subgraph}} = {APP}.rootGraph.convertToSubgraph(new Set([node]))
    const inside = subgraph.nodes[0], input = inside.inputs.find(input => input.name === name)
    subgraph.addInput(name, input.type).connect(input, inside)
    {APP}.canvas.setGraph({APP}.rootGraph)
}}"""  # with that widget outside


def rows(graph: GraphPage, place: int = 0) -> list[str]:
    """Of the first DiffSeg Hierarchy in the graph that is open, or of the one after so many others."""
    graph.redraw()
    node = f"{NODES}[{place}]"
    if graph.nodes2:
        number = graph.page.evaluate(f"() => {node}.id")
        shown = graph.page.locator(f'.lg-node[data-node-id="{number}"] .lg-node-widget')
        return [text.split("\n")[0] for text in shown.all_inner_texts()]
    return graph.page.evaluate(
        f"() => {{ const node = {node}; return node.widgets.filter(each => node.isWidgetVisible(each))"
        ".map(each => each.name) }"
    )


def folded(graph: GraphPage, names: list[str]) -> list[str]:
    """Nodes 2.0 folds advanced rows."""
    return [name for name in names if name != "finest" or not graph.nodes2]


def test_only_rows_that_count_are_there(graph: GraphPage, object_info: dict[str, Any]) -> None:
    graph.load(workflows.picking_at_any_granularity(object_info))
    for cut, expected in ROWS.items():
        graph.set_widget("DiffSegHierarchy", "cut", cut)
        assert rows(graph) == folded(graph, expected)
    assert sent(graph)["number"] == 10, "what is hidden is sent"
    graph.load(graph.save_as(f"rows {graph.nodes2}"))
    assert rows(graph) == ROWS["normalised cut"]


@pytest.mark.both_renderers
def test_rows_are_right_after_copy_undo_and_promotion_from_a_subgraph(
    graph: GraphPage, object_info: dict[str, Any]
) -> None:
    graph.load(workflows.picking_at_any_granularity(object_info))
    graph.set_widget("DiffSegHierarchy", "cut", "height")
    graph.set_widget("DiffSegHierarchy", "height", 0.25)
    height, cut = folded(graph, ROWS["height"]), folded(graph, ROWS["normalised cut"])
    graph.page.evaluate(
        f"() => {{ {APP}.canvas.copyToClipboard([{NODES}[0]]); {APP}.canvas.pasteFromClipboard() }}"
    )
    assert rows(graph, 1) == height
    graph.page.evaluate(f"() => {APP}.canvas.graph.remove({NODES}[1])")

    click_beside(graph, 500)
    graph.set_widget("DiffSegHierarchy", "cut", "normalised cut")
    click_beside(graph, 600)  # twice at one place would be a double click, which opens the search for nodes
    assert rows(graph) == cut
    graph.command("Comfy.Undo")
    graph.wait_until(lambda: sent(graph)["cut"] == "height", "the choice is undone")
    assert rows(graph) == height
    assert sent(graph)["height"] == 0.25

    graph.page.evaluate(INTO_A_SUBGRAPH, "cut")
    assert sent(graph)["cut"] == "height"
    host = f"{APP}.rootGraph.nodes.find(node => node.isSubgraphNode())"
    graph.page.evaluate(
        f"() => {{ {host}.widgets.find(each => each.name === 'cut').value = 'normalised cut' }}"
    )
    for _ in range(2):  # as it is, and as it is saved
        values = sent(graph)
        assert (values["cut"], values["height"], values["threshold"]) == ("normalised cut", 0.25, 0.5)
        graph.page.evaluate(f"() => {APP}.canvas.openSubgraph({host}.subgraph, {host})")
        assert rows(graph) == folded(graph, EVERY), "it is set outside"
        graph.leave_subgraph()
        graph.show_workflow(graph.page.evaluate(f"() => {APP}.rootGraph.serialize()"))


def sent(graph: GraphPage) -> dict[str, Any]:
    """The inputs of the only DiffSeg Hierarchy, in a subgraph or outside."""
    (node,) = (each for each in graph.api_format().values() if each["class_type"] == "DiffSegHierarchy")
    return node["inputs"]


def click_beside(graph: GraphPage, x: int) -> None:
    """On the canvas, where nothing is: the front end looks for changes to undo after each click."""
    graph.pause()
    graph.page.mouse.click(x, 880)
    graph.pause()
