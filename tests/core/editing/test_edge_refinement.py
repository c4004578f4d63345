"""Borders that move to the image's edges, and what must not happen on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from made_images import mosaic
from scipy import ndimage

from diffseg_core import (
    AttentionMaps,
    InvalidSettingError,
    Segments,
    refine_edges,
    segment_hierarchy,
    soft_masks,
)
from diffseg_core.progress import callbacks


def split(height: int, width: int, column: int) -> torch.Tensor:
    """Segment 1 from a column on, 0 before: int32 `[1, H, W]`."""
    return (torch.arange(width) >= column).int().expand(1, height, width).contiguous()


def two_colours(labels: torch.Tensor) -> torch.Tensor:
    """A dark and a bright side: `[1, H, W, 3]`."""
    return torch.where(labels == 0, 0.2, 0.8)[..., None].expand(-1, -1, -1, 3)


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (90, 160), (160, 40), (37, 53)])
@pytest.mark.parametrize("shift", [-4, 3, 5])
def test_a_border_moves_onto_the_edge(size, shift):
    height, width = size
    edge = width // 2
    segments = Segments(split(height, width, edge + shift), ())
    refined = refine_edges(segments, two_colours(split(height, width, edge)), reach=8 / max(size))
    found = (refined.labels[0] == refined.labels[0, 0, 0]).sum(1)
    assert ((found - edge).abs() <= 1).all()
    assert refined.image_size == size


def test_a_border_out_of_reach_of_the_edge_does_not_get_there():
    segments = Segments(split(64, 64, 40), ())
    refined = refine_edges(segments, two_colours(split(64, 64, 20)), reach=6 / 64)
    columns = (refined.labels[0] == refined.labels[0, 0, 0]).sum(1)
    assert ((columns - 40).abs() <= 6).all()


def test_without_an_edge_a_border_stays_within_reach():
    refined = refine_edges(Segments(split(64, 64, 30), ()), torch.full((1, 64, 64, 3), 0.5), reach=5 / 64)
    columns = (refined.labels[0] == refined.labels[0, 0, 0]).sum(1)
    assert ((columns - 34).abs() <= 5).all() or ((columns - 30).abs() <= 5).all()


def test_a_gap_in_an_edge_leaks_no_further_than_the_reach():
    image = two_colours(split(64, 64, 32)).clone()
    image[:, 28:36] = 0.2  # the edge is missing here
    refined = refine_edges(Segments(split(64, 64, 32), ()), image, reach=6 / 64)
    columns = (refined.labels[0] == refined.labels[0, 0, 0]).sum(1)
    assert ((columns - 32).abs() <= 6).all()
    assert ((columns - 32).abs()[:24] <= 1).all()


def test_a_thin_line_stays():
    labels = torch.zeros(1, 80, 80, dtype=torch.int32)
    labels[:, 10:70, 39:42] = 1
    image = torch.full((1, 80, 80, 3), 0.5)  # nothing holds it
    refined = refine_edges(Segments(labels, ()), image, reach=0.15)
    assert refined.counts == [2]
    line = refined.labels[0] == 1
    assert line[12:68].any(1).all()
    assert ndimage.label(line.numpy())[1] == 1


def test_nothing_vanishes_and_every_piece_holds_a_part_of_its_own():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(40, 2, generator=generator) * 100
    rows, columns = torch.meshgrid(torch.arange(100.0), torch.arange(100.0), indexing="ij")
    labels = torch.cdist(torch.stack((rows, columns), -1).view(-1, 2), points).argmin(1).view(1, 100, 100)
    before = Segments(labels.int(), (torch.eye(40).view(40, 5, 8),))
    refined = refine_edges(before, torch.rand(1, 100, 100, 3, generator=generator), reach=0.1)
    assert refined.counts == [40]
    old = refined.proposals[0].flatten(1).argmax(1)  # which segment each was
    for segment in range(40):
        pieces, count = ndimage.label((refined.labels[0] == segment).numpy())
        own = (labels[0] == old[segment]).numpy()
        assert all((own & (pieces == piece)).any() for piece in range(1, count + 1))
    assert (refined.areas().diff() <= 0).all()


def test_pixels_of_no_segment_are_a_piece_like_any_other():
    labels = split(40, 60, 30) - 1
    refined = refine_edges(Segments(labels, ()), two_colours(split(40, 60, 33)), reach=0.1)
    assert refined.counts == [1]
    assert (((refined.labels[0] < 0).sum(1) - 33).abs() <= 1).all()


def test_a_tree_goes_on_with_the_new_borders(attention):
    image = mosaic(64, 64)
    segments = segment_hierarchy(AttentionMaps({(8, 8): attention((8, 8))}), image, number=5)
    shifted = replace(
        segments,
        labels=segments.labels.roll(3, 2),
        hierarchies=(replace(segments.hierarchies[0], leaves=segments.hierarchies[0].leaves.roll(3, 1)),),
        names=(("a", "b", "", "d", "e"),),
    )
    refined = refine_edges(shifted, image, 0.1)
    assert not torch.equal(refined.labels, shifted.labels)
    assert torch.equal(refined.at_granularity(5).labels, refined.labels)
    tree = refined.hierarchies[0]
    finest = refined.at_granularity(tree.count).labels
    assert len(torch.stack((finest[0], refined.labels[0])).flatten(1).unique(dim=1)[0]) == tree.count
    for index in range(5):  # names go with their segments
        own = shifted.labels[0][refined.labels[0] == index].mode().values
        assert refined.names[0][index] == shifted.names[0][own]


def test_every_image_of_a_batch_is_its_own():
    labels = torch.cat((split(50, 50, 20), split(50, 50, 30)))
    images = torch.cat((two_colours(split(50, 50, 23)), two_colours(split(50, 50, 27))))
    done = []
    with callbacks(on_image=done.append):
        refined = refine_edges(Segments(labels, ()), images, reach=0.1)
    assert done == [1, 2]
    for image, edge in enumerate((23, 27)):
        alone = refine_edges(Segments(labels[image, None], ()), images[image, None], reach=0.1)
        assert torch.equal(refined.labels[image], alone.labels[0])
        assert abs(int((refined.labels[image, 0] == refined.labels[image, 0, 0]).sum()) - edge) <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 2)])
def test_the_smallest_images_are_refined(size):
    labels = torch.arange(size[0] * size[1], dtype=torch.int32).view(1, *size)
    refined = refine_edges(Segments(labels, ()), torch.rand(1, *size, 3))
    assert sorted(refined.labels.flatten().tolist()) == labels.flatten().tolist()
    assert refine_edges(Segments(torch.zeros_like(labels), ()), torch.rand(1, *size, 3)).counts == [1]


def test_the_reach_follows_from_the_attention():
    labels, image = split(64, 64, 36), two_colours(split(64, 64, 32))
    coarse = Segments(labels, (torch.rand(2, 8, 8),))  # tokens of 8 pixels
    fine = Segments(labels, (torch.rand(2, 64, 64),))
    assert int((refine_edges(coarse, image).labels[0, 5] == 0).sum()) in (31, 32, 33)
    assert int((refine_edges(fine, image).labels[0, 5] == 0).sum()) >= 34


def test_soft_masks_are_probabilities_and_follow_the_image():
    image = two_colours(split(64, 64, 32)).clone()
    image[:, 32:] = torch.linspace(0.2, 0.8, 64)[:, None].expand(32, 64, 3)  # sharp above, gradual below
    segments = Segments(split(64, 64, 32), (torch.rand(2, 8, 8),))
    masks = soft_masks(segments, image)
    assert masks.shape == (2, 64, 64)
    torch.testing.assert_close(masks.sum(0), torch.ones(64, 64))
    assert masks.min() >= 0
    assert masks[1, 10, 31] < 0.2 < 0.8 < masks[1, 10, 32]
    assert 0.2 < masks[1, 54, 30] < 0.8
    assert (masks[1, 54].diff() > -0.02).all()


def test_soft_masks_leave_room_for_no_segment():
    masks = soft_masks(Segments(split(40, 60, 30) - 1, ()), two_colours(split(40, 60, 30)))
    assert masks.shape == (1, 40, 60)
    assert masks[0, :, :20].max() < 0.05
    assert masks[0, :, 40:].min() > 0.95


def test_another_image_is_refused():
    with pytest.raises(InvalidSettingError, match="8×8 pixels as the segments have, got 8×9"):
        refine_edges(Segments(split(8, 8, 4), ()), torch.rand(1, 8, 9, 3))
