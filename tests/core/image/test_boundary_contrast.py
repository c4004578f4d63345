"""The contrast of borders, at the start and as segments join."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffseg_core.image.boundary_contrast import MIN_CONTRAST, Contrast


def greys(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows)[..., None].expand(-1, -1, 3).contiguous()


def strip(*values: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A row of pixels, each a segment of its own."""
    return greys([list(values)]), torch.arange(len(values))[None].int()


def test_contrast_is_the_mean_over_a_border_and_joins_add_up():
    image = torch.zeros(2, 6, 3)
    image[:, 2:4] = 0.1
    image[:, 4:] = 0.5
    segments = torch.tensor([[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 3, 3]], dtype=torch.int32)
    contrast = Contrast(image, segments, weight=1.0)
    assert contrast.touching.sum() == 2 * 4  # 0-1, 1-2, 1-3, 2-3
    factors = contrast.factors()
    np.testing.assert_allclose(factors[1, 2] / factors[0, 1], 4.0, rtol=1e-5)
    assert contrast.join(2, 3).tolist() == [1]
    np.testing.assert_allclose(contrast.factors(2, np.array([1])), factors[1, 2])


def test_those_touch_that_have_pixels_beside_or_above_each_other():
    segments = torch.tensor([[0, 0, 1], [2, 2, 1], [2, 3, 3]], dtype=torch.int32)
    touching = Contrast(torch.rand(3, 3, 3), segments, 1.0).touching
    pairs = {(int(a), int(b)) for a, b in zip(*touching.nonzero(), strict=True)}
    one_way = {(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)}  # 0 and 3 meet at a corner alone
    assert pairs == one_way | {(b, a) for a, b in one_way}


def test_a_difference_of_colour_is_the_length_of_the_way_between():
    image = torch.tensor([[[0.1, 0.2, 0.3], [0.4, 0.6, 0.3], [0.4, 0.6, 0.8]]])
    factors = Contrast(image, torch.tensor([[0, 1, 2]]), 1.0).factors()
    assert factors[0, 1] == pytest.approx(1.0)  # √(0.3² + 0.4²) = 0.5, and blue alone changes by 0.5
    assert factors[1, 2] == pytest.approx(1.0)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 2.0])
def test_the_typical_contrast_is_the_median_and_the_weight_a_power(weight):
    image, segments = strip(0.0, 0.1, 0.3, 1.0)  # borders 0.1, 0.2 and 0.7: the mean would be ⅓
    factors = Contrast(image, segments, weight).factors()
    np.testing.assert_allclose(
        [factors[0, 1], factors[1, 2], factors[2, 3]], np.array([0.5, 1, 3.5]) ** weight, rtol=1e-5
    )
    np.testing.assert_allclose(factors, factors.T)


def test_where_there_is_no_border_contrast_changes_nothing():
    image, segments = strip(0.0, 0.1, 0.3, 1.0)
    factors = Contrast(image, segments, 2.0).factors()
    assert factors[0, 2] == factors[0, 3] == factors[1, 1] == 1.0


def test_each_pixel_of_a_border_counts_once():
    image = greys([[0.0, 0.1], [0.0, 0.4], [0.0, 0.1]])
    segments = torch.tensor([[0, 1], [0, 1], [0, 2]], dtype=torch.int32)
    factors = Contrast(image, segments, 1.0).factors()
    # Along 0–1 the mean is 0.25, along 0–2 0.1, along 1–2 0.3: the median is 0.25.
    np.testing.assert_allclose([factors[0, 1], factors[0, 2], factors[1, 2]], [1.0, 0.4, 1.2], rtol=1e-5)


def test_a_border_between_equal_colours_has_the_least_contrast():
    image, segments = strip(0.5, 0.5, 0.6, 0.8)
    factors = Contrast(image, segments, 1.0).factors()
    assert factors[0, 1] == pytest.approx(MIN_CONTRAST / (0.1 * math.sqrt(3)), rel=1e-5)
    assert MIN_CONTRAST == 0.001


def test_in_an_image_of_one_colour_every_border_is_typical():
    image, segments = strip(0.5, 0.5, 0.5)
    np.testing.assert_array_equal(Contrast(image, segments, 1.0).factors(), np.ones((3, 3)))


def test_a_single_segment_has_no_border():
    contrast = Contrast(torch.rand(3, 4, 3), torch.zeros(3, 4, dtype=torch.int32), 1.0)
    assert not contrast.touching.any()
    assert contrast.factors().tolist() == [[1.0]]


def test_after_a_join_the_mean_is_over_the_whole_border():
    """0 has two pixels of border with 2, and 1 has one: the mean of all three counts."""
    image = greys([[0.0, 0.1], [0.0, 0.1], [0.5, 0.2]])
    segments = torch.tensor([[0, 2], [0, 2], [1, 2]], dtype=torch.int32)
    contrast = Contrast(image, segments, 1.0)
    # Borders: 0–2 0.1, 0–1 0.5, 1–2 0.3, which is the median.
    np.testing.assert_allclose(contrast.factors()[0, 2], 0.1 / 0.3, rtol=1e-5)
    assert contrast.join(0, 1).tolist() == [2]
    np.testing.assert_allclose(contrast.factors(0, np.array([2])), (0.1 + 0.1 + 0.3) / 3 / 0.3, rtol=1e-5)


def test_after_a_join_neighbours_are_those_of_both_and_never_itself():
    """Five segments in a row; 1 and 2 join, then 3 and 4, then both."""
    image, segments = strip(0.0, 0.1, 0.3, 0.6, 1.0)
    contrast = Contrast(image, segments, 1.0)
    typical = 0.25  # of 0.1, 0.2, 0.3 and 0.4
    assert contrast.join(1, 2).tolist() == [0, 3]
    np.testing.assert_allclose(
        contrast.factors(1, np.array([0, 3])), np.array([0.1, 0.3]) / typical, rtol=1e-5
    )
    assert contrast.join(3, 4).tolist() == [1]
    np.testing.assert_allclose(contrast.factors(3, np.array([1])) * typical, [0.3], rtol=1e-5)
    assert contrast.join(1, 3).tolist() == [0]
    assert contrast.join(0, 1).tolist() == []


def test_labels_of_more_segments_than_a_short_integer_holds_do_not_mix():
    count = 300  # pairs are numbered up to 90 000
    segments = torch.arange(count)[None].int()
    touching = Contrast(torch.rand(1, count, 3), segments, 1.0).touching
    assert np.array_equal(touching, np.eye(count, k=1, dtype=bool) | np.eye(count, k=-1, dtype=bool))


def test_what_became_part_of_another_has_no_border_of_its_own():
    image, segments = strip(0.0, 0.1, 0.3, 0.6)
    contrast = Contrast(image, segments, 1.0)
    contrast.join(1, 2)
    factors = contrast.factors()
    np.testing.assert_allclose(factors[2], np.ones(4))
    np.testing.assert_allclose(factors, factors.T)
    np.testing.assert_allclose([factors[0, 1], factors[1, 3]], [0.5, 1.5], rtol=1e-5)
