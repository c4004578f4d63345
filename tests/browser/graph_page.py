"""ComfyUI's front end in a browser, as far as the tests touch it."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from diffseg_tools.comfyui import ComfyServer
from PIL import Image
from playwright.sync_api import Locator, Page, Response, WebSocket

Json = dict[str, Any]
Pixel = tuple[float, float]  # x, y in the picture, from its left upper corner

APP = "window.comfyAPI.app.app"
PICKER_NODE = f"""(() => {{
    const graphs = [{APP}.rootGraph, ...{APP}.rootGraph.subgraphs.values()]
    return graphs.flatMap(graph => graph.nodes).find(node => node.type === 'DiffSegSelect')
}})()"""
FIT = """([left, top, right, bottom]) => {
    const app = window.comfyAPI.app.app, node = PICKER_NODE, title = 30
    const [width, height] = [window.innerWidth - left - right, window.innerHeight - top - bottom]
    const scale = Math.min(width / node.size[0], height / (node.size[1] + title))
    app.canvas.ds.scale = scale
    app.canvas.ds.offset[0] = left / scale - node.pos[0]
    app.canvas.ds.offset[1] = top / scale - node.pos[1] + title
    app.canvas.setDirty(true, true)
}""".replace("PICKER_NODE", PICKER_NODE)
MARGINS = (90, 120, 90, 90)  # of the page, where menus lie: left, top, right, bottom
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass(frozen=True)
class Box:
    """Where something lies on the page, in its pixels."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class PickerRun:
    """What the server did with the prompt that the front end sent, and the pictures that it saved.

    Attributes:
        executed: types of the nodes that ran.
        cached: types of the nodes whose results the server still had.
        pictures: by the name they were saved under, as in ``workflows.save_everything``.
    """

    executed: set[str]
    cached: set[str]
    pictures: dict[str, list[np.ndarray]]

    @property
    def labels(self) -> np.ndarray:
        """The number of the segment at each pixel ``[H, W]``, of this very run."""
        if "numbers" in self.pictures:  # see many_segments.py
            (numbers,) = self.pictures["numbers"]
            return numbers[..., 0] + 256 * numbers[..., 1].astype(int)
        return (np.stack([mask[..., 0] for mask in self.pictures["segment"]]) == 255).argmax(0)

    @property
    def mask(self) -> np.ndarray:
        """The union that the node gave, as booleans ``[H, W]``."""
        (union,) = self.pictures["union"]
        assert set(np.unique(union)) <= {0, 255}
        return union[..., 0] == 255

    @property
    def masks(self) -> np.ndarray:
        """The chosen segments one by one, as booleans ``[K, H, W]``."""
        return np.stack([mask[..., 0] == 255 for mask in self.pictures["chosen"]])

    def segments(self, pixels: Iterable[Pixel]) -> np.ndarray:
        """The union of the segments under these pixels, by the label map of this run."""
        labels = self.labels
        return np.isin(labels, [labels[int(y), int(x)] for x, y in pixels])


class GraphPage:
    """One page with the front end.

    Args:
        page: not opened yet, so that every message on its websocket is heard.
        server: the ComfyUI that serves it.
        nodes2: Nodes 2.0 instead of the classic canvas.
    """

    def __init__(self, page: Page, server: ComfyServer, nodes2: bool) -> None:
        self.page = page
        self.server = server
        self.nodes2 = nodes2
        self.complaints: list[str] = []
        self.messages: list[Json] = []
        self.picture_size = (0, 0)
        self._pictures: dict[str, np.ndarray] = {}
        page.on("console", lambda entry: self._note(entry.type, entry.text, entry.location["url"]))
        page.on("pageerror", lambda error: self._note("error", str(error), "thrown"))
        page.on("websocket", self._listen)

    def open(self) -> None:
        """Load the page and wait until it can be used."""
        self.server.post("/settings/Comfy.TutorialCompleted", True)
        self.server.post("/settings/Comfy.Locale", "en")
        self.server.post("/settings/Comfy.VueNodes.Enabled", self.nodes2)
        self.page.goto(self.server.url)
        self._wait_until_usable()

    def reload(self) -> None:
        """Load the page again, as a person does."""
        self.page.reload()
        self._wait_until_usable()

    def load(self, workflow: Json) -> None:
        """Show a workflow, and its picker as large as the page lets it be."""
        self.load_hidden(workflow)
        self.show_picker()

    def load_hidden(self, workflow: Json) -> None:
        """Show a workflow whose picker, if it has one, is not in the graph that is shown first."""
        self.page.evaluate(f"workflow => {APP}.loadGraphData(workflow)", workflow)
        self.page.evaluate(TWO_FRAMES)

    def show_picker(self) -> None:
        """Zoom to the node with the picker."""
        self.page.wait_for_function(f"() => {PICKER_NODE}")
        self.page.evaluate(FIT, MARGINS)
        self.page.evaluate(TWO_FRAMES)
        self.picker.wait_for(state="visible")

    def zoom_to(self, pixel: Pixel, scale: float) -> None:
        """Bring a pixel of the picture to the middle of the page, at this zoom of the graph."""
        self.page.evaluate(f"scale => {{ {APP}.canvas.ds.scale = scale }}", scale)
        for _ in range(2):  # the picture first has to follow the new zoom
            self._redraw()
            box, (width, height) = self.box(), self.picture_size
            right = self.page.viewport_size["width"] / 2 - box.left - pixel[0] / width * box.width
            down = self.page.viewport_size["height"] / 2 - box.top - pixel[1] / height * box.height
            self.page.evaluate(
                f"([right, down]) => {{ const {{ds}} = {APP}.canvas; "
                "ds.offset[0] += right / ds.scale; ds.offset[1] += down / ds.scale }",
                [right, down],
            )
        self._redraw()

    def run(self) -> PickerRun:
        """Queue the workflow as the front end does, wait until it is done and the picker shows the result."""
        with self.page.expect_response(_is_prompt) as queued:
            self.page.evaluate(f"() => {APP}.queuePrompt(0)")
        answer = queued.value.json()
        assert not answer.get("node_errors"), answer
        result = self.result(answer["prompt_id"])
        self.wait_for_picture()
        return result

    def result(self, prompt_id: str) -> PickerRun:
        """Wait until that prompt is done; what it did."""
        deadline = time.monotonic() + 120
        while not any(self._ends(message, prompt_id) for message in self.messages):
            assert time.monotonic() < deadline, f"not done: {self.messages[-5:]}\n{self.server.log_tail()}"
            self.page.wait_for_timeout(20)
        history = self.server.get(f"/history/{prompt_id}")[prompt_id]
        kinds = {node: content["class_type"] for node, content in history["prompt"][2].items()}
        said = [(m["type"], m["data"]) for m in self.messages if m["data"].get("prompt_id") == prompt_id]
        executed = {kinds[data["node"]] for kind, data in said if kind == "executing" and data["node"]}
        cached = {kinds[node] for kind, data in said if kind == "execution_cached" for node in data["nodes"]}
        result = PickerRun(executed, cached, self.saved(history["outputs"]))
        self.picture_size = result.mask.shape[::-1]
        return result

    def saved(self, outputs: Json) -> dict[str, list[np.ndarray]]:
        """The pictures that a run saved, by name."""
        pictures: dict[str, list[np.ndarray]] = {}
        for output in outputs.values():
            for entry in output.get("images", []):
                if entry["type"] == "output":
                    name = re.sub(r"_\d+_\.png$", "", entry["filename"])
                    pictures.setdefault(name, []).append(self._picture(entry))
        return pictures

    # The picker

    @property
    def picker(self) -> Locator:
        """The picker's outermost element."""
        return self.page.locator(".diffseg-picker")

    @property
    def view(self) -> Locator:
        """The canvas that takes the pointer."""
        return self.page.locator("canvas.diffseg-picker-view")

    @property
    def status(self) -> str:
        """What the picker says below the picture."""
        return self.page.locator(".diffseg-picker-status").inner_text()

    def wait_for_picture(self) -> None:
        """Until the picker shows a picture."""
        self.page.locator(".diffseg-picker[data-state=ready]").wait_for(timeout=10_000)
        self.page.evaluate(TWO_FRAMES)

    def wait_for_status(self, text: str) -> None:
        """Until the picker says this, among other things."""
        self.page.locator(".diffseg-picker-status", has_text=text).wait_for(timeout=5_000)

    def press(self, action: str) -> None:
        """One of the buttons: "all", "none", "invert", "undo"."""
        self.page.locator(f".diffseg-picker button[data-action={action}]").click()

    def box(self) -> Box:
        """Where the picture lies on the page."""
        box = self.view.bounding_box()
        assert box is not None
        return Box(box["x"], box["y"], box["width"], box["height"])

    def place(self, pixel: Pixel) -> Pixel:
        """Where the middle of a pixel of the picture lies on the page, which must not be covered there."""
        box, (width, height) = self.box(), self.picture_size
        x = box.left + (pixel[0] + 0.5) / width * box.width
        y = box.top + (pixel[1] + 0.5) / height * box.height
        hit = self.page.evaluate("([x, y]) => document.elementFromPoint(x, y)?.className", [x, y])
        assert hit == "diffseg-picker-view", f"{pixel} at ({x:.1f}, {y:.1f}) is covered by {hit!r}"
        return x, y

    def click(self, pixel: Pixel) -> None:
        """Click a pixel of the picture with the mouse."""
        self.page.mouse.click(*self.place(pixel))

    def tap(self, pixel: Pixel) -> None:
        """Tap a pixel of the picture with a finger."""
        self.page.touchscreen.tap(*self.place(pixel))

    def hover(self, pixel: Pixel) -> None:
        """Move the mouse over a pixel of the picture."""
        self.page.mouse.move(*self.place(pixel))
        self.page.evaluate(TWO_FRAMES)

    def leave(self) -> None:
        """Move the mouse away from the picture."""
        self.page.mouse.move(5, 5)
        self.page.evaluate(TWO_FRAMES)

    def stroke(self, pixels: list[Pixel], steps: int = 8) -> None:
        """Drag the mouse with the button held down from pixel to pixel."""
        self.page.mouse.move(*self.place(pixels[0]))
        self.page.mouse.down()
        for pixel in pixels[1:]:
            self.page.mouse.move(*self.place(pixel), steps=steps)
        self.page.mouse.up()

    def shown(self) -> np.ndarray:
        """What the browser shows of the picture: a screenshot ``[h, w, 3]``."""
        box = self.box()
        clip = {"x": box.left, "y": box.top, "width": box.width, "height": box.height}
        picture = Image.open(io.BytesIO(self.page.screenshot(clip=clip)))
        return np.asarray(picture.convert("RGB")).astype(int)

    # The node and the graph

    def widget(self, name: str) -> Any:
        """The value of a widget of the picker's node, also in a subgraph."""
        return self.page.evaluate(
            f"name => {PICKER_NODE}.widgets.find(widget => widget.name === name).value", name
        )

    @property
    def points(self) -> list[Pixel]:
        """The points that the node keeps."""
        return [(point["x"], point["y"]) for point in json.loads(self.widget("points"))]

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

    def node_size(self) -> tuple[float, float]:
        """Width and height of the picker's node, in the graph's units."""
        width, height = self.page.evaluate(f"() => [...{PICKER_NODE}.size]")
        return width, height

    def drag_corner(self, right: float, down: float) -> None:
        """Resize the picker's node by its right lower corner; in pixels of the page."""
        if self.nodes2:
            node = self.page.locator(".lg-node", has=self.picker)
            node.hover(position={"x": 30, "y": 10})
            corner = node.locator("[data-corner=SE]").bounding_box()
            assert corner is not None
            x, y = corner["x"] + corner["width"] / 2, corner["y"] + corner["height"] / 2
        else:
            x, y = self.page.evaluate(
                f"""() => {{
                    const node = {PICKER_NODE}, {{ds, canvas}} = {APP}.canvas
                    const page = canvas.getBoundingClientRect()
                    return [0, 1].map(i => (node.pos[i] + node.size[i] + ds.offset[i]) * ds.scale - 4)
                        .map((at, i) => at + [page.left, page.top][i])
                }}"""
            )
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + right, y + down, steps=5)
        self.page.mouse.up()
        self.page.evaluate(TWO_FRAMES)

    def zoom(self) -> float:
        """Pixels of the page for one of the graph's units."""
        return self.page.evaluate(f"() => {APP}.canvas.ds.scale")

    def canvas_width(self) -> int:
        """Pixels that the picture is drawn with."""
        return self.view.evaluate("canvas => canvas.width")

    def enter_subgraph(self) -> None:
        """Open the only subgraph, as a double click on its node does."""
        self.page.evaluate(
            f"() => {APP}.canvas.openSubgraph([...{APP}.rootGraph.subgraphs.values()][0], "
            f"{APP}.rootGraph.nodes.find(node => node.isSubgraphNode()))"
        )
        self.page.evaluate(TWO_FRAMES)
        self.show_picker()

    def leave_subgraph(self) -> None:
        """Back to the graph around it."""
        self.page.evaluate(f"() => {APP}.canvas.setGraph({APP}.rootGraph)")
        self._redraw()

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

    # Inside

    def _redraw(self) -> None:
        self.page.evaluate(f"() => {APP}.canvas.setDirty(true, true)")
        self.page.evaluate(TWO_FRAMES)

    def _wait_until_usable(self) -> None:
        self.page.wait_for_function("() => window.comfyAPI?.app?.app?.vueAppReady", timeout=60_000)
        self.page.wait_for_function(f"() => {APP}.isGraphReady && {APP}.canvas?.graph")
        self.page.locator("#splash-loader, .p-blockui-mask").first.wait_for(state="hidden")
        self.page.evaluate(TWO_FRAMES)

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

    def _picture(self, entry: Json) -> np.ndarray:
        name = entry["filename"]
        if name not in self._pictures:
            picture = np.asarray(Image.open(io.BytesIO(self.server.fetch_image(entry))))
            self._pictures[name] = picture
        return self._pictures[name]


def _is_prompt(response: Response) -> bool:
    return response.request.method == "POST" and response.url.endswith("/prompt")


def inside(labels: np.ndarray, segment: int) -> Pixel:
    """The pixel of a segment that is farthest from its border."""
    from scipy.ndimage import distance_transform_edt

    room = distance_transform_edt(np.pad(labels == segment, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(room.argmax(), room.shape)
    return int(x), int(y)
