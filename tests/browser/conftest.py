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
    """A ComfyUI of its own: the tests change its settings and save workflows, and it has more nodes.

    It keeps the results of earlier workflows, so that what one test has computed is there for the others.
    """
    base = tmp_path_factory.mktemp("comfyui_browser")
    (base / "custom_nodes").mkdir()
    (base / "user" / "default" / "workflows").mkdir(parents=True)
    for name in ("many_segments.py", "word_model.py"):
        shutil.copy(Path(__file__).with_name(name), base / "custom_nodes")
    installation = Installation(comfyui_directory(NEWEST), Path(sys.executable))
    with ComfyServer(installation, base, extra_arguments=("--cache-lru", "500")) as running:
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
    """The front end, opened once for each renderer: see ``pytest_collection_modifyitems``."""
    context = chromium.new_context(viewport=VIEWPORT, has_touch=True)
    graph = GraphPage(context.new_page(), server, request.param == "nodes2")
    graph.open()
    yield graph
    context.close()


@pytest.fixture
def graph(opened: GraphPage) -> Iterator[GraphPage]:
    """The front end, with the mouse out of the way. Load a workflow first.

    What the browser complains of meanwhile, and does not without the pack, fails the test.
    """
    opened.leave()
    yield opened
    opened.page.set_viewport_size(VIEWPORT)
    ours = opened.take_complaints()
    assert not ours, "\n".join(ours)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that is not of ``both_renderers`` runs in the second one only where everything runs."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        is_second = parameters is not None and parameters.params.get("opened") == RENDERERS[1]
        if is_second and not item.get_closest_marker("both_renderers"):
            item.add_marker(pytest.mark.exhaustive)


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
