"""What aggregation and segmentation cost, alone and beside the reference implementation.

The environment variable DIFFSEG_REFERENCE names a folder with https://github.com/google/diffseg, and
DIFFSEG_REFERENCE_PYTHON an interpreter that has TensorFlow and scikit-learn (this one if unset).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from .metrics import contingency
from .synthetic import scene_attention

LIBRARY = Path(__file__).resolve().parent.parent / ".cache" / "lib"
PAIRS = 5


@dataclass(frozen=True)
class Run:
    """One segmentation: seconds of each step, and bytes at the peak above the inputs (None: not known)."""

    seconds: dict[str, float]
    peak: int | None

    @property
    def total(self) -> float:
        """Seconds from attention maps to labels."""
        return self.seconds["aggregation"] + self.seconds["segmentation"]


class Worker:
    """An implementation that waits in a process of its own, with its inputs loaded."""

    def __init__(self, python: str, inputs: Path, labels: Path, threads: int, *folder: str) -> None:
        self._labels = labels
        self._process = subprocess.Popen(
            [python, "-m", "diffseg_benchmarks.segmentation_worker", str(inputs), str(labels), *folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=inputs.parent,
            env={**os.environ, **_environment(threads)},
        )

    def run(self) -> Run:
        """Let it segment once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            line = ""
        else:
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"The worker ended with exit status {self._process.wait()}; see its message above."
            )
        return Run(**json.loads(line))

    def labels(self) -> npt.NDArray[np.integer]:
        """The label map of the last run."""
        result: npt.NDArray[np.integer] = np.load(self._labels)
        return result

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _environment(threads: int) -> dict[str, str]:
    """Where to find the worker, and as many threads for TensorFlow as for torch."""
    return {
        "PYTHONPATH": str(LIBRARY),
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@contextmanager
def _worker(python: str, folder: Path, name: str, threads: int, *reference: str) -> Iterator[Worker]:
    worker = Worker(python, folder / "inputs.npz", folder / f"{name}.npy", threads, *reference)
    try:
        yield worker
    finally:
        worker.close()


def report(threads: int) -> Iterator[str]:
    """Measure and yield one line after the other.

    Args:
        threads: of each implementation.
    """
    reference = os.environ.get("DIFFSEG_REFERENCE")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs: dict[str, Any] = {str(side): map_ for side, map_ in scene_attention().items()}
        np.savez(folder / "inputs.npz", **inputs)
        yield (
            "Segmentation: 64×64 grid, 16×16 anchors, 3 passes, 512×512 labels, float32, "
            f"{threads} thread(s), medians of {PAIRS}"
        )
        with _worker(sys.executable, folder, "ours", threads) as ours:
            first = ours.run()  # also loads libraries: left out of the times
            if reference is None:
                yield from _our_lines(first, [ours.run() for _ in range(PAIRS)], ours)
                yield "  reference implementation        left out (DIFFSEG_REFERENCE names no google/diffseg)"
                return
            python = os.environ.get("DIFFSEG_REFERENCE_PYTHON", sys.executable)
            with _worker(python, folder, "reference", threads, str(Path(reference).resolve())) as theirs:
                their_first = theirs.run()
                pairs = [(ours.run(), theirs.run()) for _ in range(PAIRS)]
                yield from _our_lines(first, [run for run, _ in pairs], ours)
                yield from _reference_lines(their_first, [run for _, run in pairs])
                yield from _comparison_lines(pairs, ours, theirs)


def _our_lines(first: Run, runs: Sequence[Run], ours: Worker) -> Iterator[str]:
    yield f"  segments                        {ours.labels().max() + 1}"
    yield f"  checks and aggregation          {_seconds(runs, 'aggregation')}"
    yield f"  merging and suppression         {_seconds(runs, 'segmentation')}"
    yield f"  again at another threshold      {_seconds(runs, 'again')}"
    yield f"  peak memory above the inputs    {_megabytes([first, *runs])}"


def _reference_lines(first: Run, runs: Sequence[Run]) -> Iterator[str]:
    yield f"  reference: aggregation          {_seconds(runs, 'aggregation')}"
    yield f"  reference: merging and the rest {_seconds(runs, 'segmentation')}"
    yield f"  reference: peak memory          {_megabytes([first, *runs])}"


def _comparison_lines(pairs: Sequence[tuple[Run, Run]], ours: Worker, theirs: Worker) -> Iterator[str]:
    wall = [their.total / our.total for our, their in pairs]
    processor = [their.seconds["processor"] / our.seconds["processor"] for our, their in pairs]
    yield f"  reference to ours, time         {_ratios(wall)}"
    yield f"  reference to ours, processor    {_ratios(processor)}"
    overlap = contingency(theirs.labels(), ours.labels())
    agreeing = overlap[linear_sum_assignment(-overlap)].sum() / overlap.sum()
    yield f"  pixels in the same segment      {agreeing:.2%} (the reference's first pass is in float16)"


def _seconds(runs: Sequence[Run], step: str) -> str:
    return f"{median(run.seconds[step] for run in runs):.3f} s"


def _ratios(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.1f} (from {min(ratios):.1f} to {max(ratios):.1f})"


def _megabytes(runs: Sequence[Run]) -> str:
    peaks = [run.peak for run in runs if run.peak is not None]
    return f"{max(peaks) / 1e6:.0f} MB" if peaks else "not known (measured on Linux only)"
