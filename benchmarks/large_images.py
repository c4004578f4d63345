"""Large images: every step that works on pixels, beside the last release and at four times the pixels."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from .demo_model import PHOTOGRAPH
from .machine import ROOT
from .synthetic import Scene
from .timing import Spread, ratios
from .workers import LIBRARY, Compute, WaitingProcess, save_scene

LAST_RELEASE = "df06301"
"""The commit that large images are compared with; set anew with every release."""
SIZE, LARGER = (3000, 2000), (6000, 4000)  # width and height in pixels


@dataclass(frozen=True)
class LargeImageRow:
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


def measure(compute: Compute, pairs: int, image: Path = PHOTOGRAPH) -> tuple[LargeImageRow, ...]:
    """Run every step now, as the last release, and at four times the pixels, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = folder / "scene.npz"
        save_scene(Scene(), inputs)
        release = _last_release(folder / "release")
        with (
            _worker(inputs, image, SIZE, compute) as now,
            _worker(inputs, image, LARGER, compute) as large,
        ):
            if release is None:
                return tuple(_row(step, now, None, large, pairs) for step in now.greeting)
            of_release = _with_library(compute, release)
            with _worker(inputs, image, SIZE, compute, of_release) as before:
                return tuple(_row(step, now, before, large, pairs) for step in now.greeting)


def _with_library(compute: Compute, folder: Path) -> dict[str, str]:
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


def _worker(
    inputs: Path,
    image: Path,
    size: tuple[int, int],
    compute: Compute,
    environment: dict[str, str] | None = None,
) -> closing[WaitingProcess]:
    command = [sys.executable, "-m", "diffseg_benchmarks.large_image_worker", str(inputs), str(image)]
    command += [*map(str, size), "--device", compute.device]
    return closing(WaitingProcess(command, inputs.parent, environment or compute.environment))


def _row(
    step: str, now: WaitingProcess, before: WaitingProcess | None, large: WaitingProcess, pairs: int
) -> LargeImageRow:
    first = now.ask(step)  # loads libraries: left out of the times
    runs, of_release, enlarged = [], [], []
    for _ in range(pairs):
        if before is not None:
            of_release.append(before.ask(step))
        runs.append(now.ask(step))
        enlarged.append(large.ask(step))

    def seconds(some: list[dict[str, Any]]) -> list[float]:
        return [run["seconds"] for run in some]

    peaks = [run["peak"] for run in [first, *runs] if run["peak"] is not None]
    row = LargeImageRow(
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
