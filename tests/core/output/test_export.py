"""Segments as files: what is in them, that other programs read them, and that they are whole or not there."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from made_images import mosaic
from panoptic_quality import panoptic_quality
from panoptic_quality import read_ids as read_colours
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from diffseg_core import AttentionMaps, InvalidSettingError, Segments, draw_overlay, segment_hierarchy
from diffseg_core.output import export, poles
from diffseg_core.output.coco import image_id_of
from diffseg_core.output.export import SegmentFiles, export_segments
from diffseg_core.output.palette import colours_of
from diffseg_core.output.poles import poles_of_inaccessibility
from diffseg_core.segments import order_by_area

# pycocotools has not yet followed numpy 2 here.
reads_coco = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

# No segment at the right edge; segment 1 has an island in the upper left corner.
DRAWING = """
1000000.
0000222.
0110222.
01133333
"""


def drawn(drawing: str = DRAWING) -> torch.Tensor:
    rows = [[-1 if cell == "." else int(cell) for cell in row] for row in drawing.split()]
    return torch.tensor(rows, dtype=torch.int32)


def many(count: int) -> torch.Tensor:
    return torch.arange(count, dtype=torch.int32).reshape(1, 1, count)


def segments_of(*labels: torch.Tensor) -> Segments:
    ordered = [order_by_area(image, torch.zeros(int(image.max()) + 1, 1, 1))[0] for image in labels]
    return Segments(torch.stack(ordered), ())


def large(scale: int = 16) -> Segments:
    """The drawing with pixels large enough for borders and numbers to leave room between them."""
    return segments_of(drawn().repeat_interleave(scale, 0).repeat_interleave(scale, 1))


def image(segments: Segments, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, *segments.image_size, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def files(tmp_path: Path) -> SegmentFiles:
    return SegmentFiles(tmp_path / "new" / "folder", "cat_00001")


def read_json(files: SegmentFiles) -> dict:
    return json.loads(files.annotation.read_text(encoding="utf-8"))


def read_ids(files: SegmentFiles) -> np.ndarray:
    with Image.open(files.label_map) as opened:
        assert opened.mode.startswith("I"), "more than 8 bits"
        return np.asarray(opened).astype(np.int64)


def test_the_files_are_written_and_nothing_else(files):
    assert not files.complete
    export_segments(large(), 0, files)
    assert files.complete
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "cat_00001_labels.png",
        "cat_00001_overlay.png",
        "cat_00001_panoptic.json",
        "cat_00001_panoptic.png",
        "cat_00001_segments.json",
    ]


def test_the_label_map_holds_index_plus_one_and_zero_where_no_segment_is(files):
    segments = segments_of(drawn())
    export_segments(segments, 0, files)
    np.testing.assert_array_equal(read_ids(files), segments.labels[0].numpy() + 1)


def test_the_label_map_is_grey_of_16_bits(files):
    export_segments(large(), 0, files)
    header = files.label_map.read_bytes()[:26]
    assert header[12:16] == b"IHDR"
    assert (header[24], header[25]) == (16, 0)  # bits per channel, colour type grey


def test_more_than_256_segments_keep_their_ids(files):
    export_segments(Segments(many(700), ()), 0, files)
    np.testing.assert_array_equal(read_ids(files)[0], np.arange(700) + 1)


@reads_coco
def test_every_segment_has_its_area_box_and_mask(files):
    segments = segments_of(drawn())
    export_segments(segments, 0, files)
    annotation = read_json(files)
    assert annotation["format"] == "diffseg-segments"
    assert annotation["version"] == 1
    assert (annotation["width"], annotation["height"]) == (8, 4)
    entries = annotation["segments_info"]
    assert [entry["index"] for entry in entries] == [0, 1, 2, 3]
    assert [entry["id"] for entry in entries] == [1, 2, 3, 4]
    assert [entry["area"] for entry in entries] == segments.areas().tolist()
    for entry, mask in zip(entries, segments.masks().numpy(), strict=True):
        rows, columns = np.nonzero(mask)
        left, top = columns.min(), rows.min()
        assert entry["bbox"] == [left, top, columns.max() - left + 1, rows.max() - top + 1]
        assert entry["segmentation"]["size"] == [4, 8]
        np.testing.assert_array_equal(coco.decode(entry["segmentation"]), mask)
        assert coco.toBbox(entry["segmentation"]).tolist() == entry["bbox"]
        assert int(coco.area(entry["segmentation"])) == entry["area"]


@reads_coco
@pytest.mark.parametrize(("image_id", "image_name"), [(None, None), (7, "cats/cat.jpg")])
def test_cocos_own_reader_opens_the_annotation_and_gives_every_mask(files, image_id, image_name):
    segments = segments_of(drawn())
    export_segments(segments, 0, files, image_id=image_id, image_name=image_name)
    read = COCO(str(files.annotation))
    (number,) = read.getImgIds()
    assert number == read_json(files)["image_id"] == (image_id or image_id_of("cat_00001"))
    (image,) = read.loadImgs([number])
    assert image["file_name"] == (image_name or files.overlay.name)
    assert (image["width"], image["height"]) == (8, 4)
    found = read.loadAnns(read.getAnnIds(imgIds=[number], catIds=read.getCatIds(catNms=["segment"])))
    assert [each["id"] for each in found] == [1, 2, 3, 4]
    for annotation, mask in zip(found, segments.masks().numpy(), strict=True):
        np.testing.assert_array_equal(read.annToMask(annotation), mask)
        assert annotation["area"] == mask.sum()
    evaluation = COCOeval(read, read.loadRes([{**each, "score": 1.0} for each in found]), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1.0


def test_panoptic_files_are_what_cocos_panoptic_evaluation_reads(files):
    """The right half has other segments: of one pair more than half is the same, of the other two less."""
    segments = segments_of(drawn("000111 000111 000111 00011."), drawn("000011 000011 000000 00000."))
    others = SegmentFiles(files.folder, "cat_00002")
    export_segments(segments, 0, files, image_id=3)
    export_segments(segments, 1, others, image_id=3)
    folder = files.folder
    for each in (files, others):
        assert panoptic_quality(each.panoptic, each.panoptic, folder, folder) == 1.0
    # of 12 and 11 pixels against 19 and 4: 12 of 19, and a miss on either side
    found = panoptic_quality(files.panoptic, others.panoptic, folder, folder)
    assert found == pytest.approx(12 / 19 / (1 + 0.5 + 0.5))
    content = json.loads(files.panoptic.read_text())
    (annotation,) = content["annotations"]
    assert (annotation["image_id"], annotation["file_name"]) == (3, "cat_00001_panoptic.png")
    assert content["images"] == [{"id": 3, "file_name": "cat_00001_overlay.png", "width": 6, "height": 4}]
    assert content["categories"] == [{"id": 1, "name": "segment", "supercategory": "segment", "isthing": 1}]
    assert annotation["segments_info"][1] == {
        "id": 2,
        "category_id": 1,
        "area": 11,
        "bbox": [3, 0, 3, 4],
        "iscrowd": 0,
    }


def test_ids_above_256_go_into_the_second_colour(files):
    export_segments(Segments(many(700), ()), 0, files)
    np.testing.assert_array_equal(read_colours(files.colours)[0], np.arange(700) + 1)
    with Image.open(files.colours) as opened:
        assert opened.getpixel((299, 0)) == (44, 1, 0)


def test_images_have_numbers_of_their_own_that_do_not_change():
    assert (
        image_id_of("DiffSeg/segments_00001")
        == zlib.crc32(b"DiffSeg/segments_00001") & 0x7FFFFFFF
        == 1227527553
    )
    numbers = {image_id_of(f"DiffSeg/segments_{number:05}") for number in range(10_000)}
    assert len(numbers) == 10_000
    assert 1 <= min(numbers) < max(numbers) < 2**31


def test_what_was_read_before_is_still_there(files):
    export_segments(segments_of(drawn()), 0, files)
    annotation = read_json(files)
    assert annotation["format"] == "diffseg-segments"
    assert annotation["version"] == 1
    assert annotation["file_name"] == files.label_map.name
    assert annotation["overlay_file_name"] == files.overlay.name
    assert isinstance(annotation["image_id"], int)
    described = {entry["id"]: entry["area"] for entry in annotation["segments_info"]}
    in_image = dict(zip(*np.unique(read_ids(files), return_counts=True), strict=True))
    in_image.pop(0)
    assert in_image == described


def test_the_overlay_is_the_preview_of_the_image(files):
    segments = large()
    export_segments(segments, 0, files, image(segments))
    expected = draw_overlay(image(segments), segments)[0].numpy() * 255
    overlay = np.asarray(Image.open(files.overlay))
    assert overlay.dtype == np.uint8
    assert np.abs(overlay - expected).max() <= 0.51


def test_without_an_image_the_overlay_shows_the_colours_of_the_annotation(files):
    segments = large()
    export_segments(segments, 0, files)
    overlay = np.asarray(Image.open(files.overlay)).reshape(-1, 3)
    ids = read_ids(files).ravel()
    for entry in read_json(files)["segments_info"]:
        colours, counts = np.unique(overlay[ids == entry["id"]], axis=0, return_counts=True)
        assert colours[counts.argmax()].tolist() == entry["color"]
    outside = np.unique(overlay[ids == 0], axis=0, return_counts=True)
    assert np.ptp(outside[0][outside[1].argmax()]) == 0, "grey where no segment is"


def test_poles_are_looked_for_once(files, monkeypatch):
    looked = []

    def find(labels):
        looked.append(labels.shape)
        return poles_of_inaccessibility(labels)

    monkeypatch.setattr(poles, "poles_of_inaccessibility", find)
    export_segments(large(), 0, files, image(large()))
    assert looked == [large().image_size]


def test_texts_are_kept_in_the_overlay(files):
    export_segments(large(), 0, files, metadata={"prompt": '{"a": "ü"}', "workflow": "{}"})
    with Image.open(files.overlay) as opened:
        opened.load()
        assert opened.text == {"prompt": '{"a": "ü"}', "workflow": "{}"}
    with Image.open(files.label_map) as opened:
        opened.load()
        assert opened.text == {}


def test_each_image_of_a_batch_goes_with_its_own_segments(files):
    segments = segments_of(drawn(), drawn().flip(1))
    export_segments(segments, 1, files, image(segments, 2))
    np.testing.assert_array_equal(read_ids(files), segments.labels[1].numpy() + 1)
    expected = draw_overlay(image(segments, 2), segments)[1].numpy() * 255
    assert np.abs(np.asarray(Image.open(files.overlay)) - expected).max() <= 0.51


def test_the_tree_is_written_where_it_is_wanted(files, attention):
    maps = AttentionMaps({(8, 8): attention((8, 8), batch=2)})
    image = torch.cat((mosaic(64, 64), mosaic(64, 64, seed=1)))
    segments = segment_hierarchy(maps, image, number=4)
    export_segments(segments, 1, files, image, hierarchy=True)
    with np.load(files.hierarchy) as saved:
        leaves, joins = saved["leaves"], saved["joins"]
        assert np.array_equal(saved["heights"], segments.hierarchies[1].heights.numpy())
    segment = np.arange(len(joins) + 1)
    for first, second in joins[: len(joins) + 1 - 4][::-1]:  # as the help page of Save says
        segment[second] = segment[first]
    four = np.unique(np.where(leaves < 0, -1, segment[leaves]), return_inverse=True)[1].reshape(leaves.shape)
    both = np.stack((four.ravel(), segments.labels[1].numpy().ravel()))
    assert len(np.unique(both, axis=1)[0]) == 4
    colours = json.loads(files.annotation.read_text())["segments_info"]
    expected = np.rint(colours_of(segments, 1) * 255).astype(int).tolist()
    assert [each["color"] for each in colours] == expected, "those of its own tree"
    export_segments(segments.subset([[0], [0, 2]]), 1, files, image, hierarchy=True)
    with np.load(files.hierarchy) as saved:
        assert (saved["leaves"] >= 0).sum() == segments.areas(1)[[0, 2]].sum()
    export_segments(segments, 1, files, image)
    assert not files.hierarchy.exists()


def test_names_are_categories(files):
    masks = torch.zeros(3, 8, 8, dtype=torch.bool)
    masks[0, :2], masks[1, 2:5], masks[2, 5:] = True, True, True
    segments = Segments.of_masks([masks], [("cup", "", "table")])
    export_segments(segments, 0, files)
    for path in (files.annotation, files.panoptic):
        content = json.loads(path.read_text())
        assert [(each["id"], each["name"]) for each in content["categories"]] == [
            (1, "segment"), (2, "table"), (3, "cup")
        ]  # fmt: skip
    info = json.loads(files.annotation.read_text())
    assert [each["category_id"] for each in info["segments_info"]] == [1, 2, 3]
    assert [each["category_id"] for each in info["annotations"]] == [1, 2, 3]


@pytest.mark.parametrize("with_image", [True, False])
def test_an_image_without_any_segment_is_written_too(files, with_image):
    nothing = Segments(torch.full((1, 20, 30), -1, dtype=torch.int32), ())
    export_segments(nothing, 0, files, image(nothing) if with_image else None)
    assert read_json(files)["segments_info"] == []
    assert not read_ids(files).any()


def test_as_many_segments_as_16_bits_hold_and_no_more(files, monkeypatch):
    monkeypatch.setattr(export, "MAX_SEGMENTS", 300)
    export_segments(Segments(many(300), ()), 0, files)
    with pytest.raises(InvalidSettingError, match="at most 300 segments .* got 301"):
        export_segments(Segments(many(301), ()), 0, files)


def test_the_limit_is_that_of_16_bits(files):
    with pytest.raises(InvalidSettingError, match="at most 65535 segments .* got 65536"):
        export_segments(Segments(many(65536), ()), 0, files)
    assert not files.folder.exists()


def test_what_does_not_fit_is_refused_before_anything_is_written(files):
    segments = large()
    with pytest.raises(InvalidSettingError, match="image index from 0 to 0, got 1"):
        export_segments(segments, 1, files)
    with pytest.raises(InvalidSettingError, match=r"Expected an image of 64×128 pixels .* got 64×64"):
        export_segments(segments, 0, files, torch.rand(1, 64, 64, 3))
    assert not files.folder.exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def mask_files(files: SegmentFiles) -> list[str]:
    return sorted(path.name for path in files.masks.iterdir())


def test_each_mask_is_written_to_a_file_where_that_is_wanted(files):
    segments = segments_of(drawn())
    export_segments(segments, 0, files, masks=True)
    assert mask_files(files) == ["000.png", "001.png", "002.png", "003.png"]
    for index, mask in enumerate(segments.masks().numpy()):
        with Image.open(files.mask(index)) as opened:
            assert opened.mode == "L"
            np.testing.assert_array_equal(np.asarray(opened), mask * 255)


def test_masks_of_earlier_segments_do_not_stay(files):
    export_segments(segments_of(drawn()), 0, files, masks=True)
    (files.masks / "notes.png").touch()
    export_segments(segments_of(drawn("0011")), 0, files, masks=True)
    assert mask_files(files) == ["000.png", "001.png", "notes.png"]
    export_segments(segments_of(drawn("0011")), 0, files)
    assert mask_files(files) == ["notes.png"]


def test_where_encoding_fails_the_files_are_as_they_were(files, monkeypatch):
    export_segments(large(), 0, files)
    before = contents(files.folder)
    save = Image.Image.save

    def fail_on_the_overlay(image, target, **settings):
        if image.mode == "RGB":
            target.write(b"half")
            raise OSError("encoder error")
        save(image, target, **settings)

    monkeypatch.setattr(Image.Image, "save", fail_on_the_overlay)
    with pytest.raises(OSError, match="encoder error"):
        export_segments(large(8), 0, files)
    assert contents(files.folder) == before


@pytest.mark.parametrize("failing", [0, 1, 2, 3, 4])
def test_where_writing_fails_there_is_no_half_file_and_no_annotation(files, monkeypatch, failing):
    opened: list[Path] = []
    open_file = Path.open

    def fill_the_disk(path, mode):
        opened.append(path)
        if len(opened) > failing:
            with open_file(path, mode) as file:
                file.write(b"half")
            raise OSError("no space left on device")
        return open_file(path, mode)

    monkeypatch.setattr(Path, "open", fill_the_disk)
    with pytest.raises(OSError, match="no space left"):
        export_segments(large(), 0, files)
    assert contents(files.folder) == {}


@pytest.mark.parametrize("failing", ["_labels.png", "_overlay.png", "_panoptic.png", "_segments.json"])
def test_where_moving_fails_no_annotation_says_that_the_set_is_complete(files, monkeypatch, failing):
    export_segments(large(), 0, files)
    replace = Path.replace

    def fail(path, target):
        if target.name.endswith(failing):
            raise OSError("in use")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="in use"):
        export_segments(large(8), 0, files)
    assert {path.name for path in files.folder.iterdir()} == {path.name for path in files.paths[:-1]}
    for path in (files.label_map, files.overlay, files.colours):
        with Image.open(path) as opened:
            opened.load()


def test_the_annotation_comes_last(files, monkeypatch):
    moved = []
    replace = Path.replace

    def note(path, target):
        moved.append(target)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", note)
    export_segments(large(), 0, files)
    assert moved[-1] == files.annotation
    assert len(moved) == 5


@pytest.mark.skipif(os.name == "nt", reason="files have no such modes on Windows")
def test_the_files_are_as_readable_as_any_other(files):
    export_segments(large(), 0, files)
    other = files.folder / "other"
    other.touch()
    modes = {path.stat().st_mode for path in files.folder.iterdir()}
    assert modes == {other.stat().st_mode}
