"""``diffseg segment`` as people call it, killed in the middle too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import diffseg_core
from diffseg_cli.batch.models import demo_model_folder
from diffseg_cli.batch.settings import DEMO_CAPTURE, DEMO_SEGMENT, CaptureSettings, SegmentSettings
from diffseg_cli.commands import main
from diffseg_cli.commands.progress import show_progress

QUICK = ["--working-size", "64", "--merge-threshold", "0.3"]
PACKAGE = Path(diffseg_core.__file__).parent


@pytest.fixture
def pics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight images in two folders, the last of them large; the current folder is that around them."""
    monkeypatch.chdir(tmp_path)
    with Image.open(demo_model_folder() / "photograph.jpg") as photograph:
        for index in range(8):
            place = tmp_path / "pics" / ("far" if index % 3 == 0 else "") / f"{index}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            part = photograph.crop((20 * index, 0, 20 * index + 160, 160))
            (part.resize((1200, 1200)) if index == 6 else part).save(place)
    return tmp_path / "pics"


def segment(*args: str) -> int:
    return main(["segment", *args, *QUICK])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_whole(folder: Path) -> None:
    """Every file of a final name can be read to its end."""
    for path in folder.rglob("*"):
        if path.suffix == ".png":
            with Image.open(path) as opened:
                opened.load()
        elif path.suffix == ".json":
            json.loads(path.read_text())


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_run_that_is_killed_leaves_no_half_file_and_goes_on_to_the_same_end(pics, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-m", "diffseg_cli", "segment", "pics", "--save-masks", *QUICK]
    search = {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([*command, "--out", str(killed)], env={**os.environ, **search})
    while process.poll() is None and len(list(killed.rglob("*_segments.json"))) < 2:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = list(killed.rglob("*_segments.json"))
    assert 2 <= len(done) < 8
    check_whole(killed)

    before = {path: path.stat().st_mtime_ns for path in done}
    assert segment("pics", "--save-masks", "--out", str(killed)) == 0
    assert before == {path: path.stat().st_mtime_ns for path in done}
    assert segment("pics", "--save-masks", "--out", str(whole)) == 0
    assert contents(killed) == contents(whole)
    assert len(list(whole.rglob("*_segments.json"))) == 8


def test_broken_images_are_listed_at_the_end_and_the_others_done(pics, capsys):
    (pics / "broken.jpg").write_bytes((pics / "1.jpg").read_bytes()[:2000])
    (pics / "empty.png").touch()
    assert segment("pics", "--out", "out") == 1
    shown = capsys.readouterr()
    assert shown.out == "Images: 10; segmented into out: 8; done before: 0\n"
    lines = shown.err.splitlines()
    assert lines[-3] == "2 of 10 images failed:"
    assert lines[-2].startswith(f"  {pics / 'broken.jpg'}: Expected a whole image, got a damaged one (")
    assert lines[-1] == f"  {pics / 'empty.png'}: Expected an image, got an empty file."
    assert len(list(Path("out").rglob("*_segments.json"))) == 8

    (pics / "1.jpg").rename(pics / "broken.jpg")
    (pics / "empty.png").rename(pics / "new.HEIC")
    assert segment("pics", "--out", "out") == 0
    shown = capsys.readouterr()
    line = "Images: 8; segmented into out: 1; done before: 7; other files, passed over: .heic 1\n"
    assert shown.out == line


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere", "--out", "out"], "Expected a file or a folder, got nowhere: there is none."),
        (["pics", "--out", "pics"], "Expected an output folder apart from the images"),
        (["pics", "--out", "out", "--noise-seed", "1"], "Expected --input-mode noised"),
        (["pics", "--out", "out", "--workers", "2"], "Expected --ray together with --workers 2."),
        (["pics", "--out", "out", "--ray", "pics"], "Expected a cluster at pics, but Ray could not connect"),
        (["pics", "--out", "out", "--model", "nowhere"], "Expected a model to be \"demo\".* got 'nowhere'"),
        (["pics", "--out", "out", "--device", "cuda:99"], "got 'cuda:99'"),
    ],
)
def test_what_cannot_be_is_one_clear_line(pics, capsys, args, message):
    assert segment(*args) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(rf"diffseg: .*{message}.*\n", shown.err)


def kept_settings(*args: str) -> dict[str, object]:
    """What a run of an image that is none keeps."""
    Path("x.jpg").touch()
    main(["segment", "x.jpg", "--out", "out", "--overwrite", *args])
    kept: dict[str, object] = json.loads(Path("out/diffseg.json").read_text())["settings"]
    return kept


def test_the_settings_are_those_that_suit_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usual = {"save_masks": False, "precision": "auto"}
    assert kept_settings() == {"model": "demo", **vars(DEMO_CAPTURE), **DEMO_SEGMENT.to_dict(), **usual}
    Path("model").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffseg_cli.batch.segment_run.Segmenter", lambda *choice: None)
        found = kept_settings("--model", "model")
    model = str(tmp_path / "model")
    assert found == {"model": model, **vars(CaptureSettings()), **SegmentSettings().to_dict(), **usual}


def test_every_option_is_a_setting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = "--noise-level 7 --input-mode noised --noise-seed 3 --working-size 64 --layers finest-two "
    options += "--merge-threshold 0.5 --merge-passes 2 --anchors 4 --refinement kmeans --smallest-area 1.5 "
    options += "--refine-edges --precision bfloat16 --save-masks"
    assert kept_settings(*options.split()) == {
        "model": "demo",
        "precision": "bfloat16",
        "noise_level": 7,
        "noise_seed": 3,
        "working_size": 64,
        "layers": "finest two",
        "merge_threshold": 0.5,
        "merge_passes": 2,
        "anchors": 4,
        "refinement": "kmeans",
        "smallest_area": 1.5,
        "granularity": None,
        "refine_edges": True,
        "save_masks": True,
    }


def test_every_option_of_a_hierarchy_is_a_setting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = "--no-neighbours-only --contrast 0.25 --colour 3 --finest 0.5 --refine-edges"
    expected = {
        "height": None,
        "neighbours_only": False,
        "contrast": 0.25,
        "colour": 3.0,
        "finest": 0.5,
        "refine_edges": True,
    }
    usual = {"model": "demo", "precision": "auto", **vars(DEMO_CAPTURE), "save_masks": False}
    found = kept_settings("--granularity", "12", *options.split())
    assert found == {**usual, **expected, "granularity": 12}
    found = kept_settings("--height", "0.2", *options.split())
    assert found == {**usual, **expected, "granularity": 0, "height": 0.2}
    assert kept_settings("--granularity", "auto")["granularity"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--contrast 1 --no-neighbours-only", r"together with --neighbours-only --contrast, which"),
        ("--granularity auto --anchors 8", r"one way to segment, got --anchors --granularity\."),
        ("--granularity 8 --height 0.1", r"one way to segment, got --granularity --height\."),
    ],
)
def test_options_of_two_ways_to_segment_are_refused(capsys, options, message):
    assert main(["segment", "pics", "--out", "out", *options.split()]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_where_there_is_no_terminal_progress_is_a_line_now_and_then(monkeypatch, capsys):
    assert list(show_progress(iter("abcde"), 5)) == list("abcde")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("diffseg_cli.commands.progress.SECONDS_BETWEEN_LINES", 0.0)
    assert list(show_progress(iter("abcde"), 5)) == list("abcde")
    assert "5/5" in capsys.readouterr().err
