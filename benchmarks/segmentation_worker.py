"""Runs one implementation of the segmentation whenever it is told to, in a process of its own.

``python -m diffseg_benchmarks.segmentation_worker INPUTS.npz LABELS.npy SETTINGS [--device D] [--reference
FOLDER]``. It is ``diffseg_core`` that runs or, with a FOLDER, the reference implementation
(https://github.com/google/diffseg) that lies there and needs TensorFlow and scikit-learn, and no torch.

When everything is loaded, a line of JSON tells the library. From then on the segmentation runs once for
every line on standard input; its label map is stored in LABELS.npy, and a line of JSON tells the seconds of
each step, the processor's seconds up to the labels, and the peak memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .timing import clock

Inputs = dict[tuple[int, int], npt.NDArray[np.floating]]
Segmentation = Callable[[], tuple[npt.NDArray[Any], dict[str, float]]]
"""Gives the label map, and seconds by step; "processor" is over all threads."""


@dataclass(frozen=True)
class WorkerSettings:
    """What the segmentation is asked for.

    Attributes:
        anchors: per side of the grid.
        threshold: merge threshold of every pass, in nats.
        other_threshold: at which our implementation segments the same maps again.
        passes: of merging.
        height, width: of the label map, in pixels.
    """

    anchors: int = 16
    threshold: float = 1.0
    other_threshold: float = 0.8
    passes: int = 3
    height: int = 512
    width: int = 512


def our_segmentation(inputs: Inputs, settings: WorkerSettings, device: str) -> Segmentation:
    """The core of this repository: checks, aggregation, merging and suppression, then merging once more."""
    import torch

    from diffseg_core import AttentionMaps, segment

    tensors = {grid: torch.from_numpy(map_)[None].to(device) for grid, map_ in inputs.items()}
    size = (settings.height, settings.width)
    now = clock(device)

    def segmented(maps: AttentionMaps, threshold: float) -> torch.Tensor:
        return segment(maps, size, threshold, settings.passes, settings.anchors).labels[0]

    def run() -> tuple[npt.NDArray[Any], dict[str, float]]:
        started, processor = now(), time.process_time()
        maps = AttentionMaps(tensors)
        maps.aggregate()
        aggregated = now()
        labels = segmented(maps, settings.threshold).cpu().numpy()
        done, processor = now(), time.process_time() - processor
        segmented(maps, settings.other_threshold)
        return labels, {
            "aggregation": aggregated - started,
            "segmentation": done - aggregated,
            "again": now() - done,
            "processor": processor,
        }

    return run


def reference_segmentation(inputs: Inputs, settings: WorkerSettings, folder: Path) -> Segmentation:
    """The reference implementation, called as its own notebook calls it. Its label map is always 512×512."""
    sys.path.insert(0, str(folder))
    from diffseg.segmentor import DiffSeg  # type: ignore[import-not-found]

    method = DiffSeg([settings.threshold] * settings.passes, False, settings.anchors)
    maps = [map_[None] for map_ in inputs.values()]

    def run() -> tuple[npt.NDArray[Any], dict[str, float]]:
        started, processor = time.perf_counter(), time.process_time()
        aggregate = method.aggregate_weights(maps)
        aggregated = time.perf_counter()
        labels = method.generate_masks(aggregate, method.kl_threshold, method.grid)
        return labels, {
            "aggregation": aggregated - started,
            "segmentation": time.perf_counter() - aggregated,
            "processor": time.process_time() - processor,
        }

    return run


class PeakMemory(Protocol):
    """Highest use of memory since the last reset, above that at the reset."""

    def reset(self) -> None:
        """Count from what is in use now."""

    def above_reset(self) -> int | None:
        """In bytes; None where it cannot be known."""


class ResidentMemory:
    """Resident memory of this process. Linux only."""

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


class CudaMemory:
    """Memory that PyTorch has allocated on one CUDA device."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._before = 0

    def reset(self) -> None:
        """Count from the memory that is allocated now."""
        import torch

        torch.cuda.reset_peak_memory_stats(self._device)
        self._before = torch.cuda.memory_allocated(self._device)

    def above_reset(self) -> int | None:
        """Bytes that were allocated at the peak, above those at the reset."""
        import torch

        return int(torch.cuda.max_memory_allocated(self._device)) - self._before


def _library(name: str) -> str:
    """A library that is loaded, with its version."""
    return f"{name} {sys.modules[name].__version__}"


def main() -> None:
    """Serve runs until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("inputs", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("settings", type=json.loads)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--reference", type=Path)
    arguments = parser.parse_args()
    with np.load(arguments.inputs) as file:
        inputs: Inputs = {_grid(name): file[name] for name in file.files}
    settings = WorkerSettings(**arguments.settings)
    memory: PeakMemory = ResidentMemory()
    if arguments.reference is not None:
        run = reference_segmentation(inputs, settings, arguments.reference)
        library = _library("tensorflow")
    else:
        run = our_segmentation(inputs, settings, arguments.device)
        library = _library("torch")
        if arguments.device != "cpu":
            memory = CudaMemory(arguments.device)
    print(json.dumps(library), flush=True)
    for _ in sys.stdin:
        memory.reset()
        labels, seconds = run()
        peak = memory.above_reset()
        np.save(arguments.labels, labels)
        print(json.dumps({"seconds": seconds, "peak": peak}), flush=True)


def _grid(name: str) -> tuple[int, int]:
    height, width = map(int, name.split("x"))
    return height, width


if __name__ == "__main__":
    main()
