"""Smoothing against SciPy's Gaussian filter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffseg_core.image import smoothing
from diffseg_core.image.smoothing import smoothed


def image_of(height: int, width: int) -> torch.Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(height))


@pytest.mark.parametrize("deviation", [0.8, 1.5])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (40, 30), (130, 257), (512, 512)], ids=str)
def test_an_image_of_the_usual_size_or_less_is_convolved_with_a_gaussian_of_that_deviation(size, deviation):
    image = image_of(*size)
    radius = int(np.ceil(4 * deviation))
    for channel in range(3):
        plane = image[..., channel].double().numpy()
        expected = ndimage.gaussian_filter(plane, deviation, mode="nearest", radius=radius)
        found = smoothed(image, deviation)[..., channel]
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_a_larger_image_is_smoothed_over_as_much_of_it():
    """1024×768 pixels are three times as many: the deviation is √3 times as long."""
    image = image_of(1024, 768)
    plane = image[..., 1].double().numpy()
    deviation = 0.8 * 3**0.5
    expected = ndimage.gaussian_filter(plane, deviation, mode="nearest", radius=int(np.ceil(4 * deviation)))
    np.testing.assert_allclose(smoothed(image)[..., 1], expected, atol=2e-6)


def test_bands_make_no_difference(monkeypatch):
    image = image_of(700, 130)
    whole = smoothed(image, 1.5)
    monkeypatch.setattr(smoothing, "BAND_VALUES", 130 * 3 * 150)  # 150 rows at a time
    np.testing.assert_allclose(smoothed(image, 1.5), whole, atol=1e-6)


def test_half_precision_is_taken():
    image = image_of(20, 30)
    torch.testing.assert_close(smoothed(image.half()), smoothed(image.half().float()))
