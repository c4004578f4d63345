"""``diffseg evaluate`` with methods on features, and on datasets of objects before a background."""

from __future__ import annotations

import json
from pathlib import Path

import made_datasets
import pytest
from PIL import Image

from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.commands import main
from diffseg_core import AttentionMaps
from diffseg_eval import run

MODEL = ["--working-size", "64", "--threads", "1"]


def evaluate(dataset: str, root: Path, out: Path, *options: str) -> int:
    return main(["evaluate", dataset, "--root", str(root), "--out", str(out), *options])


def results_of(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made_datasets.make_folder(tmp_path / "data")
    return tmp_path / "data"


def test_figures_of_one_segment_on_voc_are_those_worked_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_datasets.make_voc(tmp_path / "data")
    out, options = tmp_path / "run", ["--methods", "one-segment", "--resolution", "39"]
    assert evaluate("voc", tmp_path / "data", out, *options) == 0
    # Squares of 39×39 with an aeroplane of 35 rows and 20, 22 and 24 columns: in the first image most is
    # background, which the one segment is matched to.
    planes = [35 * 20, 35 * 22, 35 * 24]
    grounds = [39 * 39 - plane for plane in planes]
    plane_iou = sum(planes[1:]) / (sum(planes) + sum(grounds[1:]))
    ground_iou = grounds[0] / (sum(grounds) + planes[0])
    results = results_of(out)
    assert results["rows"][0]["metrics"] == {
        "segments": 1,
        "accuracy_background": pytest.approx((sum(planes[1:]) + grounds[0]) / (3 * 39 * 39)),
        "mean_iou_background": pytest.approx((plane_iou + ground_iou) / 2),
    }
    table = capsys.readouterr().out
    assert "| mIoU, background merged |" in table
    assert "as in DiffCut's code" in table
    assert "PiCIE" not in table


def test_a_comparison_uses_the_same_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_datasets.make_context(tmp_path / "data")
    out, options = tmp_path / "run", ["--methods", "grid:2,3,one-segment", "--resolution", "39"]
    assert evaluate("context", tmp_path / "data", out, *options) == 0
    capsys.readouterr()
    assert main(["compare", f"{out}:grid:2", f"{out}:one-segment"]) == 0
    assert "background merged" in capsys.readouterr().out


def test_rows_on_features_go_on_and_other_thresholds_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["--methods", "diffcut,cut:0.3,0.7,features-hierarchy:3,both-hierarchy"]
    assert evaluate("folder", folder, tmp_path / "run", *names, "--limit", "1", *MODEL) == 0
    results = results_of(tmp_path / "run")
    rows = [row["method"] for row in results["rows"]]
    assert rows == ["diffcut:0.5", "cut:0.3", "cut:0.7", "features-hierarchy:3", "both-hierarchy"]
    assert results["settings"]["methods"] == rows
    (record,) = (tmp_path / "run/pictures").glob("*.json")
    written = record.stat().st_mtime_ns
    same = ["--methods", "diffcut:0.50,cut:.3,.7,features-hierarchy:3,both-hierarchy"]
    assert evaluate("folder", folder, tmp_path / "run", *same, "--limit", "1", *MODEL) == 0
    assert record.stat().st_mtime_ns == written
    other = ["--methods", "diffcut:0.7,cut:0.3,0.7,features-hierarchy:3,both-hierarchy"]
    assert evaluate("folder", folder, tmp_path / "run", *other, *MODEL) == 2
    assert "diffcut:0.7" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["hierarchy", "features-hierarchy", "both-hierarchy"])
def test_settings_of_the_tree_are_kept_with_every_hierarchy(
    method: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--methods", method, "--limit", "1", "--granularity", "auto", *MODEL]
    assert evaluate("folder", folder, tmp_path / "run", *options, "--colour", "1") == 0
    assert results_of(tmp_path / "run")["settings"]["segment"]["colour"] == 1
    assert evaluate("folder", folder, tmp_path / "run", *options, "--colour", "2") == 2
    assert "'colour': 2.0" in capsys.readouterr().err


def test_a_model_without_features_is_said_of_every_image(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithoutFeatures(Segmenter):
        def capture(self, image: Image.Image) -> AttentionMaps:
            maps = super().capture(image)
            return AttentionMaps({tuple(grid): maps[grid] for grid in maps})

    monkeypatch.setattr(run, "Segmenter", WithoutFeatures)
    assert evaluate("folder", folder, tmp_path / "run", "--methods", "diffcut", *MODEL) == 1
    printed = capsys.readouterr().err
    assert "3 of 3 images failed" in printed
    assert "made_0: Expected attention with features, got one without" in printed
    assert evaluate("folder", folder, tmp_path / "other", "--methods", "hierarchy:3", *MODEL) == 0


def test_help_tells_of_all_datasets_and_methods(capsys: pytest.CaptureFixture[str]) -> None:
    from diffseg_eval.datasets import DATASETS
    from diffseg_eval.methods import METHODS

    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", "--help"])
    assert exit_.value.code == 0
    words = set(capsys.readouterr().out.replace(",", " ").replace(";", " ").replace("(", " ").split())
    words |= {word.partition(":")[0] for word in words}
    assert set(DATASETS) - words == set()
    assert {method.name for method in METHODS} - words == set()
