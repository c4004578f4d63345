"""Segments where some pixels belong to none, and the choice of some of them."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from diffseg_core import GridSize, Hierarchy, InvalidSettingError, Segments, draw_overlay
from diffseg_core.merging.small_regions import merge_small_regions
from diffseg_core.output.palette import PALETTE, choose_colours
from diffseg_core.output.poles import poles_of_inaccessibility, segment_poles
from diffseg_core.segments import order_by_area

# Two images with three and with two segments.
LABELS = [
    [[0, 0, 0, 0], [0, 1, 1, 1], [2, 2, 1, 1]],
    [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]],
]


def segments(*labels: list[list[int]]) -> Segments:
    tensor = torch.tensor(labels, dtype=torch.int32)
    counts = (tensor.amax((1, 2)) + 1).tolist()
    proposals = (torch.arange(count).float()[:, None, None].expand(-1, 2, 2) for count in counts)
    return Segments(tensor, tuple(proposals))


def drawing(labels: torch.Tensor) -> list[str]:
    return ["".join("." if label < 0 else str(label) for label in row) for row in labels.tolist()]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([0, 1, 2], ["0000", "0111", "2211"]),
        ([2, 0, 1], ["0000", "0111", "2211"]),
        ([1, 2], ["....", ".000", "1100"]),
        ([2, 0, 0], ["0000", "0...", "11.."]),
        ([2], ["....", "....", "00.."]),
        ([], ["....", "....", "...."]),
    ],
    ids=str,
)
def test_kept_segments_are_numbered_anew_by_area_and_the_rest_is_none(chosen, expected):
    kept = segments(LABELS[0]).subset([chosen])
    assert drawing(kept.labels[0]) == expected
    assert kept.labels.dtype == torch.int32
    assert kept.counts == [len(set(chosen))]
    assert kept.proposals[0][:, 0, 0].tolist() == sorted(set(chosen))


def test_a_subset_of_a_subset_leaves_no_segment_where_there_was_none():
    kept = segments(LABELS[0]).subset([[1, 2]]).subset([[1]])
    assert drawing(kept.labels[0]) == ["....", "....", "00.."]
    assert kept.proposals[0][:, 0, 0].tolist() == [2]


def test_every_image_has_a_choice_of_its_own():
    kept = segments(*LABELS).subset([[], [1]])
    assert [drawing(image) for image in kept.labels] == [["....", "....", "...."], ["...0"] * 3]
    assert kept.counts == [0, 1]
    assert [len(proposals) for proposals in kept.proposals] == [0, 1]


def test_segments_from_elsewhere_have_no_proposals_before_and_after():
    assert Segments(torch.zeros(1, 2, 2, dtype=torch.int32), ()).subset([[0]]).proposals == ()


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ([[0]], r"each of 2 image\(s\), got them for 1"),
        ([[0], [2]], r"an index from 0 to 1, got 2. Segments in image 1: 2"),
        ([[-1], []], r"an index from 0 to 2, got -1. Segments in image 0: 3"),
    ],
    ids=str,
)
def test_a_choice_of_what_is_not_there_is_refused(chosen, words):
    with pytest.raises(InvalidSettingError, match=words):
        segments(*LABELS).subset(chosen)


def test_masks_become_segments_with_their_names():
    masks = torch.zeros(4, 4, 6, dtype=torch.bool)
    masks[0, :, :4], masks[1, :2, 2:], masks[3, 3, 5] = True, True, True  # the second lies over the first
    found = Segments.of_masks([masks, masks[:0]], [("a", "b", "empty", ""), ()])
    assert found.labels[0].tolist() == [
        [0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, -1, -1], [0, 0, 0, 0, -1, 2]
    ]  # fmt: skip
    assert found.names == (("a", "b", ""), ())
    assert [found.name(0, index) for index in range(3)] == ["a", "b", "segment 2"]
    assert found.counts == [3, 0]
    assert found.subset([[1, 2], []]).names == (("b", ""), ())
    assert Segments.of_masks([masks], [[""] * 4]).names == ()


def test_masks_and_areas_leave_out_what_belongs_to_no_segment():
    kept = segments(LABELS[0]).subset([[1, 2]])
    assert kept.areas().tolist() == [5, 2]
    assert kept.masks().sum((1, 2)).tolist() == [5, 2]
    assert torch.equal(kept.masks().sum(0), kept.union()[0])
    assert kept.union().dtype == torch.float32


def test_the_union_of_all_segments_is_the_image():
    assert torch.equal(segments(*LABELS).union(), torch.ones(2, 3, 4))


def test_an_image_without_segments_has_no_area_no_mask_and_no_pole():
    none = segments(LABELS[0]).subset([[]])
    assert none.counts == [0]
    assert none.areas().tolist() == []
    assert none.masks().shape == (0, 3, 4)
    assert not none.union().any()
    assert poles_of_inaccessibility(none.labels[0].numpy()) == []
    assert PALETTE[choose_colours([])].shape == (0, 3)


def test_a_segment_has_the_same_pole_without_the_others():
    labels = np.zeros((90, 120), dtype=np.int32)
    labels[10:60, 30:80] = 1
    labels[70:85, 5:30] = 2
    alone = np.where(labels == 2, 0, -1).astype(np.int32)
    assert poles_of_inaccessibility(alone) == [poles_of_inaccessibility(labels)[2]]


def test_ordering_by_area_leaves_pixels_of_no_segment_alone():
    labels = torch.tensor([[-1, -1, -1, 0], [2, 2, -1, 0], [2, -1, -1, -1]])
    ordered, proposals = order_by_area(labels, torch.arange(3.0)[:, None, None])
    assert drawing(ordered) == ["...1", "00.1", "0..."]
    assert proposals.flatten().tolist() == [2, 0]


def test_small_regions_beside_no_segment_become_no_segment():
    labels = np.full((6, 6), -1, dtype=np.int32)
    labels[:, 3:] = 0
    labels[1, 1] = 1
    assert merge_small_regions(labels, 2)[1, 1] == -1


@pytest.mark.parametrize("chosen", [[1], []], ids=["one segment", "none"])
def test_the_preview_shows_the_image_itself_where_no_segment_is(chosen):
    labels = [[0] * 40] * 40 + [[1] * 40] * 24
    kept = segments(labels).subset([chosen])
    image = torch.rand(1, 64, 40, 3, generator=torch.Generator().manual_seed(0))
    drawn = draw_overlay(image, kept, opacity=1.0, borders=False)
    outside = kept.union() == 0
    assert torch.equal(drawn[outside], image[outside])
    changed = (drawn != image).any(3)
    assert torch.equal(changed, ~outside)
    bordered = draw_overlay(image, kept, opacity=0.0, numbers=False)
    assert torch.equal(bordered, image) == (not chosen), "a border runs around what is kept"


class CountedTensor(torch.Tensor):
    """Counts the reductions over the whole batch, which read from the device."""

    reductions = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.amax, torch.Tensor.bincount):
            CountedTensor.reductions += 1
        return super().__torch_function__(function, types, args, kwargs or {})


def test_counts_and_areas_are_worked_out_once():
    counted = Segments(torch.tensor(LABELS, dtype=torch.int32).as_subclass(CountedTensor), ())
    CountedTensor.reductions = 0
    for _ in range(3):
        assert counted.counts == [3, 2]
        assert [counted.areas(image).tolist() for image in (0, 1)] == [[5, 5, 2], [9, 3]]
    assert CountedTensor.reductions == 3  # one for the counts, one for the areas of each image


def test_poles_are_found_once_for_each_image():
    both = segments(*LABELS)
    found = [segment_poles(both, image) for image in (0, 1)]
    assert [list(poles) for poles in found] == [
        poles_of_inaccessibility(np.array(labels, dtype=np.int32)) for labels in LABELS
    ]
    assert all(segment_poles(both, image) is poles for image, poles in enumerate(found))
    with pytest.raises(InvalidSettingError, match=r"index from 0 to 1, got 2"):
        segment_poles(both, 2)


def test_segments_are_a_value_with_names_that_is_copied_whole():
    one = segments(*LABELS)
    assert one == one
    assert one != segments(*LABELS)
    assert len({one, segments(*LABELS)}) == 2
    for copied in (copy.copy(one), copy.deepcopy(one), dataclasses.replace(one)):
        assert torch.equal(copied.labels, one.labels)
        assert copied.counts == one.counts
        assert [len(each) for each in copied.proposals] == [3, 2]
    half = dataclasses.replace(one, labels=one.labels[:1])
    assert half.counts == [3]
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.labels = one.labels[:1]


def test_segments_at_another_size_lie_where_they_lay_with_their_tree():
    leaves = torch.tensor([[0, 1, 2, 2], [0, 1, 2, 2]], dtype=torch.int32)
    tree = Hierarchy(leaves, torch.tensor([[0, 1], [0, 2]]), torch.zeros(2), torch.rand(3, 2, 2))
    segments = Segments.of_hierarchies([tree], [2])
    larger = segments.resized(GridSize(4, 8))
    assert torch.equal(larger.labels[0], segments.labels[0].repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert torch.equal(larger.hierarchies[0].leaves, leaves.repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert torch.equal(larger.resized(GridSize(2, 4)).labels, segments.labels)
    assert segments.resized(GridSize(4, 8)) is larger  # what is kept with them is found again
    assert segments.resized(segments.image_size) is segments
