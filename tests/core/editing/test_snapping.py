"""Rough masks that take the outlines of segments."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import InvalidSettingError, Segments, snap

# Stripes of 5, 3 and 2 columns, 10 rows.
STRIPES = torch.tensor([0] * 5 + [1] * 3 + [2] * 2, dtype=torch.int32).expand(10, 10)


def segments(batch: int = 1) -> Segments:
    return Segments(STRIPES.repeat(batch, 1, 1), ())


def columns(*filled: int) -> torch.Tensor:
    mask = torch.zeros(10, 10)
    mask[:, list(filled)] = 1.0
    return mask


def taken(mask: torch.Tensor, coverage: float = 0.5) -> list[list[int]]:
    """Per image the stripes taken; the mask is exactly theirs."""
    snapped = snap(segments(), mask, coverage)
    stripes = [sorted(set(STRIPES[inside > 0].tolist())) for inside in snapped.union()]
    for inside, found in zip(snapped.union(), stripes, strict=True):
        assert torch.equal(inside > 0, torch.isin(STRIPES, torch.tensor(found)))
    return stripes


@pytest.mark.parametrize(
    ("filled", "coverage", "expected"),
    [
        ([0, 1, 2], 0.5, [0]),
        ([0, 1], 0.5, []),
        ([8], 0.5, []),  # exactly half is not more than half
        ([8], 0.49, [2]),
        ([2, 3, 4, 5, 6], 0.5, [0, 1]),
        ([4, 5], 0.0, [0, 1]),  # whatever is touched
        ([4, 5], 0.3, [1]),
        ([0, 1, 2, 3, 4, 5], 1.0, [0]),  # all of it is enough for any share
        ([], 0.0, []),
        (range(10), 0.5, [0, 1, 2]),
    ],
    ids=str,
)
def test_a_segment_is_taken_where_more_than_its_share_is_covered(filled, coverage, expected):
    assert taken(columns(*filled), coverage) == [expected]


def test_one_painted_pixel_is_enough_where_touching_is():
    mask = torch.zeros(10, 10)
    mask[9, 6] = 1.0
    assert taken(mask, 0.0) == [[1]]
    assert taken(mask, 0.05) == [[]]


@pytest.mark.parametrize(("value", "expected"), [(0.6, [0, 1, 2]), (0.4, []), (7.0, [0, 1, 2]), (-1.0, [])])
def test_a_soft_mask_counts_by_its_values_between_zero_and_one(value, expected):
    assert taken(torch.full((10, 10), value)) == [expected]


def test_a_value_above_one_does_not_count_for_its_neighbours():
    assert taken(5.0 * columns(0)) == [[]]


@pytest.mark.parametrize(
    "shaped",
    [
        lambda mask: mask,
        lambda mask: mask[None],
        lambda mask: mask[None, None],
        lambda mask: mask[None, ..., None],
        lambda mask: mask.half(),
        lambda mask: mask.double(),
        lambda mask: mask > 0,
        lambda mask: mask.byte(),
        lambda mask: mask.numpy()[:, ::-1][:, ::-1],
    ],
    ids=["2-d", "3-d", "channel first", "channel last", "half", "double", "bool", "integers", "array"],
)
def test_masks_of_every_shape_and_type_are_taken(shaped):
    assert taken(shaped(columns(5, 6, 7))) == [[1]]


def test_one_mask_serves_all_images_and_several_one_each():
    both = snap(segments(2), columns(8, 9))
    assert both.areas(0).tolist() == both.areas(1).tolist() == [20]
    each = snap(segments(2), torch.stack((columns(8, 9), columns(0))))
    assert each.counts == [1, 0]
    four_dimensional = snap(segments(2), torch.stack((columns(8, 9), columns(0)))[:, None])
    assert torch.equal(four_dimensional.labels, each.labels)


@pytest.mark.parametrize("size", [(20, 20), (33, 47), (7, 30), (5, 10), (5, 20)], ids=str)
def test_a_mask_of_another_size_is_resampled(size):
    height, width = size
    x = (torch.arange(width) + 0.5) / width
    mask = ((x > 0.5) & (x < 0.8)).float().expand(height, width)
    assert taken(mask) == [[1]]


def test_a_thin_stroke_in_a_large_mask_is_not_lost():
    mask = torch.zeros(2000, 2000)
    mask[:, 1702] = 1.0  # half a pixel's hundredth of the segments' image
    assert taken(mask, 0.0) == [[2]]


def test_nothing_covered_gives_an_empty_mask_of_the_right_size():
    snapped = snap(segments(3), torch.zeros(64, 64))
    assert snapped.counts == [0, 0, 0]
    assert snapped.union().shape == (3, 10, 10)
    assert not snapped.union().any()


def test_what_was_filtered_out_is_not_taken():
    first = segments().subset([[0, 2]])
    assert first.counts == [2]
    snapped = snap(first, torch.ones(10, 10))
    assert torch.equal(snapped.labels, first.labels)
    assert snap(segments().subset([[]]), torch.ones(10, 10)).counts == [0]


def test_proposals_stay_with_their_segments():
    proposals = (torch.arange(3.0)[:, None, None],)
    snapped = snap(Segments(STRIPES[None], proposals), columns(5, 6, 7, 8, 9))
    assert snapped.proposals[0].flatten().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.ones(3, 10, 10), r"1 or 2 masks for segments of 2 image\(s\), got 3"),
        (torch.ones(2, 10, 10, 3), "height×width.* got 2×10×10×3"),
        (torch.ones(10), "height×width.* got 10"),
        (torch.ones(1, 1, 1, 10, 10), "height×width.* got 1×1×1×10×10"),
        (torch.ones(0, 10, 10), "height×width.* got 0×10×10"),
        (torch.tensor([[1.0, torch.nan], [torch.inf, 0.0]]), "finite numbers in the mask, got 2 of 4 that"),
        (torch.tensor([[0, 255]]), r"integers of 0 and 1 in the mask, got 0 to 255\. Divide"),
        (np.full((10, 10), 255, np.uint8), "got 255 to 255"),
        ([[1.0]], "as a tensor or a NumPy array of numbers, got list"),
        (np.array([["white"]]), "got an array of <U5"),
    ],
    ids=["number", "image", "line", "5-d", "empty", "NaN", "8 bits", "8-bit array", "list", "texts"],
)
def test_a_mask_that_does_not_fit_is_refused_with_the_numbers(mask, words):
    with pytest.raises(InvalidSettingError, match=words):
        snap(segments(2), mask)


@pytest.mark.parametrize("coverage", [-0.1, 1.1, float("nan")])
def test_a_coverage_outside_its_range_is_refused(coverage):
    with pytest.raises(InvalidSettingError, match=f"from 0 to 1 .* got {coverage:g}"):
        snap(segments(), columns(0), coverage)
