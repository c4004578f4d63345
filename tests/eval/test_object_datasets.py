"""Pascal VOC, Pascal Context and COCO-Object in the layouts that they come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_datasets import (
    DIFFCUT_COLUMNS,
    DIFFCUT_ROWS,
    HEIGHT,
    WIDTH,
    made_image,
    made_regions,
    make_cocostuff27,
    make_context,
    make_voc,
    numbered,
    save,
    write_list,
)
from PIL import Image

from diffseg_eval.datasets import open_dataset
from diffseg_eval.datasets.classes import CONTEXT_NAMES, VOC_NAMES
from diffseg_eval.datasets.classes import OBJECT_CLASSES as CLASSES
from diffseg_eval.datasets.classes import OBJECT_NAMES as NAMES
from diffseg_eval.types import DatasetError

SIDE = 39  # of DiffCut's square in a made image: nothing is resized


def square_of(index: int) -> np.ndarray:
    return made_regions(index)[DIFFCUT_ROWS, DIFFCUT_COLUMNS]


def test_voc_has_its_classes_and_everything_else_is_background(tmp_path: Path) -> None:
    names = make_voc(tmp_path)
    dataset = open_dataset("voc", tmp_path, resolution=SIDE)
    assert list(dataset.names) == names
    assert dataset.measures == {"background"}
    assert len(dataset.class_names) == 21
    assert (dataset.class_names[0], dataset.class_names[-1]) == ("aeroplane", "background")
    for index, name in enumerate(names):
        image = dataset.load(name)
        assert image.classes is not None
        assert image.classes.tolist() == numbered(square_of(index), 0, 20, 20)  # the border too
        assert image.pixels.size == (SIDE, SIDE)
        with Image.open(tmp_path / f"VOCdevkit/VOC2012/JPEGImages/{name}.jpg") as photo:
            cut = np.array(photo)[DIFFCUT_ROWS, DIFFCUT_COLUMNS]
        assert np.array_equal(np.array(image.pixels), cut)


def test_context_has_59_classes_and_a_background(tmp_path: Path) -> None:
    names = make_context(tmp_path)
    dataset = open_dataset("context", tmp_path, resolution=SIDE)
    assert dataset.measures == {"background"}
    assert len(dataset.class_names) == 60
    assert [dataset.class_names[index] for index in (1, 58, 59)] == ["bag", "wood", "background"]
    image = dataset.load(names[2])
    assert image.classes is not None
    assert image.classes.tolist() == numbered(square_of(2), 1, 58, 59)


def test_coco_object_has_80_things_and_stuff_is_background(tmp_path: Path) -> None:
    names = make_cocostuff27(tmp_path)
    dataset = open_dataset("coco-object", tmp_path, resolution=SIDE)
    assert list(dataset.names) == names
    assert dataset.measures == {"background"}
    image = dataset.load(names[1])
    assert image.classes is not None
    assert image.classes.tolist() == numbered(square_of(1), 0, 80, 80)  # clouds, and what is not annotated


@pytest.mark.parametrize(
    ("value", "index", "name"),
    [
        *((0, 0, "person"), (10, 10, "fire hydrant"), (12, 11, "stop sign"), (26, 24, "backpack")),
        *((84, 74, "clock"), (89, 79, "toothbrush")),
        *((value, 80, "background") for value in (91, 181, 255)),
    ],
)
def test_the_things_of_coco_are_numbered_as_in_diffcuts_mapping(value: int, index: int, name: str) -> None:
    assert CLASSES[value] == index
    assert NAMES[index] == name


def test_what_nobody_annotated_is_no_thing_of_coco() -> None:
    assert sorted(set(range(182)) - set(CLASSES)) == [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90]
    assert sorted(set(CLASSES.values())) == list(range(81))


def test_the_classes_of_pascal_are_each_there_once() -> None:
    assert (len(set(VOC_NAMES)), len(set(CONTEXT_NAMES))) == (20, 59)
    assert set(VOC_NAMES) - set(CONTEXT_NAMES) == {"diningtable"}  # table


def test_the_images_are_those_of_the_list_in_its_order(tmp_path: Path) -> None:
    first, _, last = make_voc(tmp_path)
    write_list(tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", [last, first])
    assert list(open_dataset("voc", tmp_path).names) == [last, first]


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"val\.txt, which cannot be read"):
        open_dataset("voc", tmp_path)


def test_the_raw_label_maps_of_context_are_refused_by_their_kind(tmp_path: Path) -> None:
    names = make_context(tmp_path)
    deep = np.full((HEIGHT, WIDTH), 458, np.uint16)  # numbers of the 459 classes
    save(tmp_path / "VOCdevkit/VOC2010/SegmentationClassContext/2008_000002.png", deep)
    with pytest.raises(DatasetError, match=r"8-bit grey.*2008_000002\.png"):
        open_dataset("context", tmp_path).load(names[0])


def test_the_other_years_folder_is_not_taken(tmp_path: Path) -> None:
    make_voc(tmp_path)
    with pytest.raises(DatasetError, match="VOC2010/JPEGImages") as error:
        open_dataset("context", tmp_path)
    assert "pascal_context.py" in str(error.value)


def test_a_small_photograph_is_enlarged_to_the_published_square(tmp_path: Path) -> None:
    names = make_voc(tmp_path)
    image = open_dataset("voc", tmp_path).load(names[0])
    assert image.classes is not None
    nearest = (2 * np.arange(1024) + 1) * SIDE // 2048
    expected = numbered(square_of(0)[nearest[:, None], nearest], 0, 20, 20)
    assert image.classes.tolist() == expected
    assert np.abs(np.array(image.pixels).mean((0, 1)) - made_image(0).mean((0, 1))).max() < 40
