"""A live ComfyUI, one Chromium, and a page of the front end for each of its two renderers."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diffseg_tools.browser import INSTALL_BROWSER, find_browser
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.environment import NEWEST, Installation, comfyui_directory
from diffseg_tools.steps import CACHE
from playwright.sync_api import Browser, sync_playwright

from .graph_page import GraphPage

ARGUMENTS = [
    "--no-sandbox",  # which refuses to run as root, as in a container
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
VIEWPORT = {"width": 1100, "height": 900}
RENDERERS = ["classic", "nodes2"]
FAILURES = CACHE / "browser_failures"


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A ComfyUI of its own: the tests change its settings and save workflows, and it has more nodes."""
    base = tmp_path_factory.mktemp("comfyui_browser")
    (base / "custom_nodes").mkdir()
    (base / "user" / "default" / "workflows").mkdir(parents=True)
    for name in ("many_segments.py", "word_model.py"):
        shutil.copy(Path(__file__).with_name(name), base / "custom_nodes")
    installation = Installation(comfyui_directory(NEWEST), Path(sys.executable))
    with ComfyServer(installation, base) as running:
        yield running


@pytest.fixture(scope="package")
def object_info(server: ComfyServer) -> dict[str, Any]:
    """Every node type of the server."""
    return server.object_info()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser."""
    path = find_browser()
    if path is None:
        pytest.fail(INSTALL_BROWSER, pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package", params=RENDERERS)
def opened(request: pytest.FixtureRequest, chromium: Browser, server: ComfyServer) -> Iterator[GraphPage]:
    """The front end, opened once for each renderer."""
    context = chromium.new_context(viewport=VIEWPORT, has_touch=True)
    graph = GraphPage(context.new_page(), server, request.param == "nodes2")
    graph.open()
    yield graph
    context.close()


@pytest.fixture
def graph(opened: GraphPage) -> GraphPage:
    """The front end, with the mouse out of the way. Load a workflow first."""
    opened.leave()
    return opened


@pytest.fixture
def in_one_renderer(opened: GraphPage) -> None:
    """For what the picker does by itself, which is the same in both: once is enough."""
    if opened.nodes2:
        pytest.skip("the same in the classic canvas")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Of a failed test, keep what the page looked like and what the browser's console said."""
    report = yield
    graph = getattr(item, "funcargs", {}).get("graph")
    if report.failed and graph is not None:
        FAILURES.mkdir(parents=True, exist_ok=True)
        image = FAILURES / f"{item.name}.png"
        graph.page.screenshot(path=image)
        report.sections.append(("the page", f"{image}\n" + "\n".join(graph.complaints[-10:])))
    return report
