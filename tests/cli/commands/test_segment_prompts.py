"""``diffseg segment --prompts``: one object in each image of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffseg_cli.commands import main

ROOT = Path(__file__).resolve().parents[3]
QUICK = ["--working-size", "128", "--threads", "1", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs, one in a folder, with a click in the one and a box in the other."""
    photograph = Image.open(ROOT / "demo_model" / "photograph.jpg").resize((150, 100))
    for name, prompts in {"cup": [{"x": 70, "y": 75}], "sub/cup": [{"box": [15, 2, 108, 98]}]}.items():
        for kind in ("pics", "prompts"):
            (tmp_path / kind / name).parent.mkdir(parents=True, exist_ok=True)
        photograph.save(tmp_path / "pics" / f"{name}.png")
        (tmp_path / "prompts" / f"{name}.json").write_text(json.dumps(prompts))
    return tmp_path


def run(folder: Path, *options: str) -> int:
    paths = ["segment", str(folder / "pics"), "--out", str(folder / "out")]
    return main([*paths, "--prompts", str(folder / "prompts"), *QUICK, *options])


def labels(folder: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(folder / "out" / f"{name}_labels.png"))


def test_every_image_gives_one_object(folder):
    assert run(folder, "--save-masks") == 0
    clicked, boxed = labels(folder, "cup"), labels(folder, "sub/cup")
    assert set(np.unique(clicked)) == set(np.unique(boxed)) == {0, 1}
    assert clicked[75, 70] == 1
    assert not boxed[:, 120:].any()
    assert len(list((folder / "out/sub/cup_masks").iterdir())) == 1
    assert json.loads((folder / "out/diffseg.json").read_text())["settings"]["prompts"].endswith("prompts")


def test_objects_have_names_of_their_own_in_the_joint_files_too(folder):
    cup = {"x": 70, "y": 75, "object": "cup"}
    (folder / "prompts/cup.json").write_text(json.dumps([{"x": 130, "y": 20, "object": "table"}, cup]))
    (folder / "prompts/sub/cup.json").write_text(json.dumps([cup]))
    assert run(folder) == 0
    for file in ("instances.json", "panoptic.json"):
        content = json.loads((folder / "out" / file).read_text())
        names = {each["id"]: each["name"] for each in content["categories"]}
        assert sorted(names) == [1, 2, 3]
        assert {*names.values()} == {"segment", "cup", "table"}
        listed = [entry for each in content["annotations"] for entry in each.get("segments_info", [each])]
        assert sorted(names[each["category_id"]] for each in listed) == ["cup", "cup", "table"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("[]", "at least one prompt"),
        ('[{"x": 1}]', "two numbers"),
        ("[", "not JSON"),
        ('[{"x": 12, "y": 8}, {"words": "cup"}]', "got the words 'cup'"),
        ('[{"x": 700, "y": 75}, {"box": [150, 0, 300, 9]}]', "2 of 2 prompt(s) ignored"),
    ],
)
def test_an_image_without_prompts_or_with_wrong_ones_fails_alone(folder, capsys, text, words):
    path = folder / "prompts/cup.json"
    path.unlink() if text is None else path.write_text(text)
    assert run(folder) == 1
    printed = capsys.readouterr().err
    assert "cup.json" in printed
    assert words in printed
    assert labels(folder, "sub/cup").any()


def test_prompts_outside_an_image_and_objects_without_a_pixel_are_told(folder, capsys):
    given = [{"x": 70, "y": 75, "object": "cup"}, {"stroke": [[150, 3]], "label": 0, "object": "cup"}]
    given.append({"x": 9, "y": 9, "label": 0, "object": "b"})
    (folder / "prompts/cup.json").write_text(json.dumps(given))
    assert run(folder) == 0
    printed = capsys.readouterr().out
    assert "pics/cup.png: 1 of 3 prompt(s) ignored, as they lie outside" in printed
    assert "the stroke from x 150, y 3" in printed
    assert "no pixel is left of b" in printed
    assert "sub/cup" not in printed


def test_files_that_an_editor_marked_are_read_and_those_of_another_encoding_named(folder, capsys):
    click = json.dumps([{"x": 70, "y": 75, "object": "red\u00a0cup"}], ensure_ascii=False)
    (folder / "prompts/cup.json").write_text(click, encoding="utf-8-sig")
    (folder / "prompts/sub/cup.json").write_text(click, encoding="utf-16")
    assert run(folder) == 0
    for name in ("cup", "sub/cup"):
        categories = json.loads((folder / f"out/{name}_segments.json").read_text())["categories"]
        assert "red cup" in {each["name"] for each in categories}
    capsys.readouterr()
    (folder / "prompts/cup.json").write_bytes(click.encode("utf-16-le"))
    assert run(folder, "--overwrite") == 1
    assert "Expected text in UTF-8" in capsys.readouterr().err


def test_prompts_and_settings_of_merging_do_not_go_together(folder, capsys):
    assert run(folder, "--anchors", "8") == 2
    assert "one way to segment" in capsys.readouterr().err


def test_a_folder_of_prompts_that_is_not_there_is_refused_before_the_model_is_loaded(folder, capsys):
    assert main(["segment", str(folder / "pics"), "--out", str(folder / "out"), "--prompts", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_run_with_prompts_is_another_one_than_without(folder, capsys):
    assert run(folder) == 0
    paths = ["segment", str(folder / "pics"), "--out", str(folder / "out")]
    assert main([*paths, *QUICK, "--granularity", "auto"]) == 2
    assert "prompts" in capsys.readouterr().err
