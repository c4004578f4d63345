"""What holds for every dataset in the layout of the real one, and what is refused before a run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_datasets import (
    DIFFCUT_SQUARES,
    HEIGHT,
    MAKERS,
    SQUARES,
    WIDTH,
    make_folder,
    save,
)
from PIL import Image

from diffseg_core.errors import InvalidSettingError
from diffseg_eval.datasets import DATASETS, open_dataset
from diffseg_eval.types import DatasetError


@pytest.mark.parametrize("name", DATASETS)
def test_every_image_has_a_name_of_its_own_and_annotations_of_its_size(name: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    dataset = open_dataset(name, tmp_path)
    assert list(dataset.names) == names
    for image in map(dataset.load, dataset.names):
        size = (image.pixels.height, image.pixels.width)
        side = 512 if name in SQUARES else 1024 if name in DIFFCUT_SQUARES else None
        assert size == ((side, side) if side else (HEIGHT, WIDTH))
        assert image.pixels.mode == "RGB"
        for labels in (*image.segments, *(() if image.classes is None else (image.classes,))):
            assert labels.shape == size
            assert labels.dtype == np.int32
        assert all(drawn.shape == size and drawn.dtype == np.bool_ for drawn in image.boundaries)


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_measured_is_annotated(name: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    dataset = open_dataset(name, tmp_path)
    image = dataset.load(names[0])
    has_classes = bool(dataset.measures & {"classes", "background"})
    assert has_classes == (image.classes is not None) == bool(dataset.class_names)
    assert ("background" in dataset.measures) == (name in DIFFCUT_SQUARES and name != "ade20k")
    assert ("segments" in dataset.measures) == (len(image.segments) == 1)
    assert ("annotators" in dataset.measures) == (len(image.segments) > 1)
    assert ("boundaries" in dataset.measures) == bool(image.boundaries)
    assert bool(dataset.measures & {"clicks", "boxes"}) == (image.object is not None)
    if image.classes is not None:
        assert image.classes.max() < len(dataset.class_names)


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
    assert name in ("folder", "clicks", "boxes") or "http" in download


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cocostuff27", "val2017/000000000140.jpg"),
        ("cocostuff27", "stuffthingmaps_trainval2017/val2017/000000000140.png"),
        ("cocostuff27", "Coco164kFull_Stuff_Coarse_7.txt"),
        ("cityscapes27", "gtFine/val/lindau/lindau_000001_000019_gtFine_labelIds.png"),
        ("coco-object", "stuffthingmaps_trainval2017/val2017/000000000140.png"),
        ("voc", "VOCdevkit/VOC2012/JPEGImages/2007_000034.jpg"),
        ("voc", "VOCdevkit/VOC2012/SegmentationClass/2007_000034.png"),
        ("voc", "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"),
        ("context", "VOCdevkit/VOC2010/SegmentationClassContext/2008_000003.png"),
        ("context", "VOCdevkit/VOC2010/ImageSets/SegmentationContext/val.txt"),
        ("coco27-panoptic", "panoptic/000000000010.png"),
        ("coco27-panoptic", "coco27/000000000010.png"),
        ("bsds500", "groundTruth/val/101086.mat"),
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
        ("voc", "VOCdevkit/VOC2012/SegmentationClass/2007_000033.png"),
        ("context", "VOCdevkit/VOC2010/SegmentationClassContext/2008_000002.png"),
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
    ("name", "file", "value"),
    [
        ("cocostuff27", "stuffthingmaps_trainval2017/val2017/000000000139.png", 182),
        ("cityscapes27", "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png", 255),
        ("coco27-panoptic", "coco27/000000000009.png", 27),
        ("coco-object", "stuffthingmaps_trainval2017/val2017/000000000139.png", 11),
        ("voc", "VOCdevkit/VOC2012/SegmentationClass/2007_000033.png", 21),
        ("context", "VOCdevkit/VOC2010/SegmentationClassContext/2008_000002.png", 60),
    ],
)
def test_a_value_that_is_no_class_is_refused(name: str, file: str, value: int, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    save(tmp_path / file, np.full((HEIGHT, WIDTH), value, np.uint8))
    dataset = open_dataset(name, tmp_path)
    with pytest.raises(DatasetError, match=rf"those of classes in .*{Path(file).name}, got {value}\."):
        dataset.load(names[0])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cityscapes27", "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png"),
        ("cocostuff27", "stuffthingmaps_trainval2017/val2017/000000000139.png"),
        ("bsds500", "groundTruth/val/101085.mat"),
    ],
)
@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda content: b"no image"]
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
        ("voc", {"split": "train"}, "no split for voc, got 'train'.*resolution"),
        ("clicks", {"void": 0}, "no void for clicks, got 0. It has no options"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    name: str, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        open_dataset(name, tmp_path, **options)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cityscapes27", "leftImg8bit/val/lindau/._lindau_000000_000019_leftImg8bit.png"),
        ("coco27-panoptic", "images/._000000000009.jpg"),
        ("bsds500", "images/val/._101085.jpg"),
        ("folder", "images/._made_0.jpg"),
    ],
)
def test_hidden_files_beside_the_images_are_not_images(name: str, file: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    (tmp_path / file).write_bytes(b"")
    assert list(open_dataset(name, tmp_path).names) == names
