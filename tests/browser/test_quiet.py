"""The browser's console: what is ours there fails the test in which it comes (see the fixture ``graph``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from .graph_page import GraphPage

WEB = Path(__file__).parents[2] / "web"


def test_the_scripts_ask_no_other_machine() -> None:
    scripts = [path for path in WEB.rglob("*js") if "://" in path.read_text()]
    assert (WEB / "diffseg.js").is_file()
    assert scripts == []


@pytest.mark.both_renderers
def test_what_the_page_complains_of_is_noticed_but_for_what_it_always_does(graph: GraphPage) -> None:
    graph.page.reload()  # at which the front end complains of files that it does not find
    graph.wait_until_usable()
    assert graph.complaints
    assert graph.take_complaints() == []
    graph.page.evaluate("() => { console.warn('of ours'); setTimeout(() => { throw Error('thrown') }) }")
    graph.wait_until(lambda: len(graph.complaints) >= 2, "both are heard")
    warning, error = sorted(graph.take_complaints(), reverse=True)
    assert warning.startswith("warning: of ours")
    assert error.startswith("error: thrown")
