"""``diffseg evaluate`` from end to end, on datasets of three small images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import made_datasets
import pytest

from diffseg_cli.commands import main

PIXELS = "one-segment,slic:4,8"
MODEL = ["--working-size", "64", "--threads", "1"]


def evaluate(dataset: str, root: Path, out: Path, *options: str) -> int:
    return main(["evaluate", dataset, "--root", str(root), "--out", str(out), *options])


def results_of(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def figures_of(out: Path, method: str) -> dict[str, float]:
    (row,) = (row for row in results_of(out)["rows"] if row["method"] == method)
    return row["metrics"]


def csv_of(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "pictures.csv").read_text().splitlines()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made_datasets.make_folder(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("dataset", sorted(made_datasets.MAKERS.keys() - {"clicks", "boxes"}))
def test_every_data_set_is_measured_by_every_method(dataset: str, tmp_path: Path) -> None:
    names = made_datasets.MAKERS[dataset](tmp_path / "data")
    options = ["--methods", "all", "--limit", "1", "--anchors", "8"]
    size = [] if dataset in ("folder", "bsds500") else ["--resolution", "64"]
    assert evaluate(dataset, tmp_path / "data", tmp_path / "run", *options, *size, *MODEL) == 0
    results = results_of(tmp_path / "run")
    assert results["pictures"] == names[:1]
    methods = {row["method"] for row in results["rows"]}
    assert {"diffseg", "kmeans:6", "kmeans-oracle", "colour-kmeans:6", "felzenszwalb:200"} < methods
    assert results["settings"]["working_size"] == 64
    assert results["settings"]["segment"]["anchors"] == 8


def test_figures_of_one_segment_are_those_worked_by_hand(folder: Path, tmp_path: Path) -> None:
    options = ["--methods", "one-segment", "--void", "255", "--skip", "1"]
    assert evaluate("folder", folder, tmp_path / "run", *options) == 0
    # Two images of 36 rows without the band: 32 and 34 columns on the left, 28 and 26 on the right.
    # The one segment is matched to the left.
    assert figures_of(tmp_path / "run", "one-segment") == {
        "segments": 1,
        "accuracy": pytest.approx((32 + 34) / 120),
        "mean_iou": pytest.approx((32 + 34) / 120 / 2),
        "accuracy_whole_set": pytest.approx((32 + 34) / 120),
        "mean_iou_whole_set": pytest.approx((32 + 34) / 120 / 2),
        "covering": pytest.approx((32**2 + 28**2 + 34**2 + 26**2) / 60**2 / 2),
        "best_iou": pytest.approx(1 / 2),
    }
    first, second = csv_of(tmp_path / "run")
    assert (first["picture"], first["method"]) == ("made_1", "one-segment")
    assert float(first["accuracy"]) == pytest.approx(32 / 60)
    assert float(second["covering"]) == pytest.approx((34**2 + 26**2) / 60**2)


def test_table_has_a_row_for_each_setting(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("folder", folder, tmp_path / "run", "--methods", "one-segment,grid:2,4", "--void", "255")
    printed = capsys.readouterr().out
    assert printed.rstrip() == (tmp_path / "run/table.md").read_text().rstrip()
    cells = {
        line.split("|")[1].strip(): line.split("|")[2:-1] for line in printed.splitlines() if "|" in line
    }
    assert [name for name in cells if name.startswith("grid")] == ["grid:2", "grid:4"]
    header = [cell.strip() for cell in cells["method"]]
    accuracy = figures_of(tmp_path / "run", "grid:2")["accuracy"]
    assert cells["grid:2"][header.index("ACC")].strip() == f"{accuracy:.3f}"


def test_a_run_that_was_stopped_gives_the_same_as_one_that_was_not(folder: Path, tmp_path: Path) -> None:
    options = ["--methods", PIXELS]
    evaluate("folder", folder, tmp_path / "whole", *options)
    evaluate("folder", folder, tmp_path / "parts", *options, "--skip", "1", "--limit", "1")
    assert results_of(tmp_path / "parts")["pictures"] == ["made_1"]
    record = tmp_path / "parts/pictures/made_1.json"
    first_written = record.stat().st_mtime_ns
    (record.parent / ".made_2.json.0123456789abcdef.diffseg-tmp").touch()  # as a killed process leaves it
    assert evaluate("folder", folder, tmp_path / "parts", *options) == 0

    assert record.stat().st_mtime_ns == first_written
    assert sorted(path.name for path in record.parent.iterdir()) == [
        f"made_{index}.json" for index in range(3)
    ]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert (whole / "pictures.csv").read_bytes() == (parts / "pictures.csv").read_bytes()
    for key in ("settings", "pictures"):
        assert results_of(whole)[key] == results_of(parts)[key]


def test_other_settings_need_another_folder_or_overwrite(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("folder", folder, tmp_path / "run", "--methods", "grid:2")
    assert evaluate("folder", folder, tmp_path / "run", "--methods", "grid:3", "--void", "255") == 2
    message = capsys.readouterr().err
    assert "methods ['grid:2'] there, ['grid:3'] now" in message
    assert "void None there, 255 now" in message
    assert evaluate("folder", folder, tmp_path / "run", "--methods", "grid:3", "--overwrite") == 0
    assert {row["method"] for row in csv_of(tmp_path / "run")} == {"grid:3"}


def test_settings_of_a_model_that_is_not_used_do_not_matter(folder: Path, tmp_path: Path) -> None:
    evaluate("folder", folder, tmp_path / "run", "--methods", "grid:2")
    assert evaluate("folder", folder, tmp_path / "run", "--methods", "grid:2", "--noise-level", "100") == 0


def test_records_without_settings_are_left_alone(folder: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "run/pictures/mine.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("{}")
    assert evaluate("folder", folder, tmp_path / "run", "--methods", "grid:2", "--overwrite") == 2
    assert foreign.read_text() == "{}"


def test_a_damaged_image_is_named_and_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = folder / "images/made_1.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert evaluate("folder", folder, tmp_path / "run", "--methods", "grid:2") == 1
    printed = capsys.readouterr()
    assert "2 images of 3; 1 failed" in printed.out
    assert "1 of 3 images failed:\n  made_1: " in printed.err
    assert results_of(tmp_path / "run")["missing"] == ["made_1"]
    assert [row["picture"] for row in csv_of(tmp_path / "run")] == ["made_0", "made_2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "sam"], "got 'sam'"),
        (["--methods", "grid", "--skip", "3"], "--skip below the dataset's 3 images"),
        (["--methods", "grid", "--split", "val"], "no split for folder"),
        (["--methods", "grid", "--workers", "2"], "--ray"),
        (["--model", "no/such/model.safetensors"], "no such file"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    options: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("folder", folder, tmp_path / "run", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run/pictures").exists()


def test_a_run_has_a_folder_of_its_own_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "folder", "--root", str(folder), "--methods", "grid:2"]) == 0
    assert (tmp_path / "runs/folder-demo/results.json").exists()
