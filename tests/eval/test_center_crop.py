"""The central square that benchmarks cut out of images and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_datasets import (
    CROP,
    MAKERS,
    SQUARES,
    made_regions,
    numbered,
)
from PIL import Image

from diffseg_eval.datasets import open_dataset
from diffseg_eval.datasets.layouts import CenterCrop
from diffseg_eval.types import VOID


def test_labels_take_the_nearest_pixel_of_the_central_square() -> None:
    labels = np.arange(4 * 7).reshape(4, 7)
    square = labels[:, 1:5]  # (7 − 4) // 2 = 1
    assert CenterCrop(4).of_labels(labels).tolist() == square.tolist()
    assert CenterCrop(2).of_labels(labels).tolist() == square[np.ix_([1, 3], [1, 3])].tolist()
    assert CenterCrop(3).of_labels(labels).tolist() == square[np.ix_([0, 2, 3], [0, 2, 3])].tolist()
    assert CenterCrop(4).of_labels(labels.T).tolist() == square.T.tolist()


@pytest.mark.parametrize(
    ("height", "width", "side", "top", "left"),
    [(5, 8, 4, 0, 2), (5, 7, 4, 0, 2), (6, 7, 5, 0, 1), (7, 4, 3, 2, 0), (6, 12, 5, 0, 4), (1, 1, 1, 0, 0)],
)
def test_the_square_of_diffcut_is_a_pixel_smaller(
    height: int, width: int, side: int, top: int, left: int
) -> None:
    # As torchvision's CenterCrop of min(H, W) − 1: it starts at int(round((H − c) / 2.0)).
    labels = np.arange(height * width).reshape(height, width)
    square = labels[top : top + side, left : left + side]
    crop = CenterCrop(side, is_diffcut=True)
    assert crop.of_labels(labels).tolist() == square.tolist()
    pixels = np.repeat(labels.astype(np.uint8)[:, :, None], 3, axis=2)
    assert np.array(crop.of_image(Image.fromarray(pixels)))[:, :, 0].tolist() == square.tolist()


def test_images_are_resized_between_pixel_centres_without_smoothing() -> None:
    row = np.array([9, 0, 100, 200, 40, 9], np.uint8)  # the central square: 0, 100, 200, 40
    image = Image.fromarray(np.broadcast_to(row[:, None], (4, 6, 3)).copy())
    larger = np.array(CenterCrop(8).of_image(image))
    assert larger[0, :, 0].tolist() == [0, 25, 75, 125, 175, 160, 80, 40]
    smaller = np.array(CenterCrop(1).of_image(image))
    assert smaller.tolist() == [[[150, 150, 150]]]  # of its two middle pixels; the mean of all is 85
    same = np.array(CenterCrop(4).of_image(image))
    assert same[:, :, 1].tolist() == [[0, 100, 200, 40]] * 4


def test_a_half_grey_level_goes_to_the_even_one() -> None:
    image = Image.fromarray(np.array([[[0] * 3, [1] * 3], [[2] * 3, [3] * 3]], np.uint8))
    assert np.array(CenterCrop(1).of_image(image)).tolist() == [[[2, 2, 2]]]  # of 1.5
    image = Image.fromarray(np.array([[[0] * 3, [1] * 3]] * 2, np.uint8))
    assert np.array(CenterCrop(1).of_image(image)).tolist() == [[[0, 0, 0]]]  # of 0.5


@pytest.mark.parametrize("name", SQUARES)
def test_squares_come_at_any_resolution(name: str, tmp_path: Path) -> None:
    names = MAKERS[name](tmp_path)
    image = open_dataset(name, tmp_path, resolution=20).load(names[1])
    nearest = made_regions(1)[1::2, CROP][:, 1::2]
    assert image.pixels.size == (20, 20)
    assert image.classes is not None
    first, last = image.classes[-1, [0, -1]]
    assert image.classes.tolist() == numbered(nearest, first, last, VOID)
