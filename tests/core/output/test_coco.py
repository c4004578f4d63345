"""Masks as run lengths: what COCO's own tools write, to the letter, and read."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from diffseg_core.output.coco import encode_labels

# pycocotools has not yet followed numpy 2 here.
reads_coco = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

SIZES = [(1, 1), (1, 9), (9, 1), (5, 8), (64, 48), (211, 307)]


def coco_counts(mask: np.ndarray) -> str:
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")


def encode(mask: np.ndarray) -> dict:
    (encoded,) = encode_labels(np.where(mask, 0, -1), 1)
    return encoded


def random_mask(size: tuple[int, int], density: float) -> np.ndarray:
    return np.random.default_rng(7).random(size) < density


def blobs(size: tuple[int, int], count: int) -> np.ndarray:
    """Segments around random points, with islands strewn in, and places of no segment."""
    random = np.random.default_rng(count)
    points = random.random((count, 2)) * size
    distance = np.hypot(*(np.indices(size)[:, None] - points.T[:, :, None, None]))
    labels = distance.argmin(0)
    strewn = random.random(size) < 0.05
    labels[strewn] = random.integers(-1, count, strewn.sum())
    return labels.astype(np.int32)


@reads_coco
def test_a_mask_is_encoded_as_pycocotools_does_and_comes_back():
    for size in SIZES:
        for density in (0, 0.01, 0.5, 0.99, 1):
            mask = random_mask(size, density)
            encoded = encode(mask)
            assert encoded == {"size": list(size), "counts": coco_counts(mask)}
            np.testing.assert_array_equal(coco.decode(encoded), mask)


def test_all_segments_at_once_are_encoded_as_each_alone():
    for size in (*SIZES, (3000, 3)):
        labels = blobs(size, 12)
        encoded = encode_labels(labels, 12)
        assert [mask["counts"] for mask in encoded] == [coco_counts(labels == index) for index in range(12)]


def test_long_runs_take_as_many_characters_as_they_need():
    mask = np.zeros((3000, 4000), dtype=bool)
    mask[:, 3:3800] = True
    mask[5, 3900] = True
    mask[0, 3999] = True
    assert encode(mask)["counts"] == coco_counts(mask)


def test_a_segment_without_pixels_is_an_empty_mask():
    labels = np.array([[0, -1], [2, 2]], dtype=np.int32)
    empty = encode_labels(labels, 4)[1::2]
    assert [mask["counts"] for mask in empty] == [coco_counts(np.zeros((2, 2)))] * 2


def test_no_segment_at_all_gives_no_mask():
    assert encode_labels(np.full((4, 5), -1, dtype=np.int32), 0) == []
