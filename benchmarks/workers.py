"""Segmentations in processes of their own, so that two can be timed in turn and each one's memory be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .segmentation_worker import WorkerSettings
from .synthetic import Scene, scene_attention

LIBRARY = Path(__file__).resolve().parent.parent / ".cache" / "lib"


@dataclass(frozen=True)
class Compute:
    """What the segmentations may use.

    Attributes:
        threads: of each process.
        device: "cpu", or "cuda" and perhaps its number.
    """

    threads: int
    device: str = "cpu"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a process that may use as much, TensorFlow's like torch's."""
        threads = str(self.threads)
        return {
            **os.environ,
            "PYTHONPATH": str(LIBRARY),
            "OMP_NUM_THREADS": threads,
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }


@dataclass(frozen=True)
class Reference:
    """The reference implementation.

    Attributes:
        folder: with https://github.com/google/diffseg.
        python: an interpreter that has TensorFlow and scikit-learn.
    """

    folder: Path
    python: str


@dataclass(frozen=True)
class Run:
    """One segmentation: seconds of each step, and bytes at the peak above the inputs (None: not known)."""

    seconds: dict[str, float]
    peak: int | None

    @property
    def total(self) -> float:
        """Seconds from attention maps to labels."""
        return self.seconds["aggregation"] + self.seconds["segmentation"]


def highest_peak(runs: Sequence[Run]) -> int | None:
    """The most memory that any of them took, in bytes above the inputs; None where it is not known."""
    return max((run.peak for run in runs if run.peak is not None), default=None)


class WaitingProcess:
    """A process that has loaded what it needs, and answers every line with one of JSON.

    Args:
        command: that starts it.
        folder: in which; not one with packages, for ``python -m`` looks for them there first.
        environment: of the process.

    Attributes:
        greeting: what it says once it is ready.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
        )
        try:
            self.greeting = self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, line: str) -> Any:
        """Let it do what a line says."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: what the answer says
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"The worker ended with exit status {self._process.wait()}; see its message above."
            )
        return json.loads(line)


class Worker(WaitingProcess):
    """An implementation of the segmentation, with its inputs loaded."""

    def __init__(self, command: Sequence[str], labels: Path, compute: Compute) -> None:
        super().__init__(command, labels.parent, compute.environment)
        self._labels = labels

    @property
    def library(self) -> str:
        """What it runs on, with the version."""
        return str(self.greeting)

    def run(self) -> Run:
        """Let it segment once."""
        return Run(**self.ask("run"))

    def labels(self) -> npt.NDArray[np.integer]:
        """The label map of the last run."""
        result: npt.NDArray[np.integer] = np.load(self._labels)
        return result


def save_scene(scene: Scene, path: Path) -> int:
    """Write a scene's attention as a worker's inputs; returns its bytes."""
    maps: dict[str, Any] = {f"{h}x{w}": map_ for (h, w), map_ in scene_attention(scene).items()}
    np.savez(path, **maps)
    return sum(map_.nbytes for map_ in maps.values())


@contextmanager
def worker(
    inputs: Path, settings: WorkerSettings, compute: Compute, reference: Reference | None = None
) -> Iterator[Worker]:
    """Start a worker; it ends with the context.

    Args:
        inputs: as `save_scene` writes them; beside them the worker keeps its label map.
        settings: of the segmentation.
        compute: what the worker may use. The reference implementation runs on the CPU.
        reference: runs this one instead of ours.
    """
    labels = inputs.with_name(f"{inputs.stem}_{'ours' if reference is None else 'reference'}.npy")
    python = sys.executable if reference is None else reference.python
    command = [python, "-m", "diffseg_benchmarks.segmentation_worker", str(inputs), str(labels)]
    command.append(json.dumps(asdict(settings)))
    if reference is None:
        command += ["--device", compute.device]
    else:
        command += ["--reference", str(reference.folder)]
    with closing(Worker(command, labels, compute)) as started:
        yield started
