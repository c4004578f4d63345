"""From the usual size up to an image's own: what is kept, and where borders end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import GridSize
from diffseg_core.image.pyramid import (
    eight_bits,
    inner_pixels,
    interior,
    reduced,
    sampled,
    sizes_up_to,
    upsample_labels,
)
from diffseg_core.image.smoothing import smoothed
from diffseg_core.progress import callbacks


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((512, 512), [(512, 512)]),
        ((100, 2000), [(100, 2000)]),
        ((600, 600), [(512, 512), (600, 600)]),
        ((1400, 1400), [(512, 512), (1400, 1400)]),  # 2.73 times: nearer to twice than to four times
        ((1500, 1500), [(512, 512), (876, 876), (1500, 1500)]),  # 2.93 times: two steps of 1.71
        ((4000, 6000), [(418, 627), (888, 1331), (1884, 2826), (4000, 6000)]),
        ((1, 1_048_576), [(1, 524_288), (1, 1_048_576)]),  # no side becomes nothing
    ],
    ids=str,
)
def test_each_size_is_about_twice_the_one_before(size, sizes):
    found = sizes_up_to(GridSize(*size))
    assert [tuple(each) for each in found] == sizes


def test_a_pixel_has_the_label_that_its_centre_lies_in():
    labels = np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int32)
    assert sampled(labels, GridSize(4, 3)).tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]
    assert sampled(labels, GridSize(2, 5)).tolist() == [[0, 0, 1, 2, 2], [3, 3, 4, 5, 5]]
    rows = np.arange(9, dtype=np.int32)[:, None]
    assert sampled(rows, GridSize(3, 1)).ravel().tolist() == [1, 4, 7]
    assert sampled(labels, GridSize(2, 3)) is labels


def test_a_smaller_image_is_the_mean_of_its_pixels_and_not_a_sample():
    fine = ((torch.arange(60)[:, None] + torch.arange(80)) % 2).double()  # a chequerboard
    small = reduced(fine[..., None].expand(60, 80, 3), GridSize(15, 20))
    assert small.dtype == torch.float32
    assert small.shape == (15, 20, 3)
    torch.testing.assert_close(small, torch.full_like(small, 0.5), atol=0.02, rtol=0)


def test_the_pixels_inside_have_only_their_own_label_around_them():
    labels = np.zeros((5, 7), dtype=np.int32)
    labels[:, 4:] = 1
    assert interior(labels).astype(int).tolist() == [[1, 1, 1, 0, 0, 1, 1]] * 5
    labels[0, 0] = 2  # its diagonal neighbour is not inside any more
    assert interior(labels).astype(int).tolist()[:3] == [
        [0, 0, 1, 0, 0, 1, 1],
        [0, 0, 1, 0, 0, 1, 1],
        [1, 1, 1, 0, 0, 1, 1],
    ]


def test_thin_parts_of_four_pixels_stay_and_steps_of_a_border_do_not():
    labels = np.zeros((12, 12), dtype=np.int32)
    labels[:, 6:] = 1
    labels[5, 2:6] = 1  # four pixels of a thin part
    labels[9, 3:6] = 1  # three: the step of a border
    kept = inner_pixels(labels)
    assert (kept[5, 2:6] == 1).all()
    assert (kept[9, 3:6] == -1).all()
    assert (kept[:4, 5:7] == -1).all()
    assert (kept[0, :5] == 0).all()


def test_a_label_of_one_pixel_stays():
    labels = np.zeros((9, 9), dtype=np.int32)
    labels[4, 4] = 1
    assert inner_pixels(labels)[4, 4] == 1


def test_an_image_of_the_usual_size_is_left_as_it_is():
    labels = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert upsample_labels(labels, torch.rand(2, 3, 3)) is labels


@pytest.mark.parametrize("size", [(900, 700), (1500, 1600)], ids=str)
def test_a_border_climbs_onto_the_edge_at_full_size(size):
    """An edge one small pixel beside the border, where it is at full size: between two pixels of it."""
    height, width = size
    small = sizes_up_to(GridSize(*size))[0]
    edge = round(width * (small.width // 2 + 0.7) / small.width)
    image = torch.full((height, width, 3), 0.3)
    image[:, edge:] = 0.6
    labels = np.zeros(small, dtype=np.int32)
    labels[:, small.width // 2 :] = 1
    labels[3:5, 3:9] = 2  # thin, and without any edge: it stays about where it is
    found = upsample_labels(labels, image)
    rows = slice(height // 8, None)
    assert (found[rows, :edge] == 0).all()
    assert (found[rows, edge:] == 1).all()
    share = (found == 2).mean() / (labels == 2).mean()
    assert 0.5 < share < 2


def test_an_image_smoothed_already_serves_its_own_size_alone():
    """Three sizes: 512, 876 and 1500 pixels."""
    image = torch.rand(1500, 1500, 3, generator=torch.Generator().manual_seed(0))
    small = sizes_up_to(GridSize(1500, 1500))[0]
    labels = np.zeros(small, dtype=np.int32)
    labels[:, 200:] = 1
    expected = upsample_labels(labels, image)
    assert (upsample_labels(labels, image, smooth=smoothed(image)) == expected).all()


def test_what_the_caller_raises_ends_the_climb():
    def stop() -> None:
        raise KeyboardInterrupt

    labels = np.zeros(sizes_up_to(GridSize(700, 700))[0], dtype=np.int32)
    with pytest.raises(KeyboardInterrupt), callbacks(stop):
        upsample_labels(labels, torch.rand(700, 700, 3))


def test_a_smaller_image_has_the_means_of_the_larger():
    image = torch.rand(40, 60, 3, generator=torch.Generator().manual_seed(2))
    means = image.view(4, 10, 6, 10, 3).mean((1, 3))
    assert (
        reduced(image, GridSize(4, 6)) - means
    ).abs().mean() < 0.02  # one pixel of each would differ by 0.13
    flat = torch.full((9, 9, 3), 0.4)
    torch.testing.assert_close(reduced(flat, GridSize(2, 5)), torch.full((2, 5, 3), 0.4))


def test_eight_bits_are_the_rounded_means_of_the_pixels():
    image = torch.tensor([[0.0, 0.2, 0.5], [1.0, 0.8, 0.9]])[:, :, None] * torch.tensor([1.0, 0.5, 0.25])
    own_size = [[[0, 0, 0], [51, 26, 13], [128, 64, 32]], [[255, 128, 64], [204, 102, 51], [230, 115, 57]]]
    assert eight_bits(image, GridSize(2, 3)).tolist() == own_size
    assert eight_bits(image, GridSize(1, 3)).tolist() == [[[128, 64, 32], [128, 64, 32], [178, 89, 45]]]
