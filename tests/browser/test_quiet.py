"""The browser's console: nothing there is ours. Comes last, and looks back at all the other tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Route

from . import workflows
from .front_end import FrontEnd
from .graph_page import GraphPage
from .picker_run import inside

WEB = Path(__file__).parents[2] / "web"

COMMON = {"width": 1100, "height": 900}

ELSEWHERE = "(https://"
"""Of a complaint about another machine, which the front end alone asks, and at times of its own: for news and
for the sizes of models that a template names. Not every page gets as far as to complain."""


def without_numbers(complaints: list[str]) -> set[str]:
    """Each complaint once, without what differs from one page to another."""
    kept = [complaint for complaint in complaints if ELSEWHERE not in complaint]
    return {re.sub(r"[0-9a-f]{8,}|\d+", "#", complaint) for complaint in kept}


def hide_the_pack(route: Route) -> None:
    """Answer for the server which scripts to load: all but the pack's."""
    answer = route.fetch()
    route.fulfill(response=answer, body=json.dumps([name for name in answer.json() if "DiffSeg" not in name]))


def test_the_scripts_ask_no_other_machine() -> None:
    scripts = [path for path in WEB.rglob("*js") if "://" in path.read_text()]
    assert (WEB / "diffseg.js").is_file()
    assert scripts == []


def test_the_console_has_nothing_that_it_has_not_without_the_pack(
    graph: GraphPage, chromium: Browser, object_info: dict[str, Any]
) -> None:
    graph.load(workflows.picking(object_info))
    labels = graph.run().labels
    graph.click(inside(labels, 0))
    graph.press("invert")
    graph.run()
    context = chromium.new_context(viewport=COMMON, has_touch=True)
    context.route("**/extensions", hide_the_pack)
    plain = FrontEnd(context.new_page(), graph.server, graph.nodes2)
    plain.open()
    plain.show_workflow(workflows.images_only(object_info))
    plain.page.wait_for_timeout(500)
    context.close()
    assert without_numbers(graph.complaints) - without_numbers(plain.complaints) == set()
