"""ComfyUI's front end in a browser: what is the same for every node."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from diffseg_tools.comfyui import ComfyServer
from PIL import Image
from playwright.sync_api import Page, Response, Route, WebSocket

from .picker_run import PickerRun

Json = dict[str, Any]

APP = "window.comfyAPI.app.app"
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
IS_KEPT = f"""() => {{
    const plain = text => text.replaceAll('\\\\', '')
    const drafts = Object.keys(localStorage).filter(key => key.startsWith('Comfy.Workflow.Draft.v'))
        .map(key => JSON.parse(localStorage[key]))
    const newest = drafts.sort((one, other) => other.updatedAt - one.updatedAt)[0]
    const {{nodes}} = {APP}.rootGraph.serialize()
    const values = nodes.map(node => plain(JSON.stringify(node.widgets_values ?? null)))
    return newest && values.every(of_a_node => plain(newest.data).includes(of_a_node))
}}"""  # by the front end, which writes a draft of the workflow a moment after a change
SCRIPTS = "**/extensions"  # which of them to load
ELSEWHERE = "(https://"
"""Of a complaint about another machine, which the front end alone asks, and at times of its own: for news and
for the sizes of models that a template names. Not every page gets as far as to complain."""


class FrontEnd:
    """One page with the front end.

    Args:
        page: not opened yet, so that every message on its websocket is heard.
        server: the ComfyUI that serves it.
        nodes2: Nodes 2.0 instead of the classic canvas.

    Attributes:
        complaints: warnings and errors in the browser's console, and what was thrown.
        messages: what the server said on the websocket.
    """

    def __init__(self, page: Page, server: ComfyServer, nodes2: bool) -> None:
        self.page = page
        self.server = server
        self.nodes2 = nodes2
        self.complaints: list[str] = []
        self.messages: list[Json] = []
        self._images: dict[str, np.ndarray] = {}
        self._usual: set[str] = set()
        page.on("console", lambda entry: self._note(entry.type, entry.text, entry.location["url"]))
        page.on("pageerror", lambda error: self._note("error", str(error), "thrown"))
        page.on("websocket", self._listen)

    def open(self) -> None:
        """Load the page and wait until it can be used; first without the pack, for the usual complaints."""
        self.server.post("/settings/Comfy.TutorialCompleted", True)
        self.server.post("/settings/Comfy.Locale", "en")
        self.server.post("/settings/Comfy.VueNodes.Enabled", self.nodes2)
        self.page.route(SCRIPTS, _without_the_pack)
        self.page.goto(self.server.url)
        self.wait_until_usable()
        self.page.wait_for_timeout(500)  # for complaints that come late
        self._usual = {_without_numbers(complaint) for complaint in self.complaints}
        self.page.unroute(SCRIPTS)
        self.page.reload()
        self.wait_until_usable()

    def reload(self) -> None:
        """Load the page again, as a person does, with the workflow as it is now."""
        self.page.wait_for_function(IS_KEPT, timeout=5_000)
        self.page.reload()
        self.wait_until_usable()

    def wait_until_usable(self) -> None:
        """Until the page is loaded and shows its graph."""
        self.page.wait_for_function("() => window.comfyAPI?.app?.app?.vueAppReady", timeout=60_000)
        self.page.wait_for_function(f"() => {APP}.isGraphReady && {APP}.canvas?.graph")
        self.page.locator("#splash-loader, .p-blockui-mask").first.wait_for(state="hidden")
        self.page.evaluate(TWO_FRAMES)

    def take_complaints(self) -> list[str]:
        """What the browser complained of since the last time, and does not without the pack."""
        complaints, self.complaints[:] = list(self.complaints), []
        asked_here = (complaint for complaint in complaints if ELSEWHERE not in complaint)
        return [complaint for complaint in asked_here if _without_numbers(complaint) not in self._usual]

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Look again after every other frame, for 5 seconds.

        Args:
            what: it says when it does not come true.
        """
        deadline = time.monotonic() + 5
        while not holds():
            assert time.monotonic() < deadline, what
            self.page.evaluate(TWO_FRAMES)

    def pause(self) -> None:
        """As a person, who is not as fast as that.

        Newer front ends take what changes within 50 ms after a step of their undo as a part of that step.
        """
        self.page.wait_for_timeout(120)

    def show_workflow(self, workflow: Json) -> None:
        """Show a workflow whose picker, if it has one, may be out of sight."""
        self.page.evaluate(f"workflow => {APP}.loadGraphData(workflow)", workflow)
        self.page.evaluate(TWO_FRAMES)

    def queue(self) -> PickerRun:
        """Queue the workflow as the front end does, and wait until it is done."""
        with self.page.expect_response(_is_prompt) as queued:
            self.page.evaluate(f"() => {APP}.queuePrompt(0)")
        answer = queued.value.json()
        assert not answer.get("node_errors"), answer
        return self.result(answer["prompt_id"])

    def result(self, prompt_id: str) -> PickerRun:
        """Wait until that prompt is done; what it did."""
        deadline, looked_at = time.monotonic() + 120, 0
        while not any(self._ends(message, prompt_id) for message in self.messages[looked_at:]):
            assert time.monotonic() < deadline, f"not done: {self.messages[-5:]}\n{self.server.log_tail()}"
            looked_at = len(self.messages)
            self.page.wait_for_timeout(20)
        history = self.server.get(f"/history/{prompt_id}")[prompt_id]
        kinds = {node: content["class_type"] for node, content in history["prompt"][2].items()}
        said = [(m["type"], m["data"]) for m in self.messages if m["data"].get("prompt_id") == prompt_id]
        executed = {kinds[data["node"]] for kind, data in said if kind == "executing" and data["node"]}
        cached = {kinds[node] for kind, data in said if kind == "execution_cached" for node in data["nodes"]}
        return PickerRun(executed, cached, self.saved(history["outputs"]))

    def saved(self, outputs: Json) -> dict[str, list[np.ndarray]]:
        """The images that a run saved, by name."""
        images: dict[str, list[np.ndarray]] = {}
        for output in outputs.values():
            for entry in output.get("images", []):
                if entry["type"] == "output":
                    name = re.sub(r"_\d+_\.png$", "", entry["filename"])
                    images.setdefault(name, []).append(self._image(entry))
        return images

    def set_widget(self, kind: str, name: str, value: Any) -> None:
        """Give a widget of the only node of that type a value, as typing it does."""
        self.page.evaluate(
            f"""([kind, name, value]) => {{
                const node = {APP}.canvas.graph.nodes.find(node => node.type === kind)
                const widget = node.widgets.find(widget => widget.name === name)
                widget.value = value
                widget.callback?.(value, {APP}.canvas, node)
            }}""",
            [kind, name, value],
        )

    def zoom(self) -> float:
        """Pixels of the page for one of the graph's units."""
        return self.page.evaluate(f"() => {APP}.canvas.ds.scale")

    def leave_subgraph(self) -> None:
        """Back to the graph around it."""
        self.page.evaluate(f"() => {APP}.canvas.setGraph({APP}.rootGraph)")
        self.redraw()

    def save_as(self, name: str) -> Json:
        """Save the workflow under a name through the front end's dialog; the file on the server."""
        self.command("Comfy.SaveWorkflowAs")
        self.page.locator("[role=dialog] input").fill(name)
        with self.page.expect_response(lambda response: response.request.method == "POST"):
            self.page.keyboard.press("Enter")
        path = self.server.base_directory / "user" / "default" / "workflows" / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def api_format(self) -> Json:
        """The prompt as *Export (API)* gives it."""
        return self.page.evaluate(f"async () => (await {APP}.graphToPrompt()).output")

    def set_setting(self, name: str, value: Any) -> None:
        """Change one of the front end's settings, such as "Comfy.Minimap.Visible"."""
        self.page.evaluate(
            f"([name, value]) => {APP}.extensionManager.setting.set(name, value)", [name, value]
        )

    def command(self, name: str) -> None:
        """One of the front end's own commands, such as "Comfy.Undo"."""
        self.page.evaluate(f"name => {{ {APP}.extensionManager.command.execute(name) }}", name)

    def redraw(self) -> None:
        """Draw the graph anew, and wait until it is shown."""
        self.page.evaluate(f"() => {APP}.canvas.setDirty(true, true)")
        self.page.evaluate(TWO_FRAMES)

    @contextmanager
    def provoking(self, complaint: str) -> Iterator[None]:
        """What a test brings about itself is no complaint.

        Args:
            complaint: text in all those that are meant.
        """
        before = len(self.complaints)
        yield
        self.complaints[before:] = [each for each in self.complaints[before:] if complaint not in each]

    def _note(self, kind: str, text: str, source: str) -> None:
        if kind in ("warning", "error"):
            self.complaints.append(f"{kind}: {text} ({source.removeprefix(self.server.url)})")

    def _listen(self, socket: WebSocket) -> None:
        def hear(payload: str | bytes) -> None:
            if isinstance(payload, str):
                self.messages.append(json.loads(payload))

        socket.on("framereceived", hear)

    @staticmethod
    def _ends(message: Json, prompt_id: str) -> bool:
        kind, data = message["type"], message.get("data") or {}
        if data.get("prompt_id") != prompt_id:
            return False
        assert kind not in ("execution_error", "execution_interrupted"), data
        return kind == "executing" and data["node"] is None

    def _image(self, entry: Json) -> np.ndarray:
        name = entry["filename"]
        if name not in self._images:
            image = np.asarray(Image.open(io.BytesIO(self.server.fetch_image(entry))))
            self._images[name] = image
        return self._images[name]


def _without_the_pack(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=json.dumps([name for name in answer.json() if "DiffSeg" not in name]))


def _without_numbers(complaint: str) -> str:
    """What does not differ from one page to another."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "#", complaint)


def _is_prompt(response: Response) -> bool:
    return response.request.method == "POST" and response.url.endswith("/prompt")
