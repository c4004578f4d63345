"""Data sets in the layouts of the real ones: what is read from them, and what is refused before a run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_datasets import (
    BAND,
    HEIGHT,
    LEFT,
    MAKERS,
    RIGHT,
    WIDTH,
    made_picture,
    made_regions,
    make_bsds500,
    make_cityscapes27,
    make_coco27_panoptic,
    make_cocostuff27,
    make_folder,
    save,
)
from PIL import Image
from scipy.io import savemat

from diffseg_cli.errors import DatasetError
from diffseg_cli.evaluation.annotated import VOID
from diffseg_cli.evaluation.datasets import DATASETS, open_dataset
from diffseg_cli.evaluation.datasets.coco27_classes import FINE_TO_COARSE, NAMES
from diffseg_cli.evaluation.datasets.square import CentralSquare
from diffseg_core import DiffSegError
from diffseg_core.errors import InvalidSettingError

SQUARES = ("cocostuff27", "cityscapes27", "coco27-panoptic")
CROP = slice(10, 50)  # columns of the central square of a made picture


def numbered(regions: np.ndarray, left: int, right: int, band: int) -> list[list[int]]:
    numbers = {LEFT: left, RIGHT: right, BAND: band}
    return np.vectorize(numbers.get)(regions).tolist()


# Every data set


@pytest.mark.parametrize("name", DATASETS)
def test_every_picture_has_a_name_of_its_own_and_annotations_of_its_size(name: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    dataset = open_dataset(name, tmp_path)
    assert list(dataset.names) == names
    for picture in map(dataset.load, dataset.names):
        size = (picture.image.height, picture.image.width)
        assert size == ((512, 512) if name in SQUARES else (HEIGHT, WIDTH))
        assert picture.image.mode == "RGB"
        for labels in (*picture.segments, *(() if picture.classes is None else (picture.classes,))):
            assert labels.shape == size
            assert labels.dtype == np.int32
        assert all(drawn.shape == size and drawn.dtype == np.bool_ for drawn in picture.boundaries)


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_measured_is_annotated(name: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    dataset = open_dataset(name, tmp_path)
    picture = dataset.load(names[0])
    assert ("classes" in dataset.measures) == (picture.classes is not None) == bool(dataset.class_names)
    assert ("segments" in dataset.measures) == (len(picture.segments) == 1)
    assert ("people" in dataset.measures) == (len(picture.segments) > 1)
    assert ("boundaries" in dataset.measures) == bool(picture.boundaries)
    if picture.classes is not None:
        assert picture.classes.max() < len(dataset.class_names)


@pytest.mark.parametrize("name", DATASETS)
def test_an_opened_data_set_can_be_sent_to_a_worker(name: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    sent = pickle.loads(pickle.dumps(open_dataset(name, tmp_path)))
    assert sent.load(names[-1]).name == names[-1]


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("root", ["", "nowhere"])
def test_a_root_without_the_data_set_is_refused_with_the_layout_and_where_to_get_it(
    name: str, root: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError) as error:
        open_dataset(name, tmp_path / root)
    problem, layout, download = str(error.value).splitlines()
    assert str(tmp_path) in problem
    assert "ROOT/" in layout
    assert name == "folder" or "http" in download


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cocostuff27", "val2017/000000000140.jpg"),
        ("cocostuff27", "stuffthingmaps_trainval2017/val2017/000000000140.png"),
        ("cocostuff27", "Coco164kFull_Stuff_Coarse_7.txt"),
        ("cityscapes27", "gtFine/val/lindau/lindau_000001_000019_gtFine_labelIds.png"),
        ("coco27-panoptic", "panoptic/000000000010.png"),
        ("coco27-panoptic", "coco27/000000000010.png"),
        ("bsds500", "BSR/BSDS500/data/groundTruth/val/101086.mat"),
        ("folder", "labels/made_1.png"),
    ],
)
def test_a_missing_file_is_named_when_the_data_set_is_opened(name: str, file: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(DatasetError, match=Path(file).name):
        open_dataset(name, tmp_path)


def test_only_the_first_of_many_missing_files_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for path in (tmp_path / "labels").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"made_0\.png, which is missing, and 2 other files\."):
        open_dataset("folder", tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cocostuff27", "stuffthingmaps_trainval2017/val2017/000000000139.png"),
        ("cityscapes27", "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png"),
        ("coco27-panoptic", "panoptic/000000000009.png"),
        ("coco27-panoptic", "coco27/000000000009.png"),
        ("folder", "labels/made_0.png"),
    ],
)
def test_an_annotation_of_another_size_is_refused(name: str, file: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    with Image.open(tmp_path / file) as annotation:
        smaller = np.array(annotation)[:, 1:]
    save(tmp_path / file, smaller)
    dataset = open_dataset(name, tmp_path)
    with pytest.raises(DatasetError, match=rf"60×40 pixels.*{Path(file).name}, got 59×40"):
        dataset.load(names[0])


@pytest.mark.parametrize(
    ("name", "file", "value", "message"),
    [
        ("cocostuff27", "stuffthingmaps_trainval2017/val2017/000000000139.png", 182, r"0\.\.181, 255 in"),
        ("cityscapes27", "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png", 255, r"0\.\.33 in"),
        ("coco27-panoptic", "coco27/000000000009.png", 27, r"0\.\.26, 255 in"),
    ],
)
def test_a_value_that_is_no_class_is_refused(
    name: str, file: str, value: int, message: str, tmp_path: Path
) -> None:
    names = MAKERS[name](tmp_path)
    save(tmp_path / file, np.full((HEIGHT, WIDTH), value, np.uint8))
    dataset = open_dataset(name, tmp_path)
    with pytest.raises(DatasetError, match=rf"{message} .*{Path(file).name}, got {value}\."):
        dataset.load(names[0])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cityscapes27", "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png"),
        ("cocostuff27", "stuffthingmaps_trainval2017/val2017/000000000139.png"),
        ("bsds500", "BSR/BSDS500/data/groundTruth/val/101085.mat"),
    ],
)
@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda content: b"no picture"]
)
def test_a_damaged_file_is_named(
    name: str, file: str, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    names = MAKERS[name](tmp_path)
    path = tmp_path / file
    path.write_bytes(damage(path.read_bytes()))
    dataset = open_dataset(name, tmp_path)
    with pytest.raises(DatasetError, match=f"{path.name}, which cannot be read"):
        dataset.load(names[0])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("imagenet", {}, "cocostuff27, .*got 'imagenet'"),
        ("bsds500", {"resolution": 512}, "no resolution for bsds500, got 512.*split"),
        ("cocostuff27", {"void": 0}, "no void for cocostuff27, got 0.*resolution"),
        ("cityscapes27", {"resolution": 0}, "at least 1 pixel, got 0"),
        ("bsds500", {"split": "dev"}, "train, val, test, got 'dev'"),
        ("folder", {"void": -1}, r"0\.\.16777215, got -1"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    name: str, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        open_dataset(name, tmp_path, **options)


# The square


def test_labels_take_the_nearest_pixel_of_the_central_square() -> None:
    labels = np.arange(4 * 7).reshape(4, 7)
    square = labels[:, 1:5]  # (7 − 4) // 2 = 1
    assert CentralSquare(4).of_labels(labels).tolist() == square.tolist()
    assert CentralSquare(2).of_labels(labels).tolist() == square[np.ix_([1, 3], [1, 3])].tolist()
    assert CentralSquare(3).of_labels(labels).tolist() == square[np.ix_([0, 2, 3], [0, 2, 3])].tolist()
    assert CentralSquare(4).of_labels(labels.T).tolist() == square.T.tolist()


def test_pictures_are_resized_between_pixel_centres_without_smoothing() -> None:
    row = np.array([9, 0, 100, 200, 40, 9], np.uint8)  # the central square: 0, 100, 200, 40
    picture = Image.fromarray(np.broadcast_to(row[:, None], (4, 6, 3)).copy())
    larger = np.array(CentralSquare(8).of_picture(picture))
    assert larger[0, :, 0].tolist() == [0, 25, 75, 125, 175, 160, 80, 40]
    smaller = np.array(CentralSquare(1).of_picture(picture))
    assert smaller.tolist() == [[[150, 150, 150]]]  # of its two middle pixels; the mean of all is 85
    same = np.array(CentralSquare(4).of_picture(picture))
    assert same[:, :, 1].tolist() == [[0, 100, 200, 40]] * 4


def test_a_half_grey_level_goes_to_the_even_one() -> None:
    picture = Image.fromarray(np.array([[[0] * 3, [1] * 3], [[2] * 3, [3] * 3]], np.uint8))
    assert np.array(CentralSquare(1).of_picture(picture)).tolist() == [[[2, 2, 2]]]  # of 1.5
    picture = Image.fromarray(np.array([[[0] * 3, [1] * 3]] * 2, np.uint8))
    assert np.array(CentralSquare(1).of_picture(picture)).tolist() == [[[0, 0, 0]]]  # of 0.5


@pytest.mark.parametrize("name", SQUARES)
def test_squares_come_at_any_resolution(name: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    picture = open_dataset(name, tmp_path, resolution=20).load(names[1])
    nearest = made_regions(1)[1::2, CROP][:, 1::2]
    assert picture.image.size == (20, 20)
    assert picture.classes is not None
    first, last = picture.classes[-1, [0, -1]]
    assert picture.classes.tolist() == numbered(nearest, first, last, VOID)


# Each data set


def test_the_27_classes_cover_coco_stuff() -> None:
    assert sorted(FINE_TO_COARSE) == [*range(182), 255]
    assert len(NAMES) == 27
    things, stuff = NAMES[:12], NAMES[12:]
    assert all(name.endswith("-things") for name in things)
    assert all(name.endswith("-stuff") for name in stuff)
    assert all((FINE_TO_COARSE[fine] < 12) == (fine <= 90) for fine in range(182))


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [(0, "person-things"), (71, "electronic-things"), (178, "water-stuff"), (181, "solid-stuff")],
)
def test_fine_classes_belong_to_their_supercategory(fine: int, coarse: str) -> None:
    assert NAMES[FINE_TO_COARSE[fine]] == coarse


@pytest.mark.parametrize(
    "folders",
    [
        {},
        {"images": "images/val2017", "labels": "annotations/val2017", "ids": "curated/val2017"},
        {"labels": "annotation_val2017"},
        {"labels": "val2017"},
    ],
)
def test_cocostuff27_is_read_in_the_usual_layouts(folders: dict[str, str], tmp_path: Path) -> None:
    names = make_cocostuff27(tmp_path, **folders)
    dataset = open_dataset("cocostuff27", tmp_path, resolution=HEIGHT)
    picture = dataset.load(names[2])
    assert picture.classes is not None
    assert picture.classes.tolist() == numbered(made_regions(2)[:, CROP], 9, 23, VOID)
    assert [dataset.class_names[index] for index in (9, 23)] == ["person-things", "sky-stuff"]
    assert dataset.measures == {"classes"}


def test_cocostuff27_is_the_list_in_its_order(tmp_path: Path) -> None:
    first, _, last = make_cocostuff27(tmp_path)
    (tmp_path / "Coco164kFull_Stuff_Coarse_7.txt").write_text(f"{last}\r\n{first}\r\n")
    assert list(open_dataset("cocostuff27", tmp_path).names) == [last, first]


@pytest.mark.parametrize("content", ["", "000000000139\n000000000139\n"])
def test_cocostuff27_refuses_a_list_that_is_empty_or_repeats(content: str, tmp_path: Path) -> None:
    make_cocostuff27(tmp_path)
    (tmp_path / "Coco164kFull_Stuff_Coarse_7.txt").write_text(content)
    with pytest.raises(DatasetError, match=r"Coarse_7\.txt, each once"):
        open_dataset("cocostuff27", tmp_path)


def test_cityscapes27_names_hold_the_city_and_labels_from_7_are_classes(tmp_path: Path) -> None:
    names = make_cityscapes27(tmp_path)
    dataset = open_dataset("cityscapes27", tmp_path, resolution=HEIGHT)
    assert dataset.names[2] == names[2] == "munster/munster_000000_000019"
    picture = dataset.load(names[1])
    assert picture.classes is not None
    assert picture.classes.tolist() == numbered(made_regions(1)[:, CROP], 0, 26, VOID)
    assert np.array_equal(picture.image, made_picture(1)[:, CROP])
    assert (dataset.class_names[0], dataset.class_names[26]) == ("road", "bicycle")


def test_coco27_panoptic_has_classes_and_numbered_segments(tmp_path: Path) -> None:
    names = make_coco27_panoptic(tmp_path)
    picture = open_dataset("coco27-panoptic", tmp_path, resolution=HEIGHT).load(names[0])
    regions = made_regions(0)[:, CROP]
    assert picture.classes is not None
    assert picture.classes.tolist() == numbered(regions, 9, 23, VOID)
    (segments,) = picture.segments
    assert segments.tolist() == numbered(regions, 1, 0, VOID)  # ids 70000 and 300


@pytest.mark.parametrize("root", ["", "BSR", "BSR/BSDS500", "BSR/BSDS500/data"])
def test_bsds500_is_found_from_every_folder_of_the_download(root: str, tmp_path: Path) -> None:
    make_bsds500(tmp_path)
    assert len(open_dataset("bsds500", tmp_path / root).names) == 3


@pytest.mark.parametrize("split", ["train", "val", "test", None])
def test_bsds500_gives_what_every_person_drew(split: str | None, tmp_path: Path) -> None:
    names = make_bsds500(tmp_path, split)
    picture = open_dataset("bsds500", tmp_path, split=split).load(names[1])
    regions = made_regions(1)
    without_band = np.where(regions == BAND, regions[4], regions)
    first, second = picture.segments
    assert first.tolist() == numbered(regions, 0, 1, 2)
    assert second.tolist() == numbered(without_band, 0, 1, 2)
    assert picture.boundaries[0].sum() == 60 + 35  # under the band, and down the middle
    assert np.argwhere(picture.boundaries[1])[:, 1].tolist() == [32] * 40


def test_bsds500_needs_the_split_that_was_asked_for(tmp_path: Path) -> None:
    make_bsds500(tmp_path, "val")
    with pytest.raises(DatasetError, match=r"images/test.*found none"):
        open_dataset("bsds500", tmp_path, split="test")


def test_bsds500_refuses_a_drawing_of_another_size(tmp_path: Path) -> None:
    names = make_bsds500(tmp_path, None)
    people = np.empty((1, 1), object)
    people[0, 0] = {"Segmentation": np.ones((40, 60), np.uint16), "Boundaries": np.zeros((40, 61), np.uint8)}
    savemat(tmp_path / "groundTruth" / f"{names[0]}.mat", {"groundTruth": people})
    with pytest.raises(DatasetError, match=r"60×40 pixels.*101085\.mat, got 61×40"):
        open_dataset("bsds500", tmp_path).load(names[0])


def test_a_folder_takes_8_bit_values_for_classes_and_segments(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    save(tmp_path / "labels/made_2.png", np.full((HEIGHT, WIDTH), 200, np.uint8))
    dataset = open_dataset("folder", tmp_path, void=255)
    assert dataset.measures == {"classes", "segments"}
    assert list(dataset.class_names) == ["3", "7", "200"]
    picture, last = dataset.load(names[1]), dataset.load(names[2])
    assert picture.classes is not None
    assert last.classes is not None
    assert picture.classes.tolist() == numbered(made_regions(1), 0, 1, VOID)
    assert picture.segments[0].tolist() == numbered(made_regions(1), 0, 1, VOID)
    assert np.unique(last.classes).tolist() == [2]
    assert np.unique(last.segments[0]).tolist() == [0]


def test_a_folder_is_annotated_everywhere_unless_a_void_value_is_named(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    dataset = open_dataset("folder", tmp_path)
    assert list(dataset.class_names) == ["3", "7", "255"]
    picture = dataset.load(names[0])
    assert picture.classes is not None
    assert picture.classes.tolist() == numbered(made_regions(0), 0, 1, 2)


def test_a_folder_reads_the_indices_of_palettes(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    for index, name in enumerate(names):
        labels = Image.fromarray(made_regions(index)).convert("P")
        labels.putpalette([9, 9, 9, 1, 2, 3, 250, 0, 0])
        labels.save(tmp_path / "labels" / f"{name}.png")
    dataset = open_dataset("folder", tmp_path, void=BAND)
    assert list(dataset.class_names) == ["0", "1"]
    assert dataset.load(names[1]).segments[0].tolist() == numbered(made_regions(1), 0, 1, VOID)


@pytest.mark.parametrize(
    "palette",
    [
        np.array([1000, 70, 0], np.uint16),
        np.array([[112, 17, 1], [44, 1, 0], [0, 0, 0]], np.uint8),
    ],
    ids=["16-bit grey", "RGB"],
)
def test_a_folder_takes_wider_values_for_segments_alone(palette: np.ndarray, tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    for index, name in enumerate(names):
        save(tmp_path / "labels" / f"{name}.png", palette[made_regions(index)])
    dataset = open_dataset("folder", tmp_path, void=0)
    assert dataset.measures == {"segments"}
    picture = dataset.load(names[1])
    assert picture.classes is None
    assert picture.segments[0].tolist() == numbered(made_regions(1), 1, 0, VOID)


def test_a_folder_of_mixed_label_maps_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "labels/made_1.png", made_picture(1))
    with pytest.raises(
        DatasetError,
        match=r"^Expected labels as 8-bit grey or palette indices in .*made_1\.png, got mode RGB",
    ):
        open_dataset("folder", tmp_path)


def test_a_folder_of_label_maps_with_transparency_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "labels/made_0.png", np.zeros((HEIGHT, WIDTH, 4), np.uint8))
    with pytest.raises(DatasetError, match=r"^Expected labels as .*, RGB in .*made_0\.png, got mode RGBA"):
        open_dataset("folder", tmp_path)


def test_a_folder_with_nothing_annotated_is_refused(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    for name in names:
        save(tmp_path / "labels" / f"{name}.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(DatasetError, match="other values than 0"):
        open_dataset("folder", tmp_path, void=0)


def test_a_folder_with_two_pictures_of_one_name_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images/made_0.png", made_picture(0))
    with pytest.raises(DatasetError, match=r"made_0\.jpg and .*made_0\.png"):
        open_dataset("folder", tmp_path)


def test_a_class_that_came_after_the_folder_was_opened_is_refused(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    dataset = open_dataset("folder", tmp_path)
    save(tmp_path / "labels/made_0.png", np.full((HEIGHT, WIDTH), 8, np.uint8))
    with pytest.raises(DiffSegError, match=r"values 3, 7, 255 in .*made_0\.png, got 8"):
        dataset.load(names[0])


def test_a_camera_orientation_is_not_followed_since_labels_lie_on_the_stored_pixels(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(made_picture(1)).save(tmp_path / "images/made_1.png", exif=turned)
    assert np.array_equal(open_dataset("folder", tmp_path).load(names[1]).image, made_picture(1))


def test_grey_pictures_become_rgb_and_deeper_ones_are_refused(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    save(tmp_path / "images/made_1.png", made_regions(1))
    save(tmp_path / "images/made_2.png", made_regions(2).astype(np.uint16))
    dataset = open_dataset("folder", tmp_path)
    assert np.array_equal(dataset.load(names[1]).image, np.repeat(made_regions(1)[..., None], 3, axis=2))
    with pytest.raises(
        DatasetError, match=r"^Expected a picture of 8 bits per channel in .*made_2\.png, got mode I;16"
    ):
        dataset.load(names[2])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cityscapes27", "leftImg8bit/val/lindau/._lindau_000000_000019_leftImg8bit.png"),
        ("coco27-panoptic", "images/._000000000009.jpg"),
        ("bsds500", "BSR/BSDS500/data/images/val/._101085.jpg"),
        ("folder", "images/._made_0.jpg"),
    ],
)
def test_hidden_files_beside_the_pictures_are_not_pictures(name: str, file: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    (tmp_path / file).write_bytes(b"")
    assert list(open_dataset(name, tmp_path).names) == names
