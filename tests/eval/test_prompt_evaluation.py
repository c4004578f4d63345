"""``diffseg evaluate clicks`` and ``boxes``: the protocol by hand, and the command on made-up photographs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffseg_cli.batch.settings import SegmentSettings
from diffseg_cli.commands import main
from diffseg_core.benchmark.clicks import Truth, box_of, click_ious, clicks_needed, next_click, object_iou
from diffseg_core.objects.points import Point
from diffseg_core.objects.prompts import Box, Click
from diffseg_eval.datasets import open_dataset
from diffseg_eval.datasets.objects import ObjectFolder
from diffseg_eval.grab_cut import by_grab_cut, grab_cut
from diffseg_eval.metrics import compute_metrics
from diffseg_eval.segmentations import Context
from diffseg_eval.types import AnnotatedImage, DatasetError


def truth(rows: list[str]) -> Truth:
    """ "#" is the object, "?" does not count."""
    drawn = np.array([list(row) for row in rows])
    return Truth(drawn == "#", drawn == "?")


SQUARE = truth(["........", ".#####..", ".#####..", ".#####..", "........", "......??"])


def test_the_first_click_is_the_middle_of_the_object():
    nothing = np.zeros(SQUARE.mask.shape, bool)
    assert next_click(nothing, SQUARE, nothing) == Click(Point(2, 2))  # the first of three


def test_the_next_click_goes_to_the_larger_error_and_not_to_a_clicked_or_ignored_pixel():
    everything = np.ones(SQUARE.mask.shape, bool)
    nothing = np.zeros(SQUARE.mask.shape, bool)
    click = next_click(everything, SQUARE, nothing)
    assert not click.positive
    assert not SQUARE.mask[click.point.y, click.point.x]
    assert not SQUARE.ignored[click.point.y, click.point.x]
    clicked = nothing.copy()
    clicked[2, 2] = True
    assert next_click(nothing, SQUARE, clicked).point == Point(3, 2)
    # Equal errors: against the object.
    one = truth(["#..", "...", "..."])
    missing_and_more = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1]], bool)
    assert next_click(missing_and_more, one, np.zeros((3, 3), bool)) == Click(Point(2, 2), False)


def test_the_iou_leaves_ignored_pixels_out():
    mask = SQUARE.mask.copy()
    mask[5, 6:] = True
    assert object_iou(mask, SQUARE) == 1
    mask[0, 0] = True
    assert object_iou(mask, SQUARE) == pytest.approx(15 / 16)


def test_clicks_are_given_one_after_the_other_until_they_are_counted():
    seen = []

    def segmenter(clicks):
        seen.append(list(clicks))
        mask = SQUARE.mask.copy()
        mask[:, : 4 - len(clicks)] = False
        return mask

    ious = click_ious(segmenter, SQUARE, clicks=4)
    assert [len(clicks) for clicks in seen] == [1, 2, 3, 4]
    assert ious == pytest.approx([0.6, 0.8, 1.0, 1.0])
    for least, made in ((1, 2), (3, 3), (9, 4)):
        assert click_ious(segmenter, SQUARE, 4, 0.8, least) == ious[:made]
    assert [clicks_needed(ious, wanted) for wanted in (0.5, 0.8, 0.9, 1.1)] == [1, 2, 3, 4]


def test_boxes_are_tight_or_larger_by_a_share_of_the_object():
    assert box_of(SQUARE) == Box(1, 1, 6, 4)
    assert box_of(SQUARE, 0.5) == Box(0, 0, 8, 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for index in range(2):
        mask = np.zeros((90, 120), np.uint8)
        mask[20:70, 30 + 10 * index : 90] = 255
        mask[70:72] = 128
        photo = np.where(mask[..., None] == 255, (200, 60, 40), (40, 120, 160))
        noise = generator.integers(-8, 9, photo.shape)
        Image.fromarray((photo + noise).astype(np.uint8)).save(tmp_path / f"data/images/p{index}.png")
        Image.fromarray(mask).save(tmp_path / f"data/masks/p{index}.png")
    return tmp_path / "data"


OPTIONS = ["--working-size", "64", "--threads", "1", "--device", "cpu"]


@pytest.mark.parametrize("kind", ["clicks", "boxes"])
def test_the_command_prints_a_table_and_keeps_every_image(kind, folder, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["evaluate", kind, "--root", str(folder), "--out", str(run), *OPTIONS]) == 0
    table = capsys.readouterr().out
    assert "2 images" in table
    assert (run / "table.md").read_text().strip() == table.strip()
    content = json.loads((run / "results.json").read_text())
    assert content["pictures"] == ["p0", "p1"]
    assert content["settings"]["working_size"] == 64
    methods = ["object", "colour-object", *(["box"] if kind == "boxes" else []), "grabcut", "object-grabcut"]
    assert [row["method"] for row in content["rows"]] == methods
    assert "] |" in table
    assert "95 % confidence" in table
    metrics = content["rows"][0]["metrics"]
    for name in content["pictures"]:
        rows = json.loads((run / f"pictures/{name}.json").read_text())["rows"]
        prompt = "click" if kind == "clicks" else "box"
        for method in ("object", "object-grabcut"):
            ious, boundary_ious = rows[method][f"{prompt}_ious"], rows[method][f"{prompt}_boundary_ious"]
            assert (len(ious), len(boundary_ious)) == ((5, 1) if kind == "clicks" else (3, 3))
            assert ious[0] > 0.9
            assert boundary_ious[0] > 0.7
    if kind == "clicks":
        assert (metrics["noc85"], metrics["never_90"]) == (1, 0)
        assert "NoC85 | NoC90 | IoU after 1 |" in table
    else:
        assert metrics["box_iou"] > 0.9
        assert "tight box | 10% larger | 20% larger | boundary IoU, tight box |" in table


def test_two_methods_are_compared_by_clicks_and_by_boxes(folder, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["evaluate", "boxes", "--root", str(folder), "--out", str(run), *OPTIONS]) == 0
    assert main(["compare", f"{run}:box", f"{run}:object"]) == 0
    assert "| 20% larger |" in capsys.readouterr().out


def test_figures_of_clicks_are_those_worked_by_hand():
    records = [
        {
            "click_ious": [0.5, 0.86, 0.88, 0.91, 0.92],
            "click_boundary_ious": [0.4],
            "seconds_per_prompt": 0.1,
        },
        {
            "click_ious": [0.2, 0.3, 0.84, 0.84, 0.8],
            "click_boundary_ious": [0.1],
            "seconds_per_prompt": 0.3,
        },
    ]
    expected = {"noc85": (2 + 5) / 2, "noc90": (4 + 5) / 2, "never_85": 1, "never_90": 1}
    expected |= {"iou_after_1": 0.35, "iou_after_3": 0.86, "iou_after_5": 0.86, "seconds_per_prompt": 0.2}
    expected["boundary_iou_after_1"] = 0.25
    metrics = {name: metric.overall for name, metric in compute_metrics(records).items()}
    assert metrics == pytest.approx(expected)


def test_methods_for_another_task_are_refused(folder, capsys):
    for methods in ("slic:4", "box"):
        assert main(["evaluate", "clicks", "--root", str(folder), "--methods", methods]) == 2
        assert (
            f"among object, colour-object, grabcut, object-grabcut, or all, got '{methods[:4]}"
            in capsys.readouterr().err
        )


def test_a_mask_without_an_object_or_that_is_missing_is_named(folder):
    Image.new("L", (120, 90)).save(folder / "masks/p0.png")
    with pytest.raises(DatasetError, match="p0"):
        ObjectFolder(folder, "clicks").load("p0")
    (folder / "masks/p1.png").unlink()
    with pytest.raises(DatasetError, match="p1"):
        ObjectFolder(folder, "clicks")


def leaf_and_ground() -> AnnotatedImage:
    """A red disc on blue, with noise."""
    rows, columns = np.ogrid[:80, :100]
    mask = (rows - 40) ** 2 + (columns - 45) ** 2 <= 20**2
    noise = np.random.default_rng(0).integers(-8, 9, (80, 100, 3))
    photo = np.where(mask[..., None], (200, 60, 40), (40, 120, 160)) + noise
    return AnnotatedImage(
        "leaf", Image.fromarray(photo.astype(np.uint8)), object=Truth(mask, np.zeros_like(mask))
    )


def test_grabcut_finds_what_colours_separate_by_a_box_and_by_clicks():
    image = leaf_and_ground()
    assert image.object is not None
    find = by_grab_cut(Context(None, SegmentSettings()), image)
    for prompts in (
        [Box(20, 15, 75, 70)],
        [Click(Point(45, 40))],
        [Click(Point(45, 40)), Click(Point(90, 70), False)],
    ):
        mask = find(prompts)
        assert object_iou(mask, image.object) > 0.97, prompts
        assert np.array_equal(find(prompts), mask)  # no chance in it
    assert not find([Box(20, 15, 45, 70)])[:, 45:].any()
    # A click is certain whatever its colour, and the last one on a pixel counts.
    against = [Click(Point(45, 40)), Click(Point(50, 30), False)]
    assert not find(against)[30, 47:54].any()
    assert find([*against, Click(Point(50, 30))])[30, 47:54].all()
    # Without any background there is nothing to learn.
    assert find([Box(0, 0, 100, 80)]).all()
    assert not grab_cut(image.pixels, np.full((80, 100), 2, np.uint8)).any()


def test_a_missing_opencv_is_said_before_anything_is_run(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("diffseg_eval.methods.find_spec", lambda name: None)
    command = ["evaluate", "boxes", "--root", str(folder), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    assert "Expected OpenCV for grabcut and object-grabcut" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main([*command, "--methods", "colour-object,box"]) == 0


def make_coco(root: Path) -> None:
    """Three photographs of 20×10: two cups and a crowd before a wall; a wall; a cup that is too large."""
    for name in ("images", "panoptic"):
        (root / name).mkdir(parents=True)
    drawings = [
        [(300, 1, 0, 2), (70000, 1, 0, 6), (5, 1, 1, 8), (6, 2, 0, 3)],
        [(7, 2, 0, 20)],
        [(8, 1, 0, 18)],
    ]
    annotations = []
    for index, columns in enumerate(drawings):
        ids, left, segments = np.zeros((10, 20), np.int64), 0, []
        for id_, category, crowd, width in columns:
            ids[:, left : left + width] = id_
            left += width
            segments.append({"id": id_, "category_id": category, "iscrowd": crowd, "area": 10 * width})
        colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
        Image.fromarray(colours).save(root / f"panoptic/{index}.png")
        Image.fromarray(colours).save(root / f"images/{index}.jpg")
        annotations.append({"file_name": f"{index}.png", "image_id": index, "segments_info": segments})
    images = [{"id": index, "height": 10, "width": 20} for index in range(3)]
    categories = [{"id": 1, "isthing": 1}, {"id": 2, "isthing": 0}]
    content = {"annotations": annotations[::-1], "images": images, "categories": categories}
    (root / "panoptic.json").write_text(json.dumps(content))


def test_of_cocos_photographs_the_object_is_the_largest_thing_that_is_no_crowd(tmp_path):
    make_coco(tmp_path)
    dataset = open_dataset("boxes", tmp_path)
    assert dataset.names == ("0",)
    image = dataset.load("0")
    assert image.object is not None
    assert (image.pixels.size, image.object.mask.shape) == ((20, 10), (10, 20))
    assert box_of(image.object) == Box(2, 0, 8, 10)
    assert np.array_equal(np.flatnonzero(image.object.ignored.all(0)), [19])
    (tmp_path / "images/0.jpg").unlink()
    with pytest.raises(DatasetError, match=r"0\.jpg, which is missing"):
        open_dataset("clicks", tmp_path)
    (tmp_path / "panoptic.json").write_text("[]")
    with pytest.raises(DatasetError, match="list of segments"):
        open_dataset("clicks", tmp_path)


def test_two_halves_are_every_second_image(folder, tmp_path, capsys):
    for skip, expected in ((0, ["p0"]), (1, ["p1"])):
        options = ["--methods", "box", "--every", "2", "--skip", str(skip)]
        assert (
            main(["evaluate", "boxes", "--root", str(folder), "--out", str(tmp_path / "run"), *options]) == 0
        )
        assert json.loads((tmp_path / "run/results.json").read_text())["pictures"] == expected
