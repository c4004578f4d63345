"""A small segmentation measured for real, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffseg_benchmarks.scaling import Case, measure
from diffseg_benchmarks.segmentation_worker import WorkerSettings
from diffseg_benchmarks.synthetic import Scene, scene_attention
from diffseg_benchmarks.workers import Compute, Reference, Run, highest_peak, save_scene, worker

from diffseg_core import AttentionMaps, segment

SCENE = Scene(8, 16, regions=4)
SETTINGS = WorkerSettings(anchors=4, height=20, width=40)


def test_a_worker_measures_the_segmentation_that_it_is_asked_for(tmp_path: Path) -> None:
    assert save_scene(SCENE, tmp_path / "scene.npz") == 4 * (128**2 + 32**2 + 8**2 + 2**2)
    with worker(tmp_path / "scene.npz", SETTINGS, Compute(threads=1)) as ours:
        runs = [ours.run(), ours.run()]
        labels = ours.labels()
    assert ours.library == f"torch {torch.__version__}"
    maps = AttentionMaps(
        {grid: torch.from_numpy(map_)[None] for grid, map_ in scene_attention(SCENE).items()}
    )
    assert np.array_equal(labels, segment(maps, (20, 40), 1.0, anchors=4).labels[0])
    for run in runs:
        assert run.seconds.keys() == {"aggregation", "segmentation", "again", "processor"}
        assert min(run.seconds.values()) > 0
        assert run.total == run.seconds["aggregation"] + run.seconds["segmentation"]
    peak = highest_peak(runs)
    assert (peak is not None) == (sys.platform == "linux")


def test_a_worker_that_cannot_start_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_scene(SCENE, tmp_path / "scene.npz")
    nothing = Reference(tmp_path, sys.executable)
    with (
        pytest.raises(RuntimeError, match="exit status 1"),
        worker(tmp_path / "scene.npz", SETTINGS, Compute(threads=1), nothing),
    ):
        pass
    assert "No module named 'diffseg'" in capfd.readouterr().err


def test_every_case_is_compared_with_the_base() -> None:
    base = Case("base", "8×16 grid", SCENE, SETTINGS)
    larger = Case("image", "80×160", SCENE, WorkerSettings(anchors=4, height=80, width=160))
    rows = list(measure([base, larger], Compute(threads=1), pairs=2, base_case=base))
    assert [(row.series, row.name) for row in rows] == [("base", "8×16 grid"), ("image", "80×160")]
    for row in rows:
        assert 0 < row.time.least <= row.time.median <= row.time.most
        assert row.time.count == 2
        assert 0 < row.aggregation < row.seconds
        assert row.maps == 4 * (128**2 + 32**2 + 8**2 + 2**2)
        assert 1 <= row.segments <= 16


def test_the_highest_peak_is_of_the_runs_of_which_it_is_known() -> None:
    def run(peak: int | None) -> Run:
        return Run({}, peak)

    assert highest_peak([run(5), run(None), run(9)]) == 9
    assert highest_peak([run(None)]) is None
    assert highest_peak([]) is None
