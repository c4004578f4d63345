"""A folder of one's own images and label maps as a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_datasets import (
    BAND,
    HEIGHT,
    WIDTH,
    made_image,
    made_regions,
    make_folder,
    numbered,
    save,
)
from PIL import Image

from diffseg_core import DiffSegError
from diffseg_eval.datasets import open_dataset
from diffseg_eval.types import VOID, DatasetError


def test_a_folder_takes_8_bit_values_for_classes_and_segments(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    save(tmp_path / "labels/made_2.png", np.full((HEIGHT, WIDTH), 200, np.uint8))
    dataset = open_dataset("folder", tmp_path, void=255)
    assert dataset.measures == {"classes", "segments"}
    assert list(dataset.class_names) == ["3", "7", "200"]
    image, last = dataset.load(names[1]), dataset.load(names[2])
    assert image.classes is not None
    assert last.classes is not None
    assert image.classes.tolist() == numbered(made_regions(1), 0, 1, VOID)
    assert image.segments[0].tolist() == numbered(made_regions(1), 0, 1, VOID)
    assert np.unique(last.classes).tolist() == [2]
    assert np.unique(last.segments[0]).tolist() == [0]


def test_a_folder_is_annotated_everywhere_unless_a_void_value_is_named(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    dataset = open_dataset("folder", tmp_path)
    assert list(dataset.class_names) == ["3", "7", "255"]
    image = dataset.load(names[0])
    assert image.classes is not None
    assert image.classes.tolist() == numbered(made_regions(0), 0, 1, 2)


def test_a_folder_reads_the_indices_of_palettes(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    for index, name in enumerate(names):
        labels = Image.fromarray(made_regions(index)).convert("P")
        labels.putpalette([9, 9, 9, 1, 2, 3, 250, 0, 0])
        labels.save(tmp_path / "labels" / f"{name}.png")
    dataset = open_dataset("folder", tmp_path, void=BAND)
    assert list(dataset.class_names) == ["0", "1"]
    assert dataset.load(names[1]).segments[0].tolist() == numbered(made_regions(1), 0, 1, VOID)


def test_label_maps_that_are_no_grey_of_8_bits_are_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for mode, dtype, channels in (("I;16", np.uint16, ()), ("RGB", np.uint8, (3,)), ("RGBA", np.uint8, (4,))):
        save(tmp_path / "labels/made_1.png", np.zeros((HEIGHT, WIDTH, *channels), dtype))
        message = rf"^Expected labels as 8-bit grey or palette indices in .*made_1\.png, got mode {mode}"
        with pytest.raises(DatasetError, match=message):
            open_dataset("folder", tmp_path)


def test_a_folder_with_nothing_annotated_is_refused(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    for name in names:
        save(tmp_path / "labels" / f"{name}.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(DatasetError, match="other values than 0"):
        open_dataset("folder", tmp_path, void=0)


def test_a_folder_with_two_images_of_one_name_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images/made_0.png", made_image(0))
    with pytest.raises(DatasetError, match=r"made_0\.jpg and .*made_0\.png"):
        open_dataset("folder", tmp_path)


def test_a_class_that_came_after_the_folder_was_opened_is_refused(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    dataset = open_dataset("folder", tmp_path)
    save(tmp_path / "labels/made_0.png", np.full((HEIGHT, WIDTH), 8, np.uint8))
    with pytest.raises(DiffSegError, match=r"those of classes in .*made_0\.png, got 8"):
        dataset.load(names[0])


def test_a_camera_orientation_is_not_followed_since_labels_lie_on_the_stored_pixels(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(made_image(1)).save(tmp_path / "images/made_1.png", exif=turned)
    assert np.array_equal(open_dataset("folder", tmp_path).load(names[1]).pixels, made_image(1))


def test_grey_images_become_rgb_and_deeper_ones_are_refused(tmp_path: Path) -> None:
    names = make_folder(tmp_path)
    save(tmp_path / "images/made_1.png", made_regions(1))
    save(tmp_path / "images/made_2.png", made_regions(2).astype(np.uint16))
    dataset = open_dataset("folder", tmp_path)
    assert np.array_equal(dataset.load(names[1]).pixels, np.repeat(made_regions(1)[..., None], 3, axis=2))
    with pytest.raises(
        DatasetError, match=r"^Expected an image of 8 bits per channel in .*made_2\.png, got mode I;16"
    ):
        dataset.load(names[2])
