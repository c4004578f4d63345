"""``diffseg check`` as people call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_text_model import save_text_model
from PIL import Image
from small_photographs import smaller

from diffseg_cli.batch.segmenter import CheckCapture
from diffseg_cli.batch.settings import DEMO_CAPTURE, CaptureSettings, ModelChoice
from diffseg_cli.commands import main
from diffseg_core.benchmark import report, run, trials
from diffseg_core.benchmark.photographs import object_names, read_photographs
from diffseg_core.benchmark.record import DEMO_MODEL, click_means, demo_model_entry
from diffseg_core.benchmark.run import Check
from diffseg_core.errors import CaptureError

SMALL = ["--quick", "--working-size", "128"]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small photographs, two noise levels, few clicks, and an empty current folder."""
    for module in (run, report):
        monkeypatch.setattr(module, "read_photographs", lambda names: smaller(read_photographs(names)))
    monkeypatch.setattr(trials, "QUICK_PHOTOGRAPHS", ("coffee", "taipei"))
    monkeypatch.setattr(trials, "QUICK_LEVELS", (300,))
    monkeypatch.setattr(trials, "QUICK_THRESHOLDS", (0.5,))
    monkeypatch.setattr(trials, "QUICK_CLICKS", 2)
    monkeypatch.chdir(tmp_path)


def random_weights(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None]) -> None:
    """Have commands load the demo model with other weights."""
    plain = CheckCapture.__init__

    def make(self: CheckCapture, *args: Any) -> None:
        plain(self, *args)
        change(self._pipeline.unet)

    monkeypatch.setattr(CheckCapture, "__init__", make)


@pytest.mark.usefixtures("few")
def test_a_quick_check_prints_a_report_and_leaves_a_record_and_a_sheet(capsys, tmp_path):
    assert main(["check", *SMALL, "--sheet", "sheet.png"]) == 0
    text = capsys.readouterr().out
    assert "A quick check of SD15-1.7M (1.7 million parameters, float32 on cpu)" in text
    for row in ("this model, chosen settings", "this model, default settings", "colours alone"):
        assert row in text
    assert "Words were not measured: the model has no text encoder." in text
    record = json.loads((tmp_path / "diffseg-check.json").read_text())
    assert record["photographs"] == ["coffee", "taipei"]
    assert record["complete"]
    assert record["quick"]
    assert {row["noise_level"] for row in record["rows"] if row["method"] == "hierarchy"} == {25, 300}
    assert {row["method"] for row in record["rows"]} == {"hierarchy", "merging", "cut", "colours"}
    for row in record["rows"]:
        assert set(row["by_photograph"]) == {"coffee", "taipei"}
        assert 0 < row["score"] < 1
    with Image.open(tmp_path / "sheet.png") as drawn:
        assert drawn.size == (640, 240)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_words_are_measured_of_a_model_with_a_text_encoder(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(trials, "QUICK_PHOTOGRAPHS", ("coffee", "taipei", "lake", "harbour"))
    save_text_model(tmp_path / "model", [word for names in object_names().values() for word in names])
    model = ["--model", str(tmp_path / "model"), "--working-size", "128", "--device", "cpu"]
    assert main(["check", "--quick", *model]) == 0
    text = capsys.readouterr().out
    record = json.loads((tmp_path / "diffseg-check.json").read_text())
    words = [row for row in record["rows"] if row["method"] == "words"]
    assert words[0]["finds"] is None
    for row in words:
        assert row["photographs"] == 4
        assert abs(row["auc"] - row["others"]) < 0.1
    assert "too few photographs to tell whether the model finds things by words" in text


def test_a_text_encoder_that_cannot_read_the_names_leaves_the_rest_to_be_checked(tmp_path):
    save_text_model(tmp_path, [], room=8)
    capture = CheckCapture(ModelChoice(str(tmp_path), "cpu"), CaptureSettings(working_size=128))
    assert capture.no_words == ""
    capture.encode_words(("coffee", "lake"))
    assert capture.no_words.startswith("Expected words of at most ")
    assert capture.capture(torch.rand(1, 64, 64, 3)).batch_size == 1


def test_a_tokenizer_of_any_kind_leaves_the_rest_to_be_checked(tmp_path, monkeypatch):
    save_text_model(tmp_path, [])
    capture = CheckCapture(ModelChoice(str(tmp_path), "cpu"), CaptureSettings(working_size=128))
    monkeypatch.setattr(type(capture._pipeline), "encode_prompt", lambda self, prompt, **others: {}["embeds"])
    capture.encode_words(("coffee",))
    assert capture.no_words == "KeyError: 'embeds'"
    assert capture.capture(torch.rand(1, 64, 64, 3)).batch_size == 1


@pytest.mark.usefixtures("few")
def test_a_model_with_random_weights_is_no_better_than_colours(capsys, monkeypatch, tmp_path):
    def redraw(unet: Any) -> None:
        generator = torch.Generator().manual_seed(4)
        for weight in unet.parameters():
            if weight.ndim > 1:
                spread = weight[0].numel() ** -0.5
                weight.data = torch.randn(weight.shape, generator=generator) * spread

    random_weights(monkeypatch, redraw)
    assert main(["check", *SMALL, "--out", "record.json"]) == 0
    assert "no better than colours alone" in capsys.readouterr().out
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["chosen"]["beats_colours"] is False


@pytest.mark.usefixtures("few")
def test_a_model_that_is_broken_is_told_with_what_was_measured(capsys, monkeypatch, tmp_path):
    def spoil(unet: Any) -> None:
        next(unet.mid_block.attentions.parameters()).data.fill_(float("nan"))

    random_weights(monkeypatch, spoil)
    assert main(["check", *SMALL]) == 2
    out, err = capsys.readouterr()
    assert "noise level 25 failed: Expected" in out
    assert "colours alone" in out
    assert "diffseg: Expected" in err
    record = json.loads((tmp_path / "diffseg-check.json").read_text())
    assert [row["method"] for row in record["rows"]] == ["capture", "colours", "capture"]
    assert set(record["rows"][1]["by_photograph"]) == {"coffee", "taipei"}


@pytest.mark.usefixtures("few")
def test_settings_that_fail_leave_the_others(capsys, monkeypatch, tmp_path):
    plain = CheckCapture.__call__

    def capture(self: CheckCapture, image: torch.Tensor, settings: trials.CaptureSettings) -> Any:
        if settings.noise_level == 300:
            raise CaptureError("Expected no such level, got it.")
        return plain(self, image, settings)

    monkeypatch.setattr(CheckCapture, "__call__", capture)
    assert main(["check", *SMALL]) == 1
    assert "noise level 300 failed: Expected no such level" in capsys.readouterr().out
    record = json.loads((tmp_path / "diffseg-check.json").read_text())
    assert record["chosen"]["noise_level"] == 25
    (failed,) = [row for row in record["rows"] if "error" in row]
    assert (failed["noise_level"], failed["error"]) == (300, "CaptureError")


@pytest.mark.usefixtures("few")
def test_what_was_measured_outlives_an_interrupt(capsys, monkeypatch, tmp_path):
    plain = CheckCapture.__call__

    def capture(self: CheckCapture, image: torch.Tensor, settings: trials.CaptureSettings) -> Any:
        if settings.noise_level == 300:
            raise KeyboardInterrupt
        return plain(self, image, settings)

    monkeypatch.setattr(CheckCapture, "__call__", capture)
    assert main(["check", *SMALL]) == 130
    out, err = capsys.readouterr()
    assert "ended before all was tried" in out
    assert "this model, default settings" in out
    assert "interrupted" in err
    record = json.loads((tmp_path / "diffseg-check.json").read_text())
    assert record["complete"] is False
    assert record["chosen"]["noise_level"] == 25


def test_wrong_models_and_folders_for_files_are_told_before_the_work(capsys, tmp_path):
    assert main(["check", "--model", "no/such/model"]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["check", "--out", str(tmp_path)]) == 2
    assert "name a file in it" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_kept_figures_of_the_model_in_the_box_are_made_again():
    chosen = json.loads(DEMO_MODEL.read_text())["chosen"]
    capture = CheckCapture(ModelChoice(device="cpu"), DEMO_CAPTURE)
    plan = trials.Plan(
        replace(DEMO_CAPTURE, noise_level=chosen["noise_level"]),
        (),
        thresholds=(),
        photographs=("coffee",),
        clicks=3,
    )
    results = Check(capture, capture.model, plan).run()
    row = results.rows[trials.Trial("hierarchy", plan.default, chosen["evidence"])]
    kept = demo_model_entry(plan.photographs, plan.clicks)
    measured = {
        **row.figures["coffee"]._asdict(),
        **click_means(row.clicks.values(), plan.clicks),
    }
    for name, value in measured.items():
        far = 0.01 if name in ("covering", "best_iou", "mean_iou") else 1.0
        assert value == pytest.approx(kept[name], abs=far), name
