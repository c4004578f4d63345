"""The picker in ComfyUI's front end: what a person sees and does."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator

from .front_end import APP, TWO_FRAMES, FrontEnd, Json
from .picker_run import PickerRun, Pixel

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
PIXELS = """view => {
    const {width, height} = view
    const copy = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true})
    copy.drawImage(view, 0, 0)
    const {data} = copy.getImageData(0, 0, width, height), bits = new Uint8Array(width * height)
    for (let pixel = 0; pixel < bits.length; pixel++) {
        const [red, , blue, alpha] = data.subarray(4 * pixel, 4 * pixel + 4)
        bits[pixel] = 48 + Number(CONDITION)
    }
    return [width, new TextDecoder().decode(bits)]
}"""
MARGINS = (90, 120, 90, 90)  # of the page, where menus lie: left, top, right, bottom


@dataclass(frozen=True)
class Box:
    """Where something lies on the page, in its pixels."""

    left: float
    top: float
    width: float
    height: float


class GraphPage(FrontEnd):
    """A page on which there is one node with a picker.

    Attributes:
        image_size: width and height of the image that the last run was about, in pixels.
    """

    image_size = (0, 0)

    def load(self, workflow: Json) -> None:
        """Show a workflow, and its picker as large as the page lets it be."""
        self.show_workflow(workflow)
        self.show_picker()

    def show_picker(self) -> None:
        """Zoom to the node with the picker."""
        self.page.wait_for_function(f"() => {PICKER_NODE}")
        self.page.wait_for_function("() => document.querySelectorAll('.diffseg-picker').length === 1")
        self.page.evaluate(FIT, MARGINS)
        self.page.evaluate(TWO_FRAMES)
        self.picker.wait_for(state="visible")

    def zoom_to(self, pixel: Pixel, scale: float) -> None:
        """Bring a pixel of the image to the middle of the page, at this zoom of the graph."""
        self.page.evaluate(f"scale => {{ {APP}.canvas.ds.scale = scale }}", scale)
        for _ in range(2):  # the image first has to follow the new zoom
            self.redraw()
            box, (width, height) = self.box(), self.image_size
            right = self.page.viewport_size["width"] / 2 - box.left - pixel[0] / width * box.width
            down = self.page.viewport_size["height"] / 2 - box.top - pixel[1] / height * box.height
            self.page.evaluate(
                f"([right, down]) => {{ const {{ds}} = {APP}.canvas; "
                "ds.offset[0] += right / ds.scale; ds.offset[1] += down / ds.scale }",
                [right, down],
            )
        self.redraw()

    def run(self) -> PickerRun:
        """Queue the workflow as the front end does, wait until it is done and the picker shows the result."""
        result = self.queue()
        self.image_size = result.mask.shape[::-1]
        self.wait_for_image()
        return result

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
        """What the picker says below the image."""
        return self.page.locator(".diffseg-picker-status").inner_text()

    def wait_for_image(self) -> None:
        """Until the picker shows an image."""
        self.page.locator(".diffseg-picker[data-state=ready]").wait_for(timeout=10_000)
        self.page.evaluate(TWO_FRAMES)

    def wait_for_status(self, text: str) -> None:
        """Until the picker says this, among other things."""
        self.page.locator(".diffseg-picker-status", has_text=text).wait_for(timeout=5_000)

    def press(self, action: str) -> None:
        """One of the buttons: "all", "none", "invert", "undo"."""
        self.page.locator(f".diffseg-picker button[data-action={action}]").click()

    def box(self) -> Box:
        """Where the image lies on the page."""
        box = self.view.bounding_box()
        assert box is not None
        return Box(box["x"], box["y"], box["width"], box["height"])

    def place(self, pixel: Pixel) -> Pixel:
        """Where the middle of a pixel of the image lies on the page, which must not be covered there."""
        box, (width, height) = self.box(), self.image_size
        x = box.left + (pixel[0] + 0.5) / width * box.width
        y = box.top + (pixel[1] + 0.5) / height * box.height
        hit = self.page.evaluate("([x, y]) => document.elementFromPoint(x, y)?.className", [x, y])
        assert hit == "diffseg-picker-view", f"{pixel} at ({x:.1f}, {y:.1f}) is covered by {hit!r}"
        return x, y

    def click(self, pixel: Pixel) -> None:
        """Click a pixel of the image with the mouse."""
        self.page.mouse.click(*self.place(pixel))

    def tap(self, pixel: Pixel) -> None:
        """Tap a pixel of the image with a finger."""
        self.page.touchscreen.tap(*self.place(pixel))

    def hover(self, pixel: Pixel) -> None:
        """Move the mouse over a pixel of the image."""
        self.page.mouse.move(*self.place(pixel))
        self.page.evaluate(TWO_FRAMES)

    def leave(self) -> None:
        """Move the mouse away from the image."""
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
        """What the browser shows of the image: a screenshot ``[h, w, 3]``."""
        box = self.box()
        clip = {"x": box.left, "y": box.top, "width": box.width, "height": box.height}
        image = Image.open(io.BytesIO(self.page.screenshot(clip=clip)))
        return np.asarray(image.convert("RGB")).astype(int)

    # The node and the graph

    def widget(self, name: str) -> Any:
        """The value of a widget of the picker's node, also in a subgraph."""
        return self.page.evaluate(
            f"name => {PICKER_NODE}.widgets.find(widget => widget.name === name).value", name
        )

    @property
    def rows(self) -> list[str]:
        """The widgets that are rows of the picker's node, without the picker itself."""
        if self.nodes2:
            every = self.page.locator(".lg-node", has=self.picker).locator(".lg-node-widget")
            rows = every.filter(has_not=self.page.locator(".diffseg-picker"))
            return [row.split("\n")[0] for row in rows.all_inner_texts()]
        return self.page.evaluate(
            f"""() => {{
                const node = {PICKER_NODE}
                return node.widgets.filter(each => node.isWidgetVisible(each) && !each.element)
                    .map(each => each.name)
            }}"""
        )

    def field_share(self) -> float:
        """How much of the picker's node and its title the field of the image is, at most 1."""
        field = self.page.locator(".diffseg-picker-frame").bounding_box()
        assert field is not None
        (width, height), zoom = self.node_size(), self.zoom()
        return field["width"] * field["height"] / zoom**2 / (width * (height + 30))

    @property
    def points(self) -> list[Pixel]:
        """The points that the node keeps."""
        return [(point["x"], point["y"]) for point in json.loads(self.widget("points"))]

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

    def wait_until_sharp(self) -> None:
        """Until the canvases are as fine as the screen: the picker looks at its size a few times a second."""
        self.page.wait_for_function(
            "canvas => Math.abs(canvas.width / canvas.getBoundingClientRect().width - 1) < 0.06",
            arg=self.view.element_handle(),
            timeout=5_000,
        )

    def pixels(self, condition: str) -> np.ndarray:
        """Which pixels of the picker's canvas are so, in JavaScript by ``red``, ``blue`` and ``alpha``."""
        width, bits = self.view.evaluate(PIXELS.replace("CONDITION", condition))
        return (np.frombuffer(bits.encode(), dtype=np.uint8) == ord("1")).reshape(-1, width)

    def canvas_width(self) -> int:
        """Pixels that the image is drawn with."""
        return self.view.evaluate("canvas => canvas.width")

    def enter_subgraph(self) -> None:
        """Open the only subgraph, as a double click on its node does."""
        self.page.evaluate(
            f"() => {APP}.canvas.openSubgraph([...{APP}.rootGraph.subgraphs.values()][0], "
            f"{APP}.rootGraph.nodes.find(node => node.isSubgraphNode()))"
        )
        self.page.evaluate(TWO_FRAMES)
        self.show_picker()
