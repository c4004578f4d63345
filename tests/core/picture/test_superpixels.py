"""Superpixels: where their borders are, and how small they may be."""

from __future__ import annotations

import math

import pytest
import torch
from golden_files import photograph
from made_pictures import mosaic

from diffseg_core.picture.superpixels import superpixels


def test_superpixels_follow_edges_and_are_large_enough():
    picture = mosaic(120, 160, cells=4, seed=5)[0]
    pieces = superpixels(picture, 0.001)
    rows, columns = torch.arange(120) * 4 // 120, torch.arange(160) * 4 // 160
    rectangles = rows[:, None] * 4 + columns
    purity = [rectangles[pieces == piece].bincount().max() for piece in range(int(pieces.max()) + 1)]
    assert sum(purity) > 0.99 * pieces.numel()
    assert pieces.flatten().bincount().min() >= math.ceil(0.001 * 120 * 160)
    assert pieces[0, 0] == 0


@pytest.mark.parametrize("smallest_area", [0.0006, 0.004])
@pytest.mark.parametrize("enlargement", [1, 2])
def test_no_superpixel_of_a_photograph_is_smaller_than_promised(smallest_area, enlargement):
    picture = photograph("chelsea")[0].repeat_interleave(enlargement, 0).repeat_interleave(enlargement, 1)
    areas = superpixels(picture, smallest_area).flatten().bincount()
    assert areas.min() >= smallest_area * picture.shape[0] * picture.shape[1]
    assert len(areas) > 20


@pytest.mark.parametrize("size", [(50, 70), (600, 520)])
def test_noise_has_superpixels_too(size):
    pieces = superpixels(torch.rand(*size, 3, generator=torch.Generator().manual_seed(0)), 0.001)
    assert pieces.shape == size
    assert pieces.unique().tolist() == list(range(int(pieces.max()) + 1))


def test_an_enlarged_picture_has_much_the_same_superpixels():
    picture = mosaic(512, 512, cells=5)[0]
    larger = picture.repeat_interleave(2, 0).repeat_interleave(2, 1)
    few, many = (int(superpixels(each, 0.001).max()) + 1 for each in (picture, larger))
    assert 25 <= few < 60
    assert 0.7 < many / few < 1.4
