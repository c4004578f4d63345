"""A run of many images with the demo model: what is written, when, and for which images."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from panoptic_quality import panoptic_quality
from PIL import Image
from pycocotools.coco import COCO

from diffseg_cli.batch.discovery import InputImage, find_images
from diffseg_cli.batch.executor import run_locally
from diffseg_cli.batch.image_reading import UnreadableImageError, read_image
from diffseg_cli.batch.models import demo_model_folder
from diffseg_cli.batch.segment_run import (
    RunSettings,
    SegmentWorker,
    finish_run,
    prepare_run,
)
from diffseg_cli.batch.segmenter import Segmenter, segment_maps
from diffseg_cli.batch.settings import (
    CaptureSettings,
    MergeSettings,
    ModelChoice,
    NestedSettings,
    SegmentSettings,
)
from diffseg_core import InvalidSettingError, segment, segment_hierarchy

# pycocotools has not yet followed numpy 2 here.
reads_coco = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

SETTINGS = RunSettings(
    ModelChoice(), CaptureSettings(noise_level=25, working_size=64), SegmentSettings(MergeSettings(0.3))
)
PHOTOGRAPH = demo_model_folder() / "photograph.jpg"


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(SETTINGS.model, SETTINGS.capture)


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return read_image(PHOTOGRAPH)


@pytest.fixture
def images(tmp_path: Path, photograph: Image.Image) -> list[InputImage]:
    folder = tmp_path / "pics"
    folder.mkdir()
    for name, size in (("a", (60, 40)), ("b", (40, 60))):
        photograph.resize(size).save(folder / f"{name}.png")
    return find_images([str(folder)], tmp_path / "out")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(images: list[InputImage], out: Path, settings: RunSettings = SETTINGS, **how: bool) -> list[str]:
    """The names of the images that were done."""
    remaining = prepare_run(images, out, settings, **how)
    outcomes = list(run_locally(partial(SegmentWorker, settings, out), remaining))
    assert [outcome.error for outcome in outcomes] == [None] * len(remaining)
    return [image.name for image in remaining]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


def test_the_files_are_those_of_the_segments(images, out, segmenter):
    assert run(images, out) == ["a", "b"]
    for image in images:
        files = image.files(out)
        opened = read_image(image.path)
        maps = segmenter.capture(opened)
        size = (opened.height, opened.width)
        labels = segment(maps, size, merge_threshold=0.3, anchors=min(maps.grid)).labels[0].numpy()
        assert labels.max() > 0
        np.testing.assert_array_equal(pixels(files.label_map), labels + 1)
        assert pixels(files.overlay).shape == (*size, 3)
        assert len(json.loads(files.annotation.read_text())["segments_info"]) == labels.max() + 1
        assert not files.masks.exists()


def test_the_smallest_area_is_in_per_cent(segmenter, photograph):
    image = photograph.resize((100, 100))
    settings = SegmentSettings(MergeSettings(0.3, smallest_area=5.0))
    areas = segmenter.segment(image, settings).areas()
    assert areas.min() >= 500
    assert segmenter.segment(image, SETTINGS.segment).areas().min() < 500


def test_anchors_are_at_most_what_the_grid_takes(segmenter, photograph):
    maps = segmenter.capture(photograph)
    assert min(maps.grid) < MergeSettings().anchors
    most = SegmentSettings(MergeSettings(0.3, anchors=min(maps.grid)))
    found = segment_maps(maps, photograph, SETTINGS.segment)
    assert torch.equal(found.labels, segment_maps(maps, photograph, most).labels)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (1500, 50), (10, 1900)])
def test_images_of_any_size_and_shape_are_segmented(tmp_path, out, segmenter, photograph, size):
    photograph.resize(size).save(tmp_path / "x.png")
    image = InputImage(tmp_path / "x.png", "x")
    worker = SegmentWorker(replace(SETTINGS, save_masks=True), out)
    worker(image)
    ids = pixels(image.files(out).label_map)
    assert ids.shape == (size[1], size[0])
    assert ids.min() == 1
    masks = [pixels(path) for path in sorted(image.files(out).masks.iterdir())]
    np.testing.assert_array_equal(np.sum(masks, axis=0), 255)


def test_a_panorama_of_12000_by_400_pixels_is_segmented(segmenter, photograph):
    image = photograph.resize((12_000, 400))
    segments = segmenter.segment(image, SETTINGS.segment)
    assert segments.image_size == (400, 12_000)
    assert segments.counts[0] > 1


def test_an_image_like_a_thread_is_refused(segmenter):
    segmenter.capture(Image.new("RGB", (200, 1)))
    with pytest.raises(InvalidSettingError, match="at most 200 times as long as broad, got 1×201 pixels"):
        segmenter.capture(Image.new("RGB", (1, 201)))


def test_what_goes_to_other_machines_can_be_pickled(images, out):
    make = partial(SegmentWorker, SETTINGS, out)
    copy, copies = pickle.loads(pickle.dumps((make, images)))
    assert (copy.func, copy.args, copy.keywords, copies) == (make.func, make.args, make.keywords, images)


def test_the_number_of_threads_is_set_where_it_is_given(images, out):
    before = torch.get_num_threads()
    try:
        list(run_locally(partial(SegmentWorker, SETTINGS, out), images[:1]))
        assert torch.get_num_threads() == before
        list(run_locally(partial(SegmentWorker, SETTINGS, out), images[:1], threads=before + 1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_what_is_done_is_not_done_again(images, out):
    run(images, out)
    images[1].files(out).annotation.unlink()
    before = modified(out)
    assert run(images, out) == ["b"]
    changed = {name for name, time in modified(out).items() if before.get(name) != time}
    assert changed == {"diffseg.json", *(path.name for path in images[1].files(out).paths)}


def modified(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        (replace(SETTINGS, save_masks=True), "save masks False there, True now"),
        (replace(SETTINGS, model=ModelChoice("owner/name")), "model demo there, owner/name now"),
        (replace(SETTINGS, model=ModelChoice(precision="bfloat16")), "precision auto there, bfloat16 now"),
        (
            RunSettings(ModelChoice(), replace(SETTINGS.capture, noise_seed=4), SegmentSettings()),
            "noise seed None there, 4 now; merge threshold 0.3 there, 1.0 now",
        ),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(images, out, settings, difference):
    assert prepare_run(images, out, SETTINGS) == images
    with pytest.raises(InvalidSettingError, match=f"got others: {difference}. Choose another --out, or --ov"):
        prepare_run(images, out, settings)
    assert prepare_run(images, out, replace(SETTINGS, model=ModelChoice(device="cpu"))) == images


def test_settings_of_a_hierarchy_decide_on_its_segments(segmenter, photograph):
    maps = segmenter.capture(photograph)

    def labels(**settings):
        return segment_maps(maps, photograph, SegmentSettings(NestedSettings(**settings))).labels

    pixels = torch.from_numpy(np.array(photograph)).float()[None] / 255
    usual = segment_hierarchy(maps, pixels, number=9).labels
    assert torch.equal(labels(number=9), usual)
    for name, value in {"neighbours_only": False, "contrast": 2.0, "colour": 5.0, "finest": 2.0}.items():
        share = {name: value / 100 if name == "finest" else value}
        assert torch.equal(
            labels(number=9, **{name: value}), segment_hierarchy(maps, pixels, 9, **share).labels
        )
        assert not torch.equal(labels(number=9, **{name: value}), usual), name
    assert labels(height=20.0).max() == 0


def test_overwriting_does_everything_again_with_any_settings(images, out):
    run(images, out, replace(SETTINGS, save_masks=True))
    assert (out / "a_masks" / "000.png").exists()
    assert run(images, out, SETTINGS, overwrite=True) == ["a", "b"]
    assert not list(out.glob("*_masks/*"))
    assert run(images, out) == []


def test_an_overwriting_run_that_is_stopped_has_forgotten_what_was_done(images, out):
    run(images, out)
    other = replace(SETTINGS, save_masks=True)
    prepare_run(images, out, other, overwrite=True)
    assert prepare_run(images, out, other) == images


def test_overwriting_with_other_settings_leaves_no_segments_of_earlier_ones(images, out):
    run(images, out)
    with pytest.raises(InvalidSettingError, match=r"segments of 1 more image\(s\), such as .*b_segments"):
        prepare_run(images[:1], out, replace(SETTINGS, save_masks=True), overwrite=True)
    assert prepare_run(images[:1], out, SETTINGS, overwrite=True) == images[:1]


def test_segments_of_unknown_settings_are_not_taken_for_done(images, out):
    run(images, out)
    (out / "diffseg.json").unlink()
    with pytest.raises(InvalidSettingError, match=r"Expected diffseg.json in .*, where 2 of the images"):
        prepare_run(images, out, SETTINGS)


def test_what_a_killed_run_left_is_swept_and_nothing_else(images, out):
    left = [f".{name}.0123456789abcdef.diffseg-tmp" for name in ("a_labels.png", "diffseg.json")]
    kept = [".other.tmp", "note.diffseg-tmp"]
    (out / "a_masks").mkdir(parents=True)
    for path in (out / left[0], out / left[1], out / "a_masks" / left[0], out / kept[0], out / kept[1]):
        path.touch()
    prepare_run(images, out, SETTINGS)
    assert sorted(path.name for path in out.rglob("*")) == sorted([*kept, "a_masks", "diffseg.json"])


def test_a_folder_that_cannot_be_written_is_refused(images, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSettingError, match="Expected an output folder that can be written, got"):
        prepare_run(images, tmp_path / "file" / "out", SETTINGS)


def test_one_bad_image_does_not_end_the_run(images, out):
    images[0].path.write_text("no image")
    outcomes = list(run_locally(partial(SegmentWorker, SETTINGS, out), images))
    assert [outcome.name for outcome in outcomes] == [str(image.path) for image in images]
    assert outcomes[0].error is not None
    assert "got 8 bytes" in outcomes[0].error
    assert outcomes[1].error is None
    with pytest.raises(UnreadableImageError):
        SegmentWorker(SETTINGS, out)(images[0])


@pytest.mark.skipif(os.name == "nt", reason="images of such names cannot be made on Windows")
def test_a_name_too_long_for_the_files_is_refused_before_a_model_is_loaded(tmp_path, out):
    folder = tmp_path / "pics"
    folder.mkdir()
    (folder / ("f" * (255 - len("_panoptic.json")) + ".png")).touch()
    assert len(find_images([str(folder)], out)) == 1
    (folder / ("t" * 251 + ".png")).touch()
    with pytest.raises(InvalidSettingError, match=r"at most 255 bytes.* Make the name shorter by 10 or more"):
        find_images([str(folder)], out)


@reads_coco
def test_the_joint_files_are_of_all_images_and_their_numbers_stay(tmp_path, out, photograph):
    folder = tmp_path / "pics"
    for name in ("b.png", "sub/c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        photograph.resize((60, 40)).save(folder / name)
    first = find_images([str(folder)], out)
    (prepared, _) = prepare_run(first, out, SETTINGS)
    SegmentWorker(SETTINGS, out)(prepared)  # and the run is stopped
    photograph.resize((40, 60)).save(folder / "a.png")
    images = find_images([str(folder)], out)
    assert run(images, out) == ["a", "sub/c"]
    finish_run(images, out)

    numbers = {"b.png": 1, "sub/c.jpg": 2, "a.png": 3}
    whole = json.loads((out / "panoptic.json").read_text())
    assert {each["file_name"]: each["id"] for each in whole["images"]} == numbers
    assert [each["file_name"] for each in whole["annotations"]] == [
        "b_panoptic.png",
        "sub/c_panoptic.png",
        "a_panoptic.png",
    ]
    assert panoptic_quality(out / "panoptic.json", out / "panoptic.json", out, out) == 1.0

    read = COCO(str(out / "instances.json"))
    assert sorted(read.getAnnIds()) == [*range(1, len(read.anns) + 1)]
    for image in images:
        own = json.loads(image.files(out).annotation.read_text())
        assert own["image_id"] == own["images"][0]["id"] == numbers[image.file_name]
        ids = pixels(image.files(out).label_map)
        found = read.loadAnns(read.getAnnIds(imgIds=[own["image_id"]]))
        assert [each["segment_id"] for each in found] == [*range(1, ids.max() + 1)]
        for each in found:
            np.testing.assert_array_equal(read.annToMask(each), ids == each["segment_id"])


def test_a_run_of_other_images_leaves_earlier_ones_in_the_joint_files(images, out):
    for some in (images[1:], images[:1]):
        run(some, out)
        finish_run(some, out)
    whole = json.loads((out / "instances.json").read_text())
    assert [(image["id"], image["file_name"]) for image in whole["images"]] == [(1, "b.png"), (2, "a.png")]
    prepare_run(images, out, SETTINGS, overwrite=True)
    assert not (out / "instances.json").exists()
    assert not (out / "panoptic.json").exists()


def test_an_image_without_its_panoptic_files_is_done_again(images, out):
    run(images, out)
    images[0].files(out).colours.unlink()
    assert run(images, out) == ["a"]


def test_a_file_that_others_have_changed_is_named(images, out):
    run(images, out)
    images[0].files(out).panoptic.write_text('{"images": []}')
    with pytest.raises(InvalidSettingError, match="Expected an image's COCO annotation in .*a_panoptic.json"):
        finish_run(images, out)
    assert not list(out.glob(".*"))


def test_errors_are_told_in_one_line_and_an_interrupt_ends_the_run():
    failures: Iterator[BaseException] = iter(
        [ValueError("one\n  two"), InvalidSettingError("Expected\nmore."), MemoryError(), KeyboardInterrupt()]
    )

    def fail(task: int) -> None:
        raise next(failures)

    outcomes = run_locally(lambda: fail, [1, 2, 3, 4, 5])
    assert [next(outcomes).error for _ in range(3)] == [
        "ValueError: one two",
        "Expected more.",
        "MemoryError",
    ]
    with pytest.raises(KeyboardInterrupt):
        next(outcomes)


def test_without_tasks_no_model_is_loaded():
    assert list(run_locally(lambda: pytest.fail("made a worker"), [])) == []
