"""Runs one implementation of the segmentation whenever it is told to, in a process of its own.

``python -m diffseg_benchmarks.segmentation_worker INPUTS.npz LABELS.npy [FOLDER]``. Without FOLDER it is
``diffseg_core`` that runs; with it the reference implementation, https://github.com/google/diffseg, that lies
there and needs TensorFlow and scikit-learn (and no torch). For every line on standard input the segmentation
runs once, its label map is stored in LABELS.npy, and one line of JSON tells the seconds of each step, the
processor's seconds up to the labels, and the peak memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

THRESHOLDS = (1.0, 1.0, 1.0)
OTHER_THRESHOLDS = (0.8, 0.8, 0.8)
ANCHORS = 16
IMAGE_SIDE = 512

Inputs = dict[int, npt.NDArray[np.float32]]
Segmentation = Callable[[Inputs], tuple[npt.NDArray[Any], dict[str, float]]]
"""From the inputs to the label map, and seconds by step; "processor" is over all threads."""


def our_segmentation() -> Segmentation:
    """The core of this repository: checks, aggregation, merging and suppression, then merging once more."""
    import torch

    from diffseg_core import AttentionMaps, segment

    def run(inputs: Inputs) -> tuple[npt.NDArray[Any], dict[str, float]]:
        size = (IMAGE_SIDE, IMAGE_SIDE)
        started, processor = time.perf_counter(), time.process_time()
        maps = AttentionMaps({(side, side): torch.from_numpy(map_)[None] for side, map_ in inputs.items()})
        maps.aggregate()
        aggregated = time.perf_counter()
        labels = segment(maps, size, THRESHOLDS, anchors=ANCHORS).labels[0].numpy()
        segmented, processor = time.perf_counter(), time.process_time() - processor
        segment(maps, size, OTHER_THRESHOLDS, anchors=ANCHORS)
        return labels, {
            "aggregation": aggregated - started,
            "segmentation": segmented - aggregated,
            "again": time.perf_counter() - segmented,
            "processor": processor,
        }

    return run


def reference_segmentation(folder: Path) -> Segmentation:
    """The reference implementation, called as its own notebook calls it."""
    sys.path.insert(0, str(folder))
    from diffseg.segmentor import DiffSeg  # type: ignore[import-not-found]

    method = DiffSeg(list(THRESHOLDS), False, ANCHORS)

    def run(inputs: Inputs) -> tuple[npt.NDArray[Any], dict[str, float]]:
        started, processor = time.perf_counter(), time.process_time()
        aggregate = method.aggregate_weights([map_[None] for map_ in inputs.values()])
        aggregated = time.perf_counter()
        labels = method.generate_masks(aggregate, method.kl_threshold, method.grid)
        return labels, {
            "aggregation": aggregated - started,
            "segmentation": time.perf_counter() - aggregated,
            "processor": time.process_time() - processor,
        }

    return run


class PeakMemory:
    """Highest resident memory of this process since the last reset, in bytes. Linux only; else None."""

    def __init__(self) -> None:
        self._before: int | None = None

    def reset(self) -> None:
        """Count from the memory that is resident now."""
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            self._before = None
        else:
            self._before = self._resident("VmRSS")

    def above_reset(self) -> int | None:
        """Bytes that were resident at the peak, above those at the reset."""
        return None if self._before is None else self._resident("VmHWM") - self._before

    @staticmethod
    def _resident(field: str) -> int:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"Expected {field} in /proc/self/status, found none.")


def main(arguments: list[str]) -> None:
    """Serve runs until standard input ends."""
    with np.load(arguments[0]) as file:
        inputs = {int(side): file[side] for side in file.files}
    run = reference_segmentation(Path(arguments[2])) if len(arguments) > 2 else our_segmentation()
    memory = PeakMemory()
    for _ in sys.stdin:
        memory.reset()
        labels, seconds = run(inputs)
        peak = memory.above_reset()
        np.save(arguments[1], labels)
        print(json.dumps({"seconds": seconds, "peak": peak}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
