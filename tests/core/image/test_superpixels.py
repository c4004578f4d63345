"""Superpixels: where their borders are, and how small they may be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden_files import photograph
from made_images import mosaic
from skimage.segmentation import felzenszwalb

from diffseg_core.image.superpixels import _join_small, superpixels


def grey(values: torch.Tensor) -> torch.Tensor:
    """An image of these values, by its own differences: a step of 0.1 is a difference of colour of 0.1."""
    return (values / math.sqrt(3))[..., None].expand(-1, -1, 3).contiguous()


def pieces_of(image: torch.Tensor, smallest: int = 1) -> torch.Tensor:
    """Superpixels of at least so many pixels, without smoothing."""
    return superpixels(image, (smallest - 0.5) / image[..., 0].numel(), smooth=image)


@pytest.mark.parametrize("size", [(6, 4), (10, 10), (20, 20)])
@pytest.mark.parametrize("share", [0.97, 1.03])
def test_flat_pieces_join_up_to_two_hundred_over_their_size(size, share):
    """As in the paper with scale 200 of 255, and in scikit-image."""
    height, width = size
    values = torch.full((height, 2 * width), 0.4)
    values[:, width:] += share * 200 / 255 / (height * width)
    theirs = felzenszwalb(grey(values).double().numpy(), scale=200, sigma=0, min_size=1)
    ours = pieces_of(grey(values))
    assert int(ours.max()) + 1 == theirs.max() + 1 == (1 if share < 1 else 2)
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("share", [0.97, 1.03])
def test_differences_inside_a_piece_are_allowed_to_the_next(share):
    """Two ramps with steps of 0.03: the step between may be that and 200/255 over their size."""
    values = 0.03 * torch.arange(20.0).expand(10, -1).clone()
    values[:, 10:] += share * 200 / 255 / 100
    theirs = felzenszwalb(grey(values).double().numpy(), scale=200, sigma=0, min_size=1)
    assert int(pieces_of(grey(values)).max()) + 1 == theirs.max() + 1 == (1 if share < 1 else 2)


def test_the_smaller_of_two_pieces_and_the_one_that_is_more_even_decide():
    values = torch.full((10, 30), 0.3)
    values[:, 20:] += 200 / 255 / 150  # above the allowance of the 200 pixels, below that of the 100
    assert int(pieces_of(grey(values)).max()) + 1 == 2
    values = torch.full((10, 20), 0.3)
    values[:, 10:] += 0.03 * torch.arange(1.0, 11.0)  # steps of 0.03 on one side, none on the other
    assert int(pieces_of(grey(values)).max()) + 1 == 2


def with_patch(side: int, value: float) -> torch.Tensor:
    """Left 0.2, right 0.8, and a square patch between them."""
    values = torch.full((24, 24), 0.2)
    values[:, 12:] = 0.8
    values[8 : 8 + side, 9 : 9 + side] = value
    return grey(values)


@pytest.mark.parametrize(("value", "same"), [(0.6, (0, 23)), (0.4, (0, 0))])
def test_what_is_too_small_joins_the_neighbour_that_differs_least(value, same):
    pieces = pieces_of(with_patch(7, value), smallest=50)
    assert int(pieces.max()) + 1 == 2
    assert (pieces[8:15, 9:16] == pieces[same]).all()


def test_what_is_just_large_enough_stays():
    pieces = pieces_of(with_patch(7, 0.6), smallest=49)
    assert int(pieces.max()) + 1 == 3
    assert (pieces == pieces[10, 11]).sum() == 49


@pytest.mark.parametrize("turned", [False, True], ids=["wide", "tall"])
def test_the_smallest_area_is_a_share_of_all_pixels(turned):
    values = torch.full((20, 40), 0.1)
    values[5:12, 20:27] = 0.6
    image = grey(values.T.contiguous() if turned else values)
    assert int(superpixels(image, 49 / 800).max()) + 1 == 2
    assert int(superpixels(image, 50 / 800).max()) + 1 == 1


@pytest.mark.parametrize(
    ("areas", "greys", "joined"),
    [
        ([2, 10], [0.1, 0.9], [0, 0]),
        ([2, 2, 8], [0.1, 0.2, 0.9], [0, 0, 1]),  # two that are too small, and alike
        ([4, 2, 6], [0.1, 0.7, 0.9], [0, 1, 1]),
        ([4, 8], [0.1, 0.2], [0, 1]),
    ],
)
def test_pieces_that_became_too_small_join_what_differs_least(areas, greys, joined):
    """A row of pixels; the smallest area is 4 of 12."""
    pieces = np.repeat(np.arange(len(areas)), areas).astype(np.int32)[None]
    image = grey(torch.tensor(greys).repeat_interleave(torch.tensor(areas))[None])
    found = _join_small(pieces, image, 4 / 12)
    places = np.cumsum([0, *areas[:-1]])
    assert np.unique(found[0, places], return_inverse=True)[1].tolist() == joined
    assert all(len(np.unique(found[pieces == piece])) == 1 for piece in range(len(areas)))


def test_an_edge_that_is_blurred_over_three_pixels_makes_no_strip():
    values = torch.full((30, 31), 0.1)
    values[:, 14:16] = torch.tensor([0.4, 0.6])
    values[:, 16:] = 0.9
    pieces = pieces_of(grey(values), smallest=30)
    assert pieces[:, :14].unique().tolist() == [0]
    assert pieces[:, 16:].unique().tolist() == [1]
    assert int(pieces.max()) == 1


def test_a_strip_with_a_core_of_half_the_smallest_area_stays_a_piece():
    values = torch.full((30, 31), 0.1)
    values[:, 14:17] = 0.5
    values[:, 17:] = 0.9
    for smallest, count in ((60, 3), (62, 2)):  # the core: a column of 30 pixels, at the ends too
        assert int(pieces_of(grey(values), smallest).max()) + 1 == count


def test_where_no_piece_has_a_core_all_are_kept():
    values = torch.tensor([0.1, 0.9]).repeat(5)[:, None].expand(-1, 4)
    assert pieces_of(grey(values), smallest=4).tolist() == [[row] * 4 for row in range(10)]


def test_pieces_are_numbered_by_their_first_pixels():
    values = torch.zeros(24, 24)
    values[:8], values[8:, :8], values[8:, 8:16], values[8:, 16:] = 0.5, 0.9, 0.1, 0.7
    pieces = pieces_of(grey(values))
    assert [int(pieces[at]) for at in ((0, 0), (20, 0), (20, 10), (20, 20))] == [0, 1, 2, 3]
    assert pieces.dtype == torch.int32
    assert pieces.device.type == "cpu"


@pytest.mark.parametrize("start", [360, 361])
@pytest.mark.parametrize("across", [False, True], ids=["down", "across"])
def test_in_an_image_larger_than_usual_borders_lie_at_its_own_pixels(start, across):
    right = (torch.arange(720) >= start).int().expand(720, -1)
    right = right.T if across else right
    pieces = superpixels(grey(0.2 + 0.6 * right), 0.01)
    assert torch.equal(pieces, right)


def test_superpixels_follow_edges_and_are_large_enough():
    image = mosaic(120, 160, cells=4, seed=5)[0]
    pieces = superpixels(image, 0.001)
    rows, columns = torch.arange(120) * 4 // 120, torch.arange(160) * 4 // 160
    rectangles = rows[:, None] * 4 + columns
    purity = [rectangles[pieces == piece].bincount().max() for piece in range(int(pieces.max()) + 1)]
    assert sum(purity) > 0.99 * pieces.numel()
    assert pieces.flatten().bincount().min() >= math.ceil(0.001 * 120 * 160)
    assert pieces[0, 0] == 0


@pytest.mark.parametrize("smallest_area", [0.0006, 0.004])
@pytest.mark.parametrize("enlargement", [1, 2])
def test_no_superpixel_of_a_photograph_is_smaller_than_promised(smallest_area, enlargement):
    image = photograph("chelsea")[0].repeat_interleave(enlargement, 0).repeat_interleave(enlargement, 1)
    areas = superpixels(image, smallest_area).flatten().bincount()
    assert areas.min() >= smallest_area * image.shape[0] * image.shape[1]
    assert len(areas) > 20


@pytest.mark.parametrize("size", [(50, 70), (600, 520)])
def test_noise_has_superpixels_too(size):
    pieces = superpixels(torch.rand(*size, 3, generator=torch.Generator().manual_seed(0)), 0.001)
    assert pieces.shape == size
    assert pieces.unique().tolist() == list(range(int(pieces.max()) + 1))


def test_an_enlarged_image_has_much_the_same_superpixels():
    image = mosaic(512, 512, cells=5)[0]
    larger = image.repeat_interleave(2, 0).repeat_interleave(2, 1)
    few, many = (int(superpixels(each, 0.001).max()) + 1 for each in (image, larger))
    assert 25 <= few < 60
    assert 0.7 < many / few < 1.4
