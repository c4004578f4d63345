"""From an image to its label map with the demo model, outside ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from diffseg_cli.batch.segmenter import Segmenter, segment_maps
from diffseg_cli.batch.settings import DEMO_CAPTURE, DEMO_SEGMENT, ModelChoice

from .timing import Spread, clock
from .workers import Compute

PHOTOGRAPH = Path(__file__).resolve().parent.parent / "demo_model" / "photograph.jpg"


@dataclass(frozen=True)
class DemoModel:
    """Seconds of one image, once the model is loaded.

    Attributes:
        total: from the image in memory to its label map.
        stages: medians of runs of their own, by name in their order.
        width, height: of the image, in pixels.
        grid: of the finest attention, as text.
        segments: how many are found.
    """

    total: Spread
    stages: dict[str, float]
    width: int
    height: int
    grid: str
    segments: int


def measure(compute: Compute, runs: int, path: Path = PHOTOGRAPH) -> DemoModel:
    """Segment an image whole and in stages, in turn."""
    torch.set_num_threads(compute.threads)
    segmenter = Segmenter(ModelChoice(device=compute.device, precision="float32"), DEMO_CAPTURE)
    now = clock(compute.device)
    totals, stages = [], []
    with Image.open(path) as file:
        image = file.convert("RGB")
    segments = segmenter.segment(image, DEMO_SEGMENT)  # loads libraries: left out of the times
    grid = segmenter.capture(image).grid
    for _ in range(runs):
        started = now()
        segmenter.segment(image, DEMO_SEGMENT)
        totals.append(now() - started)
        stages.append(_stages(segmenter, image, compute.device))
    return DemoModel(
        total=Spread.of(totals),
        stages={name: Spread.of(stage[name] for stage in stages).median for name in stages[0]},
        width=image.width,
        height=image.height,
        grid=str(grid),
        segments=segments.counts[0],
    )


def _stages(segmenter: Segmenter, image: Image.Image, device: str) -> dict[str, float]:
    """Seconds of every stage of one segmentation."""
    now = clock(device)
    started = now()
    with _first_call("UNet2DConditionModel", device) as calls:
        maps = segmenter.capture(image)
    captured = now()
    maps.aggregate()
    aggregated = now()
    segment_maps(maps, image, DEMO_SEGMENT)
    return {
        "scaling and encoding (VAE)": calls[0] - started,
        "the captured step (UNet)": captured - calls[0],
        "aggregation": aggregated - captured,
        "merging, suppression, small areas": now() - aggregated,
    }


@contextmanager
def _first_call(module: str, device: str) -> Iterator[list[float]]:
    """Within the context, when modules of that class begin their work."""
    calls: list[float] = []
    now = clock(device)

    def note(called: torch.nn.Module, arguments: Any) -> None:
        if type(called).__name__ == module:
            calls.append(now())

    handle = torch.nn.modules.module.register_module_forward_pre_hook(note)
    try:
        yield calls
    finally:
        handle.remove()
