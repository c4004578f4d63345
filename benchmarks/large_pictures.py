"""Large pictures: every step that works on pixels, beside the last release and at four times the pixels."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from .demo_model import PHOTOGRAPH
from .machine import ROOT
from .synthetic import Scene
from .timing import Spread, ratios
from .workers import LIBRARY, Compute, save_scene

LAST_RELEASE = "df06301"
"""The commit that large pictures are compared with; set anew with every release."""
SIZE, LARGER = (3000, 2000), (6000, 4000)  # width and height in pixels


@dataclass(frozen=True)
class LargePictureRow:
    """What one step takes.

    Attributes:
        name: of the step.
        segments: how many there are.
        time: ratios of its time to that of the last release; None where that is not at hand.
        seconds, before: medians, now and of the last release, at 3000×2000.
        growth: median ratio of the time at 6000×4000 to that at 3000×2000.
        peak: bytes above the inputs at 3000×2000; None where not known.
        longest: the longest time, in seconds, in which an interrupt is not noticed, at 6000×4000.
    """

    name: str
    segments: int
    time: Spread | None
    seconds: float
    before: float | None
    growth: float
    peak: int | None
    longest: float


def measure(compute: Compute, pairs: int, picture: Path = PHOTOGRAPH) -> tuple[LargePictureRow, ...]:
    """Run every step now, as the last release, and at four times the pixels, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = folder / "scene.npz"
        save_scene(Scene(), inputs)
        release = _last_release(folder / "release")
        with (
            _worker(inputs, picture, SIZE, compute) as now,
            _worker(inputs, picture, LARGER, compute) as large,
        ):
            if release is None:
                return tuple(_row(step, now, None, large, pairs) for step in now.steps)
            of_release = replace_library(compute, release)
            with _worker(inputs, picture, SIZE, compute, of_release) as before:
                return tuple(_row(step, now, before, large, pairs) for step in now.steps)


def replace_library(compute: Compute, folder: Path) -> dict[str, str]:
    """The environment of a process that has another ``diffseg_core`` and these benchmarks."""
    return {**compute.environment, "PYTHONPATH": os.pathsep.join((str(folder), str(LIBRARY)))}


def _last_release(folder: Path) -> Path | None:
    """Its ``diffseg_core``, from this clone's history; None where that does not go back so far."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", LAST_RELEASE, "diffseg_core"], capture_output=True, check=False
    )
    if archive.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as members:
        members.extractall(folder, filter="data")
    return folder


class _Worker:
    """A process that waits with its inputs loaded."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(command[3]).parent,  # python -m looks for packages there first
            env=environment,
        )
        self.steps: list[str] = self._answer()

    def run(self, step: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: what the answer says
            self._process.stdin.write(f"{step}\n")
            self._process.stdin.flush()
        answer: dict[str, Any] = self._answer()
        return answer

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The worker ended with exit status {self._process.wait()}; see above.")
        return json.loads(line)


@contextmanager
def _worker(
    inputs: Path,
    picture: Path,
    size: tuple[int, int],
    compute: Compute,
    environment: dict[str, str] | None = None,
) -> Iterator[_Worker]:
    command = [sys.executable, "-m", "diffseg_benchmarks.large_picture_worker", str(inputs), str(picture)]
    command += [*map(str, size), "--device", compute.device]
    started = _Worker(command, environment or compute.environment)
    try:
        yield started
    finally:
        started.close()


def _row(step: str, now: _Worker, before: _Worker | None, large: _Worker, pairs: int) -> LargePictureRow:
    first = now.run(step)  # loads libraries: left out of the times
    runs, of_release, enlarged = [], [], []
    for _ in range(pairs):
        if before is not None:
            of_release.append(before.run(step))
        runs.append(now.run(step))
        enlarged.append(large.run(step))

    def seconds(some: list[dict[str, Any]]) -> list[float]:
        return [run["seconds"] for run in some]

    peaks = [run["peak"] for run in [first, *runs] if run["peak"] is not None]
    row = LargePictureRow(
        name=step,
        segments=first["segments"],
        time=None,
        seconds=median(seconds(runs)),
        before=None,
        growth=ratios(seconds(enlarged), seconds(runs)).median,
        peak=max(peaks, default=None),
        longest=max(run["longest"] for run in enlarged),
    )
    if not of_release:
        return row
    return replace(row, time=ratios(seconds(runs), seconds(of_release)), before=median(seconds(of_release)))
