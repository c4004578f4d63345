"""Poles of inaccessibility against scipy's distance transform."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from diffseg_core.output.poles import poles_of_inaccessibility


def regions(shape: tuple[int, int], count: int) -> np.ndarray:
    noise = np.random.default_rng(count).random((count, *shape))
    labels = ndimage.gaussian_filter(noise, (0, 4, 4)).argmax(0)
    return np.unique(labels, return_inverse=True)[1].reshape(shape).astype(np.int32)


def distance_by_scipy(labels: np.ndarray) -> np.ndarray:
    """To the nearest pixel of another label or beyond the image."""
    distance = np.zeros(labels.shape)
    for label in np.unique(labels):
        inside = ndimage.distance_transform_edt(np.pad(labels == label, 1))[1:-1, 1:-1]
        distance += inside
    return distance


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (120, 200)], ids=str)
def test_the_pole_of_a_small_map_is_the_innermost_pixel(shape):
    labels = regions(shape, 7)
    distance = distance_by_scipy(labels)
    for label, pole in enumerate(poles_of_inaccessibility(labels)):
        assert labels[pole.y, pole.x] == label
        assert distance[pole.y, pole.x] == distance[labels == label].max()
        assert pole.radius == pytest.approx(distance[pole.y, pole.x])


def test_the_pole_of_a_large_map_lies_inside_and_nearly_as_deep():
    labels = np.kron(regions((120, 200), 7), np.ones((8, 8), dtype=np.int32))  # thinned out 7 times
    distance = distance_by_scipy(labels)
    for label, pole in enumerate(poles_of_inaccessibility(labels)):
        assert labels[pole.y, pole.x] == label
        assert distance[pole.y, pole.x] >= distance[labels == label].max() - 10


def test_a_segment_thinner_than_the_stride_still_has_a_pole():
    labels = np.zeros((1024, 1024), dtype=np.int32)
    labels[:, 512], labels[100, 7] = 1, 2
    poles = poles_of_inaccessibility(labels)
    assert [labels[pole.y, pole.x] for pole in poles] == [0, 1, 2]
    assert poles[2].radius == 0.5
