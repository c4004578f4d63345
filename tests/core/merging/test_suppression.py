"""Which proposal a pixel gets: the highest after bilinear enlargement, the first of equals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core.grid import GridSize
from diffseg_core.merging.segment import suppress


def enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear with half-pixel centres; beyond the outer centres a map goes on with its last values."""
    for axis, length in enumerate(size):
        few = values.shape[axis]
        places = ((np.arange(length) + 0.5) * few / length - 0.5).clip(0, few - 1)
        below = np.floor(places).astype(int)
        above = np.minimum(below + 1, few - 1)
        share = (places - below).reshape([-1 if each == axis else 1 for each in (0, 1)])
        values = values.take(below, axis) * (1 - share) + values.take(above, axis) * share
    return values


@pytest.mark.parametrize("size", [(13, 20), (5, 7), (40, 31), (4, 3)])
def test_every_pixel_gets_the_highest_after_bilinear_enlargement(size):
    proposals = torch.rand(6, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = np.stack([enlarged(each.double().numpy(), size) for each in proposals]).argmax(0)
    found = suppress(proposals, GridSize(*size))
    assert found.dtype == torch.int32
    assert (found.numpy() == expected).all()


def test_the_first_of_equals_wins():
    one = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert suppress(torch.cat((one * 0.5, one, one)), GridSize(9, 9)).unique().tolist() == [1]


def test_where_all_are_zero_the_first_wins():
    assert suppress(torch.zeros(3, 2, 2), GridSize(4, 4)).unique().tolist() == [0]


def test_a_border_lies_in_the_middle_between_two_cells():
    found = suppress(torch.eye(2).view(2, 1, 2), GridSize(2, 8))
    assert found.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 2
    assert suppress(torch.tensor([[[0.6, 0.0]], [[0.1, 1.0]]]), GridSize(1, 16))[0].sum() == 9
