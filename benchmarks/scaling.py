"""How time and memory of the segmentation grow: with the grid, the anchors, the segments and the image."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

from .segmentation_worker import WorkerSettings
from .synthetic import Scene
from .timing import Spread, ratios
from .workers import Compute, Worker, highest_peak, save_scene, worker

SCENE, SETTINGS = Scene(), WorkerSettings()


@dataclass(frozen=True)
class Case:
    """One size of the problem.

    Attributes:
        series: what grows: "grid", "anchors", "segments" or "image".
        name: in the table.
        scene: whose attention is segmented.
        settings: how.
    """

    series: str
    name: str
    scene: Scene = SCENE
    settings: WorkerSettings = SETTINGS


BASE = Case("base", "64×64 grid, 16×16 anchors, 512×512 labels")
"""That which all others are compared with."""

CASES = (
    BASE,
    *(Case("grid", f"{side}×{side}", Scene(side, side)) for side in (32, 48, 96, 128, 256)),
    *(Case("anchors", f"{count}×{count}", settings=WorkerSettings(count)) for count in (8, 32)),
    Case("segments", "10 regions", Scene(regions=10)),
    Case("segments", "400 regions, threshold 0.3", Scene(regions=400), WorkerSettings(threshold=0.3)),
    Case("segments", "400 regions, threshold 0.1", Scene(regions=400), WorkerSettings(threshold=0.1)),
    *(
        Case("image", f"{side}×{side}", settings=WorkerSettings(height=side, width=side))
        for side in (1024, 1536, 2048)
    ),
    Case("image", "1920×1080, 88×48 grid", Scene(48, 88), WorkerSettings(height=1080, width=1920)),
)
QUICK = tuple(case for case in CASES if case.name in (BASE.name, "32×32", "96×96", "8×8", "2048×2048"))


@dataclass(frozen=True)
class ScalingRow:
    """What one case takes.

    Attributes:
        series, name: of the case.
        time: ratios of its time, from maps to labels, to that of the base.
        seconds: of which the ratios are: median, from maps to labels.
        aggregation: of these, for checks and aggregation.
        again: median seconds of segmenting the same maps at another threshold.
        peak: bytes above the maps, the highest of all runs; None where not known.
        maps: bytes of the attention maps.
        segments: how many are found.
    """

    series: str
    name: str
    time: Spread
    seconds: float
    aggregation: float
    again: float
    peak: int | None
    maps: int
    segments: int


def measure(
    cases: Sequence[Case], compute: Compute, pairs: int, base_case: Case = BASE
) -> Iterator[ScalingRow]:
    """Run every case in turn with the base, each in a process of its own; yields as they are known."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base_inputs = folder / "base.npz"
        save_scene(base_case.scene, base_inputs)
        with worker(base_inputs, base_case.settings, compute) as base:
            base.run()  # loads libraries
            for scene, of_scene in groupby(cases, key=lambda case: case.scene):
                inputs = folder / "case.npz"
                maps = save_scene(scene, inputs)
                for case in of_scene:
                    with worker(inputs, case.settings, compute) as other:
                        yield _row(case, base, other, maps, pairs)
                inputs.unlink()  # the largest takes more than a gigabyte


def _row(case: Case, base: Worker, other: Worker, maps: int, pairs: int) -> ScalingRow:
    first = other.run()  # loads libraries: left out of the times
    base_runs, runs = zip(*((base.run(), other.run()) for _ in range(pairs)), strict=True)

    def seconds(step: str) -> float:
        return median(run.seconds[step] for run in runs)

    return ScalingRow(
        series=case.series,
        name=case.name,
        time=ratios([run.total for run in runs], [run.total for run in base_runs]),
        seconds=median(run.total for run in runs),
        aggregation=seconds("aggregation"),
        again=seconds("again"),
        peak=highest_peak([first, *runs]),
        maps=maps,
        segments=int(other.labels().max()) + 1,
    )
