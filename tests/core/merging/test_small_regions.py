"""Connected components, and small ones that join the neighbour with which they share most border."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from diffseg_core.merging.small_regions import connected_components, merge_small_regions


def drawn(*rows: str) -> np.ndarray:
    return np.array([[int(cell) for cell in row] for row in rows], dtype=np.int32)


def pieces_by_scipy(labels: np.ndarray) -> np.ndarray:
    pieces = np.zeros(labels.shape, dtype=np.int64)
    for label in np.unique(labels):
        numbered, count = ndimage.label(labels == label)
        pieces += np.where(numbered > 0, numbered + pieces.max(), 0)
        assert pieces.max() >= count
    return pieces


@pytest.mark.parametrize("labels", [2, 3, 8])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (37, 53)], ids=str)
def test_pieces_are_those_of_scipy_in_reading_order(shape, labels):
    image = np.random.default_rng(labels).integers(labels, size=shape).astype(np.int32)
    pieces = connected_components(image)
    pairs = np.unique(np.stack((pieces.ravel(), pieces_by_scipy(image).ravel())), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    _, first = np.unique(pieces, return_index=True)
    assert pieces.ravel()[np.sort(first)].tolist() == list(range(pieces.max() + 1))


def test_a_spiral_is_one_piece():
    spiral = drawn("1111111", "0000001", "1111101", "1000101", "1011101", "1000001", "1111111")
    assert connected_components(spiral).max() == 1


CRUMBS = {
    # Four edges with 0, two with 1.
    "the longest border": (
        drawn("0001111", "0021111", "0021111", "0001111"),
        3,
        drawn("0001111", "0001111", "0001111", "0001111"),
    ),
    # Three edges with 1, one with 0.
    "the longest border, not the larger neighbour": (
        drawn("00000000", "00121000", "00111000"),
        2,
        drawn("00000000", "00111000", "00111000"),
    ),
    # Five edges with 0; three with each piece of 1, six together.
    "borders with all pieces of one label": (
        drawn("111000", "111000", "222220", "111000", "111000"),
        6,
        drawn("111000", "111000", "111110", "111000", "111000"),
    ),
    "the lower label of equals": (
        drawn("00111", "00211", "00011"),
        2,
        drawn("00111", "00011", "00011"),
    ),
    "a small region in a small region goes with it": (
        drawn("00000", "02220", "02120", "02220", "00000"),
        10,
        drawn("00000", "00000", "00000", "00000", "00000"),
    ),
    # 1 joins 2, which is then still too small but not the smallest; 3 and 4 join it, and 5 joins 0.
    "a chain of small regions": (drawn("1234500000"), 3, drawn("2222000000")),
    "nothing is small enough": (drawn("0011", "0011"), 4, drawn("0011", "0011")),
    "a piece alone stays": (drawn("000"), 100, drawn("000")),
}


@pytest.mark.parametrize(("labels", "smallest", "expected"), CRUMBS.values(), ids=CRUMBS)
def test_small_regions_are_merged(labels, smallest, expected):
    assert merge_small_regions(labels, smallest).tolist() == expected.tolist()


@pytest.mark.parametrize("smallest", [2, 9, 60, 10_000])
@pytest.mark.parametrize("labels", [2, 5, 30])
def test_no_small_region_remains_and_what_was_large_enough_stays(labels, smallest):
    noise = np.random.default_rng(smallest + labels).random((labels, 40, 50))
    image = ndimage.gaussian_filter(noise, (0, 1, 1)).argmax(0).astype(np.int32)
    result = merge_small_regions(image, smallest)
    areas = np.bincount(connected_components(result).ravel())
    assert areas.min() >= min(smallest, image.size)
    before = connected_components(image)
    large = np.bincount(before.ravel()) >= smallest
    assert (result == image)[large[before]].all()
