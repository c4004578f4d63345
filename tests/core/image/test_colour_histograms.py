"""Histograms of colours: which axis tells what apart, where bins end, and what every segment shares."""

from __future__ import annotations

import itertools

import pytest
import torch

from diffseg_core.image.colour_histograms import BINS, PRIOR, SPREAD, colour_histograms


def histogram_of(*colours: tuple[float, float, float]) -> torch.Tensor:
    """A row of pixels, each a segment of its own."""
    return colour_histograms(torch.tensor([colours]), torch.arange(len(colours))[None])


def same_bin(first: tuple[float, float, float], second: tuple[float, float, float]) -> bool:
    return histogram_of(first, second).shape[1] == 1


def coloured(lightness: float, red_green: float, yellow_blue: float) -> tuple[float, float, float]:
    """RGB of a lightness, red − green and (red + green)/2 − blue."""
    blue = lightness - 2 * yellow_blue / 3
    yellow = blue + yellow_blue
    return (yellow + red_green / 2, yellow - red_green / 2, blue)


MIDDLE = (0.45, 0.05, 0.05)  # in the middle of no bin, and away from every bin's end


@pytest.mark.parametrize("axis", range(3), ids=["lightness", "red against green", "yellow against blue"])
def test_each_axis_alone_tells_colours_apart(axis):
    other = list(MIDDLE)
    other[axis] += 0.2
    assert not same_bin(coloured(*MIDDLE), coloured(*other))
    other[axis] = MIDDLE[axis] + 0.01
    assert same_bin(coloured(*MIDDLE), coloured(*other))


@pytest.mark.parametrize(
    ("axis", "ends"),
    [
        (0, [1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6]),
        (1, [-1 / 3, -1 / 6, 0, 1 / 6, 1 / 3]),
        (2, [-1 / 3, -1 / 6, 0, 1 / 6, 1 / 3]),
    ],
)
def test_bins_end_where_six_equal_parts_do(axis, ends):
    for end in ends:
        below, above = list(MIDDLE), list(MIDDLE)
        below[axis], above[axis] = end - 0.004, end + 0.004
        assert not same_bin(coloured(*below), coloured(*above))
    for start, end in itertools.pairwise(ends):
        below, above = list(MIDDLE), list(MIDDLE)
        below[axis], above[axis] = start + 0.004, end - 0.004
        assert same_bin(coloured(*below), coloured(*above))


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_differences_beyond_a_half_are_in_the_last_bin(axis, sign):
    near, far = list(MIDDLE), list(MIDDLE)
    near[axis], far[axis] = sign * 0.4, sign * 0.7
    assert same_bin(coloured(*near), coloured(*far))


def test_white_is_as_light_as_nearly_white():
    assert same_bin((1.0, 1.0, 1.0), (0.95, 0.95, 0.95))
    assert same_bin((0.0, 0.0, 0.0), (0.05, 0.05, 0.05))
    assert not same_bin((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_no_two_combinations_of_bins_are_taken_for_one():
    """A shift along one axis is never a shift along another."""
    centres = [(bin_ + 0.5) / BINS for bin_ in range(BINS)]
    colours = [coloured(a, b - SPREAD, c - SPREAD) for a in centres for b in centres for c in centres]
    assert histogram_of(*colours).shape == (BINS**3, BINS**3)


def test_shares_are_those_of_the_pixels_with_a_thousandth_of_the_whole_image():
    black, white = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    image = torch.tensor([[black, black, black, white, white, white, white, white]])
    segments = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]])
    found = colour_histograms(image, segments)
    blacks = 3 / 8
    expected = torch.tensor([[0.75, 0.25], [0.0, 1.0]]) * 0.999 + 0.001 * torch.tensor([blacks, 1 - blacks])
    torch.testing.assert_close(found, expected)
    assert PRIOR == 0.001
    assert (found > 0).all()
    assert found.sum(1).tolist() == pytest.approx([1.0, 1.0])


def test_a_larger_image_is_sampled_at_the_middle_of_what_a_usual_pixel_would_be():
    """Three times the usual side: the middle of each 3×3 is looked at, the rest is not."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(512, 512, 3, generator=generator)
    large = torch.rand(1536, 1536, 3, generator=generator)
    large[1::3, 1::3] = small
    segments = (torch.arange(512)[:, None] // 256 * 2 + torch.arange(512) // 256).int()
    larger = segments.repeat_interleave(3, 0).repeat_interleave(3, 1)
    assert torch.equal(colour_histograms(large, larger), colour_histograms(small, segments))


def test_of_two_by_two_pixels_the_first_is_looked_at():
    """Twice the usual side has no middle pixel."""
    small = torch.rand(512, 512, 3, generator=torch.Generator().manual_seed(0))
    large = torch.rand(1024, 1024, 3, generator=torch.Generator().manual_seed(1))
    large[::2, ::2] = small
    found = colour_histograms(large, torch.zeros(1024, 1024, dtype=torch.int32))
    assert torch.equal(found, colour_histograms(small, torch.zeros(512, 512, dtype=torch.int32)))


def test_no_pixel_of_a_usual_image_is_left_out():
    image, segments = torch.zeros(512, 900, 3), torch.zeros(512, 900, dtype=torch.int32)
    image[0, 1] = 1.0
    assert colour_histograms(image, segments).shape == (1, 2)


def test_a_segment_that_sampling_would_miss_is_counted_in_all_its_pixels():
    image, segments = torch.zeros(1024, 1024, 3), torch.zeros(1024, 1024, dtype=torch.int32)
    segments[1, 1] = 1
    image[1, 1] = 1.0
    found = colour_histograms(image, segments)
    whole = 1 / 1024**2
    torch.testing.assert_close(found[1], torch.tensor([0.001 * (1 - whole), 0.999 + 0.001 * whole]))
