"""Which images inputs name, and what their files are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffseg_cli.batch.discovery import count_endings, find_images
from diffseg_core import InvalidSettingError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("pics/a.jpg", "pics/b.PNG", "pics/sub/deep/c.webp", "pics/note.txt", "pics/.hidden.jpg"):
        touch(name)
    touch("pics/.cache/d.jpg")
    return tmp_path


def touch(name: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).touch()


def names(*inputs: str, out: str = "out") -> list[str]:
    return [image.name for image in find_images(inputs, Path(out))]


def test_a_folder_gives_its_images_and_those_below(place):
    assert names("pics") == names("./pics/") == names(str(place / "pics")) == ["a", "b", "sub/deep/c"]


def test_images_are_absolute_and_their_files_lie_as_they_do(place):
    image = find_images(["pics"], Path("out"))[2]
    assert image.path == place / "pics/sub/deep/c.webp"
    assert image.files(place / "out").label_map == place / "out/sub/deep/c_labels.png"


def test_a_file_is_taken_whatever_its_ending(place):
    touch("pics/photo[1].raw")
    assert names("pics/note.txt", "pics/photo[1].raw") == ["note", "photo[1]"]


def test_each_image_comes_once_in_the_order_of_the_inputs(place):
    assert names("pics/b.PNG", "pics", "pics/a.jpg") == ["b", "a", "sub/deep/c"]


def test_images_of_one_name_keep_their_endings(place):
    touch("pics/a.png")
    touch("pics/B.tif")
    assert names("pics") == ["B_tif", "a_jpg", "a_png", "b_PNG", "sub/deep/c"]


def test_images_that_would_still_have_one_name_are_refused(place):
    touch("pics/a.png")
    touch("pics/a_png.jpg")
    with pytest.raises(InvalidSettingError, match=r"a\.png and .*a_png\.jpg, .* both be written as a_png"):
        names("pics")
    touch("more/a.jpg")
    with pytest.raises(InvalidSettingError, match="Give a folder that holds both"):
        names("pics/a.jpg", "more/a.jpg")


def test_inputs_without_images_are_refused(place):
    Path("empty").mkdir()
    with pytest.raises(InvalidSettingError, match="Expected images in empty, found none"):
        names("pics", "empty")
    with pytest.raises(InvalidSettingError, match=r"got nowhere\.jpg: there is none"):
        names("nowhere.jpg")


def test_files_that_are_no_images_are_counted_by_their_endings(place):
    for name in ("pics/x.HEIC", "pics/sub/y.heic", "pics/sub/README", "pics/out/a_labels.json"):
        touch(name)
    passed_over: set[Path] = set()
    find_images(["pics", "pics"], Path("pics/out"), passed_over)
    assert count_endings(passed_over) == ".heic 2, .txt 1, without ending 1"
    find_images(["pics/a.jpg"], Path("out"), fresh := set())
    assert fresh == set()
    touch("raw/x.HEIC")
    with pytest.raises(InvalidSettingError, match=r"found none .*; other files there: \.heic 1\)"):
        names("raw")


def test_the_output_folder_is_not_searched(place):
    touch("pics/out/a_labels.png")
    assert names("pics", out="pics/out") == ["a", "b", "sub/deep/c"]


def test_output_among_the_images_is_refused(place):
    for out in ("pics", "pics/../pics"):
        with pytest.raises(InvalidSettingError, match="Expected an output folder apart from the images"):
            names("pics", out=out)


def test_output_in_the_folder_above_is_fine_unless_it_reaches_the_images(place):
    assert names("pics", out=".") == ["a", "b", "sub/deep/c"]
    touch("pics/pics/a.jpg")
    with pytest.raises(InvalidSettingError, match="apart from the images"):
        names("pics", out=".")


def test_no_image_is_replaced(place):
    touch("pics/a_overlay.png")
    with pytest.raises(InvalidSettingError, match=r"no image is replaced, .*a_overlay\.png would be"):
        names("pics/a.jpg", "pics/a_overlay.png", out="pics")


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_are_followed_each_folder_once(place):
    touch("elsewhere/d.jpg")
    Path("pics/linked").symlink_to(place / "elsewhere")
    Path("pics/round").symlink_to(place / "pics")
    Path("pics/e.jpg").symlink_to(place / "elsewhere/d.jpg")
    assert names("pics") == ["a", "b", "e", "sub/deep/c"]
