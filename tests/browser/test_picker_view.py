"""What the picker looks like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from . import workflows
from .graph_page import GraphPage
from .picker_run import inside

ObjectInfo = dict[str, Any]
HOVER = """async (places) => {
    const view = document.querySelector('canvas.diffseg-picker-view')
    const probe = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true})
    const times = []
    for (const [clientX, clientY] of places) {
        const start = performance.now()
        view.dispatchEvent(new PointerEvent('pointermove', {clientX, clientY, bubbles: true}))
        probe.drawImage(view, 0, 0)
        probe.getImageData(0, 0, 1, 1)  // waits until all is drawn
        times.push(performance.now() - start)
        await new Promise(requestAnimationFrame)
    }
    return times
}"""


@pytest.mark.both_renderers
@pytest.mark.parametrize("change", [(120, 40), (-60, -150)], ids=["larger", "smaller"])
def test_a_resized_node_keeps_the_image_whole_and_sharp(
    graph: GraphPage, object_info: ObjectInfo, change: tuple[int, int]
) -> None:
    graph.load(workflows.picking(object_info))
    before = graph.run()
    height, width = before.labels.shape
    first, size = graph.box(), graph.node_size()
    graph.drag_corner(*change)
    second = graph.box()
    assert graph.node_size() != size
    assert (second.width > first.width) == (change[0] > 0)
    assert second.width / second.height == pytest.approx(width / height, rel=0.01)
    place = inside(before.labels, 6)
    graph.click(place)
    graph.wait_until_sharp()
    assert graph.canvas_width() == pytest.approx(second.width, rel=0.06), "as fine as the screen"
    assert (graph.run().mask == (before.labels == 6)).all()


@pytest.mark.both_renderers
def test_the_segment_under_the_mouse_lights_up_and_is_named(
    graph: GraphPage, object_info: ObjectInfo
) -> None:
    graph.load(workflows.picking(object_info))
    labels = graph.run().labels
    graph.hover(inside(labels, 0))  # the image follows a new zoom when the mouse comes
    graph.leave()
    idle = graph.shown()
    graph.hover(inside(labels, 3))
    changed = np.abs(graph.shown() - idle).sum(-1) > 20
    assert f"segment 3 · {100 * (labels == 3).mean():.1f} %" in graph.status
    rows = ((np.arange(changed.shape[0]) + 0.5) / changed.shape[0] * labels.shape[0]).astype(int)
    columns = ((np.arange(changed.shape[1]) + 0.5) / changed.shape[1] * labels.shape[1]).astype(int)
    segment = labels[rows][:, columns] == 3
    assert (changed & segment).sum() > 0.9 * segment.sum()
    assert (changed & ~segment).sum() < 0.1 * segment.sum()
    graph.leave()
    assert (graph.shown() == idle).all()
    assert "segment 3" not in graph.status


def test_among_300_segments_the_light_follows_the_mouse_at_once(
    graph: GraphPage, object_info: ObjectInfo
) -> None:
    graph.load(workflows.picking_among_many(object_info, count=300, side=1024))
    run = graph.run()
    assert len(np.unique(run.labels)) == 300
    graph.zoom_to((512, 512), scale=graph.zoom() * 1024 / graph.box().width)
    graph.hover((500, 500))
    graph.wait_until_sharp()
    assert graph.canvas_width() == pytest.approx(1024, rel=0.06)
    places = [graph.place(pixel) for pixel in np.random.default_rng(1).integers(300, 700, (40, 2)).tolist()]
    times = graph.page.evaluate(HOVER, places)
    print(f"median {np.median(times):.1f} ms, longest {max(times):.1f} ms")
    assert np.median(times) < 16, "one frame of a screen with 60 of them a second"
    graph.click((500, 500))
    assert (graph.run().mask == (run.labels == run.labels[500, 500])).all()
