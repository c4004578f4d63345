"""The numbers behind refined edges and soft masks, each by an image that hangs on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import Segments, refine_edges, soft_masks
from diffseg_core.editing.edge_refinement import reach_in_pixels


def split(width: int, column: int, height: int = 60) -> torch.Tensor:
    """Segment 1 from a column on, 0 before: int32 `[1, H, W]`."""
    return (torch.arange(width) >= column).int().expand(1, height, width).contiguous()


def grey(values: torch.Tensor) -> torch.Tensor:
    return values[..., None].expand(*values.shape, 3).contiguous()


def border_after(labels: torch.Tensor, edge: int, proposals: tuple = (), **settings) -> float:
    """Where the border of two segments lies after refinement, in an image with an edge."""
    height, width = labels.shape[1:]
    refined = refine_edges(
        Segments(labels, proposals), grey(0.2 + 0.6 * split(width, edge, height)), **settings
    )
    return float((refined.labels[0] == refined.labels[0, 0, 0]).sum(1).double().mean())


@pytest.mark.parametrize("way", [-1, 1])
def test_the_reach_is_one_and_a_half_tokens(way):
    """Tokens of 8 pixels: 11 pixels away an edge is reached, 15 away it is not."""
    maps = (torch.rand(2, 8, 8),)
    labels = split(64, 32, height=64)
    assert abs(border_after(labels, 32 + way * 11, maps) - 32 - way * 11) <= 1
    assert abs(border_after(labels, 32 + way * 15, maps) - 32) <= 12.5


@pytest.mark.parametrize("turned", [False, True])
def test_without_attention_the_reach_is_a_fortieth_of_the_longer_side(turned):
    """Of 400 pixels: 10."""
    labels = split(400, 200, height=40)
    for away, reached in ((9, True), (13, False)):
        image = grey(0.2 + 0.6 * split(400, 200 + away, height=40))
        both = (labels.transpose(1, 2), image.transpose(1, 2)) if turned else (labels, image)
        found = refine_edges(Segments(both[0].contiguous(), ()), both[1].contiguous()).labels[0]
        found = found.T if turned else found
        column = float((found == found[0, 0]).sum(1).double().mean())
        assert (abs(column - 200 - away) <= 1) is reached


def test_a_reach_of_less_than_a_pixel_is_one_pixel():
    labels = split(60, 30)
    assert border_after(labels, 31, reach=0.001) == 31
    assert border_after(labels, 29, reach=0.001) == 29
    assert border_after(labels, 32, reach=0.001) <= 31
    assert border_after(labels, 28, reach=0.001) >= 29


@pytest.mark.parametrize(
    ("width", "core"), [(1, 1), (2, 2), (3, 1), (4, 2), (5, 3), (7, 3), (9, 3)], ids=lambda value: str(value)
)
def test_of_a_thin_line_the_innermost_part_is_sure(width, core):
    """The image has its steps right beside that, so that the rest goes to what is around."""
    labels = torch.zeros(1, 48, 61, dtype=torch.int32)
    start = 30 - (width - 1) // 2
    labels[:, :, start : start + width] = 1
    first = 30 - (core - 1) // 2
    columns = torch.arange(61).expand(1, 48, 61)
    values = 0.1 + 0.4 * (columns >= first) + 0.4 * (columns >= first + core)
    refined = refine_edges(Segments(labels, ()), grey(values), reach=6 / 61)
    assert (refined.labels[0] == 1).sum(1).unique().tolist() == [core]


@pytest.mark.parametrize(("length", "kept"), [(24, False), (34, True)])
def test_a_thin_part_counts_from_four_squares_of_the_reach_on(length, kept):
    """Reach 6: 144 pixels, and the thin part is 5 wide. The image does not show it."""
    labels = torch.zeros(1, 60, 120, dtype=torch.int32)
    labels[:, 10:50, 10:50] = 1
    values = 0.2 + 0.6 * labels.float()
    labels[:, 28:33, 50 : 50 + length] = 1
    refined = refine_edges(Segments(labels, ()), grey(values), reach=6 / 120)
    assert bool(refined.labels[0, 30, 50 + length - 6]) is kept
    assert refined.labels[0, 30, 30] == 1
    assert refined.labels[0, 5, 5] == 0


def window_means(values: np.ndarray, radius: int) -> np.ndarray:
    """The mean over every window; windows end with the image."""
    height, width = values.shape
    return np.array(
        [
            [
                values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1].mean()
                for x in range(width)
            ]
            for y in range(height)
        ]
    )


@pytest.mark.parametrize("turned", [False, True], ids=["wide", "tall"])
@pytest.mark.parametrize(("tokens", "radius"), [((13, 17), 2), ((26, 34), 1)])  # of 2 and 1 pixels
@pytest.mark.parametrize("small", [False, True], ids=["across the image", "in its middle"])
def test_soft_masks_are_those_of_the_guided_filter(small, tokens, radius, turned):
    """Against the filter's definition with ε = 0.001, made to add up to 1. The radius is half the reach."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.arange(26)[:, None], torch.arange(34)
    labels = ((2 * rows + columns) // 9 % 3 - 1).int()[None]
    if small:  # nothing of the last segment beyond a box in the middle
        labels[(labels == 1) & ~(((rows - 13).abs() < 3) & ((columns - 17).abs() < 3))] = 0
    image = (0.5 + 0.2 * labels + 0.05 * torch.randn(1, 26, 34, generator=generator)).clamp(0, 1)
    image = image[..., None] * torch.tensor([0.5, 1.0, 0.9])
    if turned:
        labels, image, tokens = labels.transpose(1, 2), image.transpose(1, 2), tokens[::-1]
    segments = Segments(labels, (torch.rand(2, *tokens),))
    brightness = image[0].mean(-1).double().numpy()
    mean = window_means(brightness, radius)
    variance = window_means(brightness**2, radius) - mean**2
    expected = []
    for segment in (-1, 0, 1):
        mask = (labels[0] == segment).double().numpy()
        share = window_means(mask, radius)
        slope = (window_means(brightness * mask, radius) - mean * share) / (variance + 0.001)
        offset = share - slope * mean
        slope, offset = window_means(slope, radius), window_means(offset, radius)
        expected.append((slope * brightness + offset).clip(0, 1))
    expected = np.stack(expected)
    expected = expected[1:] / expected.sum(0)
    np.testing.assert_allclose(soft_masks(segments, image).numpy(), expected, atol=2e-4)


def tokens_of(height: int, width: int) -> tuple[torch.Tensor, ...]:
    """What the proposals of two segments say of the attention's grid."""
    return (torch.rand(2, height, width),)


@pytest.mark.parametrize(
    ("labels", "proposals", "reach", "pixels"),
    [
        (split(40, 20, 30), (), 0.2, 8.0),
        (split(40, 20, 30), (), 0.01, 1.0),
        (split(40, 20, 30), (), None, 1.0),
        (split(64, 20, 30), (), None, 1.6),
        (split(80, 20, 80), tokens_of(20, 20), None, 6.0),
        (split(20, 10, 20), tokens_of(20, 20), None, 1.5),
        (split(10, 5, 10), tokens_of(20, 20), None, 1.0),
    ],
)
def test_a_border_may_move_by_a_pixel_at_least(labels, proposals, reach, pixels):
    assert reach_in_pixels(Segments(labels, proposals), 0, reach) == pytest.approx(pixels)


def test_the_longest_reach_is_a_fifth_of_the_longer_side():
    assert border_after(split(100, 50, 20), edge=66, reach=0.2) == pytest.approx(66, abs=1)
