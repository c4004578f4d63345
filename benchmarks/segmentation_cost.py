"""What aggregation and segmentation cost, alone and beside the reference implementation.

DIFFSEG_REFERENCE names a folder with https://github.com/google/diffseg, DIFFSEG_REFERENCE_PYTHON an interpreter
that has TensorFlow and scikit-learn (this one if unset).
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

    def __init__(self, python: str, inputs: Path, labels: Path, *folder: str) -> None:
        self._labels = labels
        self._process = subprocess.Popen(
            [python, "-m", "diffseg_benchmarks.segmentation_worker", str(inputs), str(labels), *folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=inputs.parent,
            env={**os.environ, "PYTHONPATH": str(LIBRARY), "TF_CPP_MIN_LOG_LEVEL": "3"},
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


@contextmanager
def _worker(python: str, folder: Path, name: str, *reference: str) -> Iterator[Worker]:
    worker = Worker(python, folder / "inputs.npz", folder / f"{name}.npy", *reference)
    try:
        yield worker
    finally:
        worker.close()


def report() -> Iterator[str]:
    """Measure and yield one line after the other."""
    reference = os.environ.get("DIFFSEG_REFERENCE")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "inputs.npz", **{str(side): map_ for side, map_ in scene_attention().items()})
        yield "Segmentation: 64×64 grid, 16×16 anchors, 3 passes, 512×512 labels, float32, CPU"
        with _worker(sys.executable, folder, "ours") as ours:
            ours.run()  # the first run of a process also loads libraries
            if reference is None:
                yield from _our_lines([ours.run() for _ in range(PAIRS)], ours)
                yield "  reference implementation: left out (set DIFFSEG_REFERENCE to a checkout of google/diffseg)"
                return
            python = os.environ.get("DIFFSEG_REFERENCE_PYTHON", sys.executable)
            with _worker(python, folder, "reference", str(Path(reference).resolve())) as theirs:
                theirs.run()
                pairs = [(ours.run(), theirs.run()) for _ in range(PAIRS)]
                yield from _our_lines([run for run, _ in pairs], ours)
                yield from _reference_lines(pairs, ours, theirs)


def _our_lines(runs: Sequence[Run], ours: Worker) -> Iterator[str]:
    yield f"  segments                        {ours.labels().max() + 1}"
    for step, title in {
        "aggregation": "checks and aggregation",
        "segmentation": "merging and suppression",
        "again": "again at another threshold",
    }.items():
        yield f"  {title:<31} {median(run.seconds[step] for run in runs):.3f} s"
    yield f"  peak memory above the inputs    {_megabytes(runs)}"


def _reference_lines(pairs: Sequence[tuple[Run, Run]], ours: Worker, theirs: Worker) -> Iterator[str]:
    references = [theirs for _, theirs in pairs]
    yield f"  reference, aggregation          {median(run.seconds['aggregation'] for run in references):.3f} s"
    yield f"  reference, merging and the rest {median(run.seconds['segmentation'] for run in references):.3f} s"
    yield f"  reference, peak memory          {_megabytes(references)}"
    ratios = [ours.total / theirs.total for ours, theirs in pairs]
    yield (
        f"  ours to the reference's time    1/{1 / median(ratios):.1f}"
        f" (median of {len(ratios)} pairs, from 1/{1 / min(ratios):.1f} to 1/{1 / max(ratios):.1f})"
    )
    overlap = contingency(theirs.labels(), ours.labels())
    agreeing = overlap[linear_sum_assignment(-overlap)].sum() / overlap.sum()
    yield f"  pixels in the same segment      {agreeing:.2%} (the reference's first pass is in float16)"


def _megabytes(runs: Sequence[Run]) -> str:
    peaks = [run.peak for run in runs if run.peak is not None]
    return f"{max(peaks) / 1e6:.0f} MB" if peaks else "not known (measured on Linux only)"
