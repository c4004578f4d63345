"""Runs one step on a large image whenever it is told to, in a process of its own.

``python -m diffseg_benchmarks.large_image_worker INPUTS.npz IMAGE WIDTH HEIGHT [--device D]``. Which
``diffseg_core`` runs is whichever comes first on PYTHONPATH: this one, or the last release's.

When everything is loaded, a line of JSON tells the steps. From then on the step that a line on standard input
names runs once; a line of JSON tells its seconds, its peak memory above the inputs, the number of segments,
and the longest time between two questions whether to stop (None where a release does not ask).
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from .segmentation_worker import CudaMemory, PeakMemory, ResidentMemory
from .timing import clock

FEW, MANY = 2.2, 0.14  # merge thresholds at which the scene falls into some eight and eighty segments
GRAIN = 0.01  # standard deviation of what is added to an enlarged image: a camera's has some


def steps(inputs: Path, image: Path, width: int, height: int, device: str) -> dict[str, Callable[..., Any]]:
    """What can be run, by its name."""
    import diffseg_core

    with np.load(inputs) as file:
        sizes = {name: tuple(map(int, name.split("x"))) for name in file.files}
        tensors = {sizes[name]: torch.from_numpy(file[name])[None].to(device) for name in file.files}
    maps = diffseg_core.AttentionMaps(tensors)  # type: ignore[arg-type]
    maps.aggregate()
    with Image.open(image) as opened:
        enlarged = np.asarray(opened.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
    grain = np.random.default_rng(0).normal(0, GRAIN, enlarged.shape).astype(np.float32)
    images = torch.from_numpy(np.clip(enlarged / np.float32(255) + grain, 0, 1))[None]
    few = diffseg_core.segment(maps, (height, width), FEW)
    return {
        "hierarchy": lambda: diffseg_core.segment_hierarchy(maps, images),
        "refine": lambda: _refine_edges(diffseg_core)(few, images),
        "soft masks": lambda: diffseg_core.soft_masks(few, images),
        "segment": lambda: diffseg_core.segment(maps, (height, width), FEW),
        "segment, many": lambda: diffseg_core.segment(maps, (height, width), MANY),
    }


def _refine_edges(core: Any) -> Callable[..., Any]:
    """The function under the name that this release or an earlier one gives it."""
    found: Callable[..., Any] = getattr(core, "refine_edges", None) or core.refine
    return found


class Asked:
    """The longest time between two calls."""

    def __init__(self) -> None:
        self.longest, self._last = 0.0, time.perf_counter()

    def __call__(self) -> None:
        """Asked now."""
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now


def measured(
    step: Callable[..., Any], memory: PeakMemory, now: Callable[[], float], asks: bool
) -> dict[str, Any]:
    """Run a step once; ``asks`` is whether the release has the question."""
    import diffseg_core

    memory.reset()
    asked = Asked()
    started = now()
    with diffseg_core.callbacks(asked) if asks else nullcontext():
        result = step()
    seconds = now() - started
    asked()
    return {
        "seconds": seconds,
        "peak": memory.above_reset(),
        "segments": len(result) if isinstance(result, torch.Tensor) else result.counts[0],
        "longest": asked.longest if asks else None,
    }


def main() -> None:
    """Serve runs until standard input ends."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]))
    parser.add_argument("inputs", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("width", type=int)
    parser.add_argument("height", type=int)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    choice = steps(arguments.inputs, arguments.image, arguments.width, arguments.height, arguments.device)
    import diffseg_core

    asks = hasattr(diffseg_core, "callbacks")
    memory = ResidentMemory() if arguments.device == "cpu" else CudaMemory(arguments.device)
    print(json.dumps(list(choice)), flush=True)
    for line in sys.stdin:
        print(json.dumps(measured(choice[line.strip()], memory, clock(arguments.device), asks)), flush=True)


if __name__ == "__main__":
    main()
