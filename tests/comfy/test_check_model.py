"""DiffSeg Check Model as ComfyUI runs it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.model_management
import folder_paths
import pytest
import torch
from model_state import left_as_it_was
from small_photographs import smaller
from transformer_models import TINY, known, tiny_conditioning, tiny_model
from word_clips import word_clip


@pytest.fixture
def node(pack, tmp_path, monkeypatch) -> Any:
    """The node, with folders of its own and a plan of seconds."""
    check_model = import_module(f"{pack.__name__}.nodes.check_model")
    run, report, photographs, trials = (
        import_module(f"{pack.__name__}.diffseg_core.benchmark.{name}")
        for name in ("run", "report", "photographs", "trials")
    )
    for module in (run, report):
        monkeypatch.setattr(
            module, "read_photographs", lambda names: smaller(photographs.read_photographs(names))
        )
    monkeypatch.setattr(trials, "QUICK_LEVELS", (300,))
    monkeypatch.setattr(trials, "QUICK_THRESHOLDS", (0.5,))
    monkeypatch.setattr(trials, "QUICK_CLICKS", 2)
    monkeypatch.setattr(trials, "QUICK_PHOTOGRAPHS", ("coffee", "taipei"))
    architectures = pack.diffseg_core.attention.architectures.ARCHITECTURES
    for name, row in architectures.items():
        monkeypatch.setitem(architectures, name, replace(row, native_side=256))
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path / "output"))
    return check_model.DiffSegCheckModel


@pytest.fixture
def demo(pack) -> dict[str, Any]:
    model, vae, conditioning, _ = pack.nodes.demo_model.DiffSegDemoModel.execute().args
    return {"model": model, "vae": vae, "conditioning": conditioning}


HIDDEN = SimpleNamespace(unique_id="7", prompt=None, extra_pnginfo=None)


class NoiseVAE:
    """Gives each image its own random latent of the right shape."""

    latent_channels = 16

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        height, width = pixels.shape[1] // 8, pixels.shape[2] // 8
        generator = torch.Generator().manual_seed(int(pixels.sum()))
        return torch.randn(1, self.latent_channels, height, width, generator=generator)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_node_says_what_it_is(node):
    schema = node.GET_SCHEMA()
    assert (schema.node_id, schema.display_name) == ("DiffSegCheckModel", "DiffSeg Check Model")
    assert schema.category == "DiffSeg/more"
    assert schema.is_output_node
    for port in [*schema.inputs, *schema.outputs]:
        assert port.tooltip.endswith("."), port


def test_the_demo_model_is_checked(node, demo, tmp_path, monkeypatch):
    told = []
    server = SimpleNamespace(send_progress_text=lambda text, node_id: told.append((text, node_id)))
    monkeypatch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=SimpleNamespace(instance=server)))
    monkeypatch.setattr(node, "hidden", HIDDEN, raising=False)
    with left_as_it_was(demo["model"]):
        output = node.execute(**demo, quick=True)
    report, sheet = output.args
    assert report.startswith("A quick check of SD15-1.7M (1.7 million parameters, ")
    assert "this model, default settings" in report
    assert "Words were not measured: connect clip" in report
    assert sheet.shape == (1, 240, 640, 3)
    assert output.ui["text"] == (report,)
    assert len(output.ui["images"]) == 1
    assert told[0] == ("0 of 12: noise level 300, coffee", "7")
    assert told[-1] == (report, "7")
    assert files(tmp_path / "output") == ["DiffSeg/check_00001_.json"]
    text = (tmp_path / "output" / "DiffSeg" / "check_00001_.json").read_text()
    record = json.loads(text)
    assert (record["model"]["host"], record["complete"], record["quick"]) == ("ComfyUI", True, True)
    assert not any("error" in row for row in record["rows"])
    assert str(tmp_path) not in text
    assert "/" not in text


def test_words_are_read_where_a_clip_is_connected(pack, node, sd1, tmp_path):
    """By a text encoder of random weights, to which they mean nothing."""
    clip = word_clip("SD 1")
    with left_as_it_was(sd1.model):
        report = node.execute(model=sd1.model, vae=sd1.vae, clip=clip, quick=True).args[0]
    record = json.loads((tmp_path / "output" / "DiffSeg" / "check_00001_.json").read_text())
    words = [row for row in record["rows"] if row["method"] == "words"]
    assert words[0]["noise_level"] == record["default"]["noise_level"]
    assert words[0]["finds"] is None
    for row in words:
        assert list(row["by_photograph"]) == ["coffee", "taipei"]
    assert "too few photographs to tell whether the model finds things by words" in report


@pytest.mark.exhaustive
@pytest.mark.skipif(not known("Flux dev"), reason="this ComfyUI has no Flux")
def test_a_random_transformer_is_no_better_than_colours(node, tmp_path):
    output = node.execute(
        model=tiny_model("Flux dev"),
        vae=NoiseVAE(),
        conditioning=tiny_conditioning("Flux dev"),
        clip=word_clip("Flux"),
        quick=True,
    )
    report = output.args[0]
    assert "no better than colours alone" in report
    assert "layers middle third" in report
    record = json.loads((tmp_path / "output" / "DiffSeg" / "check_00001_.json").read_text())
    assert record["chosen"]["beats_colours"] is False
    assert record["model"]["architecture"].startswith("Flux.1-0.0M")
    assert {row["method"] for row in record["rows"]} <= {"hierarchy", "cut", "colours", "words"}
    assert TINY["Flux dev"].config not in record["model"]
    words = [row for row in record["rows"] if row["method"] == "words"]
    assert words
    assert not any(row.get("finds") for row in words)


def test_an_interrupt_leaves_nothing(node, demo, tmp_path, monkeypatch):
    check = import_module(f"{node.__module__.rpartition('.')[0]}.comfy.check")
    plain, calls = check.CheckCapture.__call__, []

    def capture(self: Any, image: torch.Tensor, settings: Any) -> Any:
        calls.append(settings)
        if len(calls) == 2:
            comfy.model_management.interrupt_current_processing()
        return plain(self, image, settings)

    monkeypatch.setattr(check.CheckCapture, "__call__", capture)
    with left_as_it_was(demo["model"]), pytest.raises(comfy.model_management.InterruptProcessingException):
        node.execute(**demo, quick=True)
    assert len(calls) == 2
    assert files(tmp_path / "output") == []


def test_another_models_vae_is_refused_before_the_work(pack, node, demo):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="VAE of images with 4 latent channels"):
        node.execute(**{**demo, "vae": NoiseVAE()}, quick=True)


def test_a_model_of_videos_latents_is_checked_with_the_vae_of_videos(pack):
    """As Qwen-Image has it; one of images has as many channels."""
    check_capture = import_module(f"{pack.__name__}.nodes.comfy.check").CheckCapture
    model, conditioning = tiny_model("Qwen-Image"), tiny_conditioning("Qwen-Image")
    vae = NoiseVAE()
    vae.latent_dim = 3
    check_capture(model, vae, conditioning)
    vae.latent_dim = 2
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="a VAE of videos with"):
        check_capture(model, vae, conditioning)
