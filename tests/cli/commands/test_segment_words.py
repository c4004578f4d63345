"""``diffseg segment --words``: classes by their names, with a small model of random weights."""

from __future__ import annotations

import argparse
import json
import string
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import (
    CaptureSettings,
    ModelChoice,
    NestedSettings,
    SegmentSettings,
    WordSettings,
)
from diffseg_cli.commands import main, segment
from diffseg_cli.commands.options import word_search
from diffseg_core import InvalidSettingError, capture_diffusers, parse_words, read_words
from diffseg_core.words import scores
from diffseg_core.words.lines import WordLine

ROOT = Path(__file__).resolve().parents[3]
WIDTH = 16
QUICK = ["--working-size", "128", "--threads", "1", "--device", "cpu"]


def small_pipeline() -> StableDiffusionPipeline:
    """Of the layout of SD 1.x, with a text encoder that reads letter by letter."""
    torch.manual_seed(0)
    letters = string.ascii_lowercase + ","
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=WIDTH,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 32, 32),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
    )
    for name, weight in unet.named_parameters():
        if ".attn2.to_q." in name or ".attn2.to_k." in name:
            weight.data.mul_(8.0)  # at their first values all attention to the text is nearly even
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
        latent_channels=4,
        scaling_factor=8.0,
    )
    return StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77),
        scheduler=DDPMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    return small_pipeline()


@pytest.fixture(scope="module")
def model(pipeline: StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(place)
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs, one the other's mirror image."""
    photograph = Image.open(ROOT / "demo_model" / "photograph.jpg").resize((150, 100))
    (tmp_path / "pics").mkdir()
    photograph.save(tmp_path / "pics/cup.png")
    Image.fromarray(np.asarray(photograph)[:, ::-1].copy()).save(tmp_path / "pics/mirrored.png")
    return tmp_path


def run(folder: Path, model: Path | str, words: str, *options: str) -> int:
    paths = ["segment", str(folder / "pics"), "--out", str(folder / "out"), "--model", str(model)]
    return main([*paths, *QUICK, "--words", words, *options])


def annotation(folder: Path, name: str) -> dict:
    return json.loads((folder / "out" / f"{name}_segments.json").read_text())


def names(annotations: dict) -> list[str]:
    of = {each["id"]: each["name"] for each in annotations["categories"]}
    return sorted(of[each["category_id"]] for each in annotations["annotations"])


def test_what_words_mean_is_written_with_their_names(folder, model, capsys, monkeypatch):
    """A random model finds nothing, so less is asked of it; the library says what, and the files the same."""
    monkeypatch.setattr(scores, "FOUND_RATIO", 1.0)
    monkeypatch.setattr(scores, "ATTENTION_RATIO", 1.0)
    lines = "cup, mug\ntable\n!hand"
    assert run(folder, model, "cup|mug, table, !hand", "--words-threshold", "0.3") == 0
    printed = capsys.readouterr().out
    settings = CaptureSettings(working_size=128)
    segmenter = Segmenter(ModelChoice(str(model), "cpu"), settings, parse_words(lines))
    search = WordSettings(words_threshold=0.3, words=lines)
    every = []
    for name in ("cup", "mirrored"):
        image = Image.open(folder / f"pics/{name}.png")
        expected = segmenter.find_words(image, SegmentSettings(NestedSettings()), search)
        found = sorted(each.name for each in expected.found[0] if each.found)
        assert names(annotation(folder, name)) == found
        for each in expected.found[0]:
            line = f"{each.name} (best {each.score:.2f})"
            assert (line in printed) == (not each.found)
        labels = np.asarray(Image.open(folder / f"out/{name}_labels.png"))
        assert np.array_equal(labels > 0, expected.masks[0].any(0).numpy())
        every += found
        refined = segmenter.find_words(image, SegmentSettings(NestedSettings(), refine_edges=True), search)
        assert torch.equal(refined.segments.union()[0].bool(), refined.masks[0].any(0))
    assert every, "nothing was found, so that nothing was compared"
    joint = json.loads((folder / "out/instances.json").read_text())
    assert names(joint) == sorted(every)
    assert {each["name"] for each in joint["categories"]} <= {"segment", "cup", "table"}


def test_a_word_that_is_not_found_is_told_and_is_no_failure(folder, model, capsys):
    assert run(folder, model, "cup, table", "--words-threshold", "1", "--background-offset", "1") == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "not found" in line]
    assert len(told) == 2
    assert all("not found: cup (best 0." in line and ", table (best 0." in line for line in told)
    assert "cup.png: not found" in told[0]
    assert annotation(folder, "cup")["annotations"] == []
    assert not np.asarray(Image.open(folder / "out/cup_labels.png")).any()


def test_a_run_goes_on_with_its_words_and_is_refused_with_others(folder, model, capsys):
    assert run(folder, model, "cup, table") == 0
    (folder / "out/cup_segments.json").unlink()
    assert run(folder, model, "cup, table") == 0
    assert "segmented into" in capsys.readouterr().out
    assert (folder / "out/cup_segments.json").exists()
    settings = json.loads((folder / "out/diffseg.json").read_text())["settings"]
    assert (settings["words_threshold"], settings["background_offset"]) == (0.5, 0.0)
    assert parse_words(settings["words"]) == parse_words("cup\ntable")
    for options in (["cup, hand"], ["cup, table", "--words-threshold", "0.4"]):
        assert run(folder, model, *options) == 2
        assert "words" in capsys.readouterr().err


def test_the_demo_model_is_refused_before_any_work(folder, capsys):
    assert run(folder, "demo", "cup") == 2
    assert "the demo model, which has none" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_model_without_text_encoder_is_refused(folder, model, tmp_path, capsys):
    without = small_pipeline()
    without.text_encoder = without.tokenizer = None
    without.register_modules(text_encoder=None, tokenizer=None)
    without.save_pretrained(tmp_path / "without")
    assert run(folder, tmp_path / "without", "cup") == 2
    assert "Expected a model with its text encoder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--words", "!hand"], "never chosen"),
        (["--words", "cup, table, cup"], "in lines 1 and 3"),
        (["--words", "cup", "--prompts", "PICS"], "--words or --prompts, got both"),
        (["--words", "cup", "--anchors", "8"], "Expected --words alone, got --anchors too"),
        (["--words", "cup", "--merge-threshold", "0.9"], "got --merge-threshold too"),
        (["--words", "cup", "--granularity", "auto"], "got --granularity too"),
        (["--words", "cup", "--height", "0.1"], "got --height too"),
        (["--words-threshold", "0.3"], "--words together with --words-threshold"),
        (["--background-offset", "0.3"], "--words together with --background-offset"),
    ],
)
def test_words_that_do_not_go_are_refused(folder, model, capsys, options, message):
    options = [option.replace("PICS", str(folder / "pics")) for option in options]
    paths = ["segment", str(folder / "pics"), "--out", str(folder / "out"), "--model", str(model)]
    assert main([*paths, *QUICK, *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (folder / "out").exists()


def test_words_are_read_as_they_are_meant():
    parser = argparse.ArgumentParser()
    segment.add_parser(parser.add_subparsers())

    def read(text: str) -> tuple[WordLine, ...]:
        args = ["segment", "x.jpg", "--out", "out", "--model", "some", "--words", text]
        search = word_search(parser.parse_args(args))
        return parse_words(search.words)

    for text, classes in (
        ("cup, table", [["cup"], ["table"]]),
        ("cup|mug, dining table", [["cup", "mug"], ["dining table"]]),
        ("cup, mug\ntable", [["cup", "mug"], ["table"]]),
        ("cup, read.me.txt", [["cup"], ["read.me.txt"]]),
    ):
        assert [[word.text for word in line.synonyms] for line in read(text)] == classes
    weighted = read("(cup:1.3), !hand")
    assert weighted[0].synonyms[0].weight == 1.3
    assert weighted[1].is_distractor


def test_the_text_encoder_is_freed_once_the_words_are_encoded(pipeline, model):
    lines = parse_words("cup\ntable")
    segmenter = Segmenter(ModelChoice(str(model), "cpu"), CaptureSettings(working_size=128), lines)
    assert segmenter._pipeline.text_encoder is None
    image = Image.open(ROOT / "demo_model" / "photograph.jpg")
    found = segmenter.read_words(segmenter.capture(image), lines)
    expected = read_words(pipeline, capture_diffusers(pipeline, image, working_size=128), lines)
    # Queries are kept in half precision, where the last bit of a run can be a step.
    torch.testing.assert_close(found.attention.maps, expected.attention.maps, rtol=1e-2, atol=1e-4)
    assert found.places == expected.places
    with pytest.raises(InvalidSettingError, match="text encoder"):
        segmenter.read_words(segmenter.capture(image), parse_words("hand"))


def test_a_segmenter_for_any_words_keeps_its_text_encoder(model, monkeypatch):
    settings = CaptureSettings(working_size=128)
    segmenter = Segmenter(ModelChoice(str(model), "cpu"), settings, further_words=True)
    assert segmenter.reads_words
    image = Image.open(ROOT / "demo_model" / "photograph.jpg")
    maps = segmenter.capture(image)
    plain = StableDiffusionPipeline.encode_prompt
    encoded = []

    @wraps(plain)
    def encode(self, prompt, *args, **settings):
        encoded.append(prompt)
        return plain(self, prompt, *args, **settings)

    monkeypatch.setattr(StableDiffusionPipeline, "encode_prompt", encode)
    for text in ("cup", "table\nhand", "cup"):
        words = segmenter.read_words(maps, parse_words(text))
        assert words.lines == parse_words(text)
    assert len(encoded) == 2  # the same words once, however many images
    assert not Segmenter(ModelChoice(str(model), "cpu"), settings).reads_words
