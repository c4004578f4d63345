"""The published datasets in the layouts that they come in: what is read from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_datasets import (
    BAND,
    CROP,
    HEIGHT,
    made_image,
    made_regions,
    make_bsds500,
    make_cityscapes27,
    make_coco27_panoptic,
    make_cocostuff27,
    numbered,
)
from scipy.io import savemat

from diffseg_eval.datasets import open_dataset
from diffseg_eval.datasets.classes import COCO27_NAMES as NAMES
from diffseg_eval.datasets.classes import FINE_TO_COARSE
from diffseg_eval.types import VOID, DatasetError


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


def test_cocostuff27_is_27_classes_of_coco_stuffs_pixel_maps(tmp_path: Path) -> None:
    names = make_cocostuff27(tmp_path)
    dataset = open_dataset("cocostuff27", tmp_path, resolution=HEIGHT)
    image = dataset.load(names[2])
    assert image.classes is not None
    assert image.classes.tolist() == numbered(made_regions(2)[:, CROP], 9, 23, VOID)
    assert [dataset.class_names[index] for index in (9, 23)] == ["person-things", "sky-stuff"]
    assert dataset.measures == {"classes"}


def test_cocostuff27_is_the_list_in_its_order(tmp_path: Path) -> None:
    first, _, last = make_cocostuff27(tmp_path)
    (tmp_path / "Coco164kFull_Stuff_Coarse_7.txt").write_text(f"{last}\r\n{first}\r\n")
    assert list(open_dataset("cocostuff27", tmp_path).names) == [last, first]


def test_cityscapes27_names_hold_the_city_and_labels_from_7_are_classes(tmp_path: Path) -> None:
    names = make_cityscapes27(tmp_path)
    dataset = open_dataset("cityscapes27", tmp_path, resolution=HEIGHT)
    assert dataset.names[2] == names[2] == "munster/munster_000000_000019"
    image = dataset.load(names[1])
    assert image.classes is not None
    assert image.classes.tolist() == numbered(made_regions(1)[:, CROP], 0, 26, VOID)
    assert np.array_equal(image.pixels, made_image(1)[:, CROP])
    assert (dataset.class_names[0], dataset.class_names[26]) == ("road", "bicycle")


def test_coco27_panoptic_has_classes_and_numbered_segments(tmp_path: Path) -> None:
    names = make_coco27_panoptic(tmp_path)
    image = open_dataset("coco27-panoptic", tmp_path, resolution=HEIGHT).load(names[0])
    regions = made_regions(0)[:, CROP]
    assert image.classes is not None
    assert image.classes.tolist() == numbered(regions, 9, 23, VOID)
    (segments,) = image.segments
    assert segments.tolist() == numbered(regions, 1, 0, VOID)  # ids 70000 and 300


@pytest.mark.parametrize("split", ["train", "val", "test", None])
def test_bsds500_gives_what_every_person_drew(split: str | None, tmp_path: Path) -> None:
    names = make_bsds500(tmp_path, split)
    image = open_dataset("bsds500", tmp_path, split=split).load(names[1])
    regions = made_regions(1)
    without_band = np.where(regions == BAND, regions[4], regions)
    first, second = image.segments
    assert first.tolist() == numbered(regions, 0, 1, 2)
    assert second.tolist() == numbered(without_band, 0, 1, 2)
    assert image.boundaries[0].sum() == 60 + 35  # under the band, and down the middle
    assert np.argwhere(image.boundaries[1])[:, 1].tolist() == [32] * 40


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
