"""``diffseg compare``: differences and their intervals, against examples worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_datasets
import numpy as np
import pytest

from diffseg_cli.commands import main
from diffseg_core.errors import InvalidSettingError
from diffseg_eval.comparison import Difference, RunMethod, compare_methods, resolve_run_method, shared_images
from diffseg_eval.run import ImageRecord, RunFolder

DATASET = {"name": "folder", "resolution": None, "void": None, "class_names": []}


def run_method(path: Path, measured: list[dict[str, Any]]) -> RunMethod:
    """A run of one method, with these metrics for each image."""
    names = tuple(f"made_{index}" for index in range(len(measured)))
    for name, metrics in zip(names, measured, strict=True):
        RunFolder(path).write(ImageRecord(name, {"m": metrics}, {}))
    return RunMethod(RunFolder(path), "m", DATASET, names)


def segments(*coverings: float | None) -> list[dict[str, Any]]:
    return [
        {"segments": 2, "covered": covering or 0.0, "area": int(covering is not None), "best_iou": covering}
        for covering in coverings
    ]


def people(*areas: tuple[int, int]) -> list[dict[str, Any]]:
    return [
        {"segments": 2, "covered": covered, "area": area, "rand_index": 0.5, "variation_of_information": 1.0}
        for covered, area in areas
    ]


def differences(first: RunMethod, other: RunMethod) -> dict[str, Difference]:
    return {found.metric: found for found in compare_methods(first, other, first.images)}


def test_a_method_does_not_differ_from_itself(tmp_path: Path) -> None:
    same = run_method(tmp_path, segments(0.1, 0.7, 0.4))
    found = differences(same, same)["covering"]
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_a_difference_that_all_images_share_is_certain(tmp_path: Path) -> None:
    first = run_method(tmp_path / "first", segments(0.1, 0.7, 0.4))
    other = run_method(tmp_path / "other", segments(0.2, 0.8, 0.5))
    found = differences(first, other)["covering"]
    assert [found.difference, found.low, found.high] == pytest.approx([0.1] * 3)
    assert (found.first, found.other) == (pytest.approx(0.4), pytest.approx(0.5))


def test_interval_of_two_images_reaches_from_the_one_to_the_other(tmp_path: Path) -> None:
    first = run_method(tmp_path / "first", segments(0.5, 0.5))
    other = run_method(tmp_path / "other", segments(0.4, 0.8))
    found = differences(first, other)["covering"]
    # A quarter of the resampled sets holds the first image twice, a quarter the second.
    assert [found.difference, found.low, found.high] == pytest.approx([0.1, -0.1, 0.3])


def test_interval_of_a_mean_has_the_width_that_the_normal_distribution_gives(tmp_path: Path) -> None:
    gains = np.random.default_rng(5).normal(0.0, 0.1, 200)
    first = run_method(tmp_path / "first", segments(*[0.5] * 200))
    other = run_method(tmp_path / "other", segments(*(0.5 + gains).tolist()))
    found = differences(first, other)["covering"]
    deviation = gains.std() / 200**0.5
    assert found.low == pytest.approx(gains.mean() - 1.96 * deviation, abs=0.1 * deviation)
    assert found.high == pytest.approx(gains.mean() + 1.96 * deviation, abs=0.1 * deviation)


def test_figures_of_sums_are_made_of_the_sums_of_every_resampled_set(tmp_path: Path) -> None:
    first = run_method(tmp_path / "first", people((50, 100), (30, 300)))
    other = run_method(tmp_path / "other", people((60, 100), (30, 300)))
    found = differences(first, other)["covering"]
    assert found.first == pytest.approx(80 / 400)
    # The mean over the images would give 0.05. One set in four holds the first image twice.
    assert [found.difference, found.low, found.high] == pytest.approx([10 / 400, 0, 0.1])


def test_images_without_a_figure_are_no_loss(tmp_path: Path) -> None:
    first = run_method(tmp_path / "first", segments(0.5, None, 0.5))
    other = run_method(tmp_path / "other", segments(0.6, None, 0.6))
    found = differences(first, other)["covering"]
    assert [found.difference, found.low, found.high] == pytest.approx([0.1] * 3)


def test_times_are_not_compared(tmp_path: Path) -> None:
    record = {"segments": 1, "click_ious": [0.5] * 20, "seconds_per_prompt": 0.1}
    same = run_method(tmp_path, [record] * 2)
    assert "iou_after_1" in differences(same, same)
    assert "seconds_per_prompt" not in differences(same, same)


def test_other_resolutions_are_refused(tmp_path: Path) -> None:
    first = run_method(tmp_path / "first", segments(0.5))
    other = replace(first, dataset={**DATASET, "resolution": 64})
    with pytest.raises(InvalidSettingError, match=r"one dataset, .*folder \(0 classes, resolution 64\)"):
        shared_images([first, other])


def test_other_images_are_refused_and_shared_ones_are_found(tmp_path: Path) -> None:
    first = run_method(tmp_path / "first", segments(0.5, 0.5, 0.5))
    assert shared_images([first, run_method(tmp_path / "b", segments(0.1, 0.2))]) == [
        "made_0",
        "made_1",
    ]
    other = RunMethod(RunFolder(tmp_path), "m", DATASET, ("else",))
    with pytest.raises(InvalidSettingError, match="all runs have measured, got none"):
        shared_images([first, other])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two datasets, made by the command itself."""
    root = tmp_path_factory.mktemp("runs")
    for dataset, methods in (("folder", "one-segment,grid:2,4"), ("bsds500", "grid:2")):
        made_datasets.MAKERS[dataset](root / f"data-{dataset}")
        data, out = root / f"data-{dataset}", root / dataset
        assert main(["evaluate", dataset, "--root", str(data), "--out", str(out), "--methods", methods]) == 0
    return root


def test_methods_of_one_run_are_compared(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", f"{runs}/folder", f"{runs}/folder:grid:2"]) == 0
    results = json.loads((runs / "folder/results.json").read_text())
    first, other, *_ = (row["metrics"]["accuracy"] for row in results["rows"])
    printed = capsys.readouterr().out
    assert f"{runs}/folder:grid:2 against {runs}/folder:one-segment, 3 images" in printed
    assert f"| ACC | {first:.3f} | {other:.3f} | {other - first:+.3f} |" in printed


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["folder", "bsds500"], "one dataset, got folder (3 classes)"),
        (["folder"], "two runs or more"),
        (["folder", "folder:slic:8"], "one-segment, grid:2, grid:4"),
        (["folder", "nowhere"], "results.json"),
        (["folder", "data-folder"], "results.json"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    named: list[str], message: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *(f"{runs}/{name}" for name in named)]) == 2
    assert message in capsys.readouterr().err


def test_a_run_that_is_not_finished_is_refused(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InvalidSettingError, match="when it is finished"):
        resolve_run_method(str(tmp_path))
