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


def factors_of(contrast: Contrast) -> dict[tuple[int, int], float]:
    """The factor of every border at the start, by the numbers of both segments."""
    return dict(zip(map(tuple, contrast.pairs.tolist()), contrast.factors().tolist(), strict=True))


def around(contrast: Contrast, segment: int) -> dict[int, float]:
    """The factors of a segment's borders, by its neighbours."""
    others, factors = contrast.around(segment)
    return dict(zip(others.tolist(), factors.tolist(), strict=True))


def test_contrast_is_the_mean_over_a_border_and_joins_add_up():
    image = torch.zeros(2, 6, 3)
    image[:, 2:4] = 0.1
    image[:, 4:] = 0.5
    segments = torch.tensor([[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 3, 3]], dtype=torch.int32)
    contrast = Contrast(image, segments, weight=1.0)
    factors = factors_of(contrast)
    assert list(factors) == [(0, 1), (1, 2), (1, 3), (2, 3)]
    assert factors[1, 2] / factors[0, 1] == pytest.approx(4.0, rel=1e-5)
    contrast.join(2, 3)
    assert around(contrast, 2) == {1: pytest.approx(factors[1, 2])}


def test_those_touch_that_have_pixels_beside_or_above_each_other():
    segments = torch.tensor([[0, 0, 1], [2, 2, 1], [2, 3, 3]], dtype=torch.int32)
    contrast = Contrast(torch.rand(3, 3, 3), segments, 1.0)
    # 0 and 3 meet at a corner alone.
    assert contrast.pairs.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert [sorted(around(contrast, each)) for each in range(4)] == [[1, 2], [0, 2, 3], [0, 1, 3], [1, 2]]


def test_a_difference_of_colour_is_the_length_of_the_way_between():
    image = torch.tensor([[[0.1, 0.2, 0.3], [0.4, 0.6, 0.3], [0.4, 0.6, 0.8]]])
    factors = factors_of(Contrast(image, torch.tensor([[0, 1, 2]]), 1.0))
    assert factors[0, 1] == pytest.approx(1.0)  # √(0.3² + 0.4²) = 0.5, and blue alone changes by 0.5
    assert factors[1, 2] == pytest.approx(1.0)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 2.0])
def test_the_typical_contrast_is_the_median_and_the_weight_a_power(weight):
    image, segments = strip(0.0, 0.1, 0.3, 1.0)  # borders 0.1, 0.2 and 0.7: the mean would be ⅓
    factors = Contrast(image, segments, weight).factors()
    np.testing.assert_allclose(factors, np.array([0.5, 1, 3.5]) ** weight, rtol=1e-5)


def test_each_pixel_of_a_border_counts_once():
    image = greys([[0.0, 0.1], [0.0, 0.4], [0.0, 0.1]])
    segments = torch.tensor([[0, 1], [0, 1], [0, 2]], dtype=torch.int32)
    # Along 0–1 the mean is 0.25, along 0–2 0.1, along 1–2 0.3: the median is 0.25.
    np.testing.assert_allclose(Contrast(image, segments, 1.0).factors(), [1.0, 0.4, 1.2], rtol=1e-5)


def test_a_border_between_equal_colours_has_the_least_contrast():
    image, segments = strip(0.5, 0.5, 0.6, 0.8)
    factors = Contrast(image, segments, 1.0).factors()
    assert factors[0] == pytest.approx(MIN_CONTRAST / (0.1 * math.sqrt(3)), rel=1e-5)
    assert MIN_CONTRAST == 0.001


def test_in_an_image_of_one_colour_every_border_is_typical():
    image, segments = strip(0.5, 0.5, 0.5)
    np.testing.assert_array_equal(Contrast(image, segments, 1.0).factors(), np.ones(2))


def test_a_single_segment_has_no_border():
    contrast = Contrast(torch.rand(3, 4, 3), torch.zeros(3, 4, dtype=torch.int32), 1.0)
    assert contrast.pairs.shape == (0, 2)
    assert len(contrast.factors()) == 0
    assert around(contrast, 0) == {}


def test_after_a_join_the_mean_is_over_the_whole_border():
    """0 has two pixels of border with 2, and 1 has one: the mean of all three counts."""
    image = greys([[0.0, 0.1], [0.0, 0.1], [0.5, 0.2]])
    segments = torch.tensor([[0, 2], [0, 2], [1, 2]], dtype=torch.int32)
    contrast = Contrast(image, segments, 1.0)
    # Borders: 0–2 0.1, 0–1 0.5, 1–2 0.3, which is the median.
    assert around(contrast, 0)[2] == pytest.approx(0.1 / 0.3, rel=1e-5)
    contrast.join(0, 1)
    assert around(contrast, 0) == {2: pytest.approx((0.1 + 0.1 + 0.3) / 3 / 0.3, rel=1e-5)}
    assert around(contrast, 2) == {0: around(contrast, 0)[2]}


def test_after_a_join_neighbours_are_those_of_both_and_never_itself():
    """Five segments in a row; 1 and 2 join, then 3 and 4, then both."""
    image, segments = strip(0.0, 0.1, 0.3, 0.6, 1.0)
    contrast = Contrast(image, segments, 1.0)
    typical = 0.25  # of 0.1, 0.2, 0.3 and 0.4
    contrast.join(1, 2)
    assert around(contrast, 1) == pytest.approx({0: 0.1 / typical, 3: 0.3 / typical}, rel=1e-5)
    contrast.join(4, 3)  # either may stay
    assert around(contrast, 4) == pytest.approx({1: 0.3 / typical}, rel=1e-5)
    contrast.join(1, 4)
    assert around(contrast, 1) == pytest.approx({0: 0.1 / typical}, rel=1e-5)
    contrast.join(0, 1)
    assert around(contrast, 0) == {}


def test_labels_of_more_segments_than_a_short_integer_holds_do_not_mix():
    count = 300  # pairs are numbered up to 90 000
    segments = torch.arange(count)[None].int()
    pairs = Contrast(torch.rand(1, count, 3), segments, 1.0).pairs
    assert pairs.tolist() == [[leaf, leaf + 1] for leaf in range(count - 1)]


def test_what_became_part_of_another_has_no_border_of_its_own():
    image, segments = strip(0.0, 0.1, 0.3, 0.6)
    contrast = Contrast(image, segments, 1.0)
    contrast.join(1, 2)
    assert around(contrast, 2) == {}
    assert around(contrast, 0) == pytest.approx({1: 0.5}, rel=1e-5)
    assert around(contrast, 3) == pytest.approx({1: 1.5}, rel=1e-5)
