"""Boundaries of label maps, and their matching within a tolerance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from diffseg_core.benchmark.clicks import Truth
from diffseg_eval.boundaries import (
    BoundaryCounts,
    boundary_iou,
    boundary_of,
    count_boundaries,
    match_boundaries,
)

SHAPE = (300, 400)  # diagonal 500
TOLERATED = 3.75  # pixels of it


def column(x, shape=SHAPE):
    boundary = np.zeros(shape, bool)
    boundary[:, x] = True
    return boundary


def pixels(*places, shape=SHAPE):
    boundary = np.zeros(shape, bool)
    boundary[tuple(np.transpose(places))] = True
    return boundary


def test_a_boundary_runs_at_the_upper_left_of_what_it_parts_and_cuts_corners():
    corner = np.zeros((4, 5), int)
    corner[2:, 3:] = 1
    assert boundary_of(corner).astype(int).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0],
    ]


def test_a_map_of_one_segment_has_no_boundary():
    assert not boundary_of(np.full((5, 6), 3)).any()


def test_the_boundary_does_not_depend_on_numbers_and_is_thin():
    labels = np.kron(np.random.default_rng(0).integers(0, 4, (6, 6)), np.ones((5, 5), int))
    boundary = boundary_of(labels)
    assert np.array_equal(boundary, boundary_of(np.array([40, 3, 17, 0])[labels]))
    squares = boundary[:-1, :-1] & boundary[1:, :-1] & boundary[:-1, 1:] & boundary[1:, 1:]
    assert boundary.any()
    assert not squares.any()


@pytest.mark.parametrize(("shift", "found"), [(0, True), (1, True), (3, True), (4, False), (-3, True)])
def test_a_boundary_may_be_off_by_the_tolerance(shift, found):
    counts = count_boundaries(column(100 + shift), [column(100)])
    assert counts == BoundaryCounts(300 * found, 300, 300 * found, 300)


@pytest.mark.parametrize(("tolerance", "found"), [(5 / 500, 1), (4.99 / 500, 0), (0.0, 0)])
def test_partners_may_be_just_as_far_as_the_tolerance(tolerance, found):
    counts = count_boundaries(pixels((10, 10)), [pixels((13, 14))], tolerance)
    assert counts == BoundaryCounts(found, 1, found, 1)


def test_without_tolerance_only_the_same_pixels_match():
    counts = count_boundaries(pixels((1, 1), (2, 2)), [pixels((1, 1), (2, 3))], 0.0)
    assert counts == BoundaryCounts(1, 2, 1, 2)


def test_a_pixel_has_one_partner_at_most():
    counts = count_boundaries(column(100) | column(102), [column(101)])
    assert counts == BoundaryCounts(300, 300, 300, 600)


def test_a_predicted_pixel_is_right_if_any_person_drew_it():
    # Two people drew one column each, a third both; a fourth predicted column is nobody's.
    people = [column(50), column(150), column(50) | column(150)]
    counts = count_boundaries(column(50) | column(150) | column(250), people)
    assert counts == BoundaryCounts(1200, 1200, 600, 900)
    assert count_boundaries(column(50), people) == BoundaryCounts(600, 1200, 300, 300)


def test_as_many_pairs_as_can_be_are_made_even_where_others_are_nearer():
    # In a row: a at 0, b at 2; true pixels at 2 and 5. The nearest pair (b, 2) would leave a and 5 alone.
    one, other = pixels((9, 10), (9, 12)), pixels((9, 12), (9, 15))
    first, second = match_boundaries(one, other, TOLERATED)
    assert sorted(zip(first[:, 1], second[:, 1], strict=True)) == [(10, 12), (12, 15)]


@pytest.mark.parametrize("seed", range(6))
def test_the_matching_is_the_best_assignment(seed):
    random = np.random.default_rng(seed)
    one, other = (random.random((14, 17)) < share for share in (0.2, 0.1 + 0.04 * seed))
    distance = 2.5
    first, second = match_boundaries(one, other, distance)

    apart = np.linalg.norm(np.argwhere(one)[:, None] - np.argwhere(other)[None], axis=-1)
    costs = np.where(apart <= distance, np.rint(apart * 100), 1e6)
    rows, columns = linear_sum_assignment(costs)
    paired = apart[rows, columns] <= distance

    assert len(first) == len(second) == paired.sum()
    assert len(np.unique(first, axis=0)) == len(np.unique(second, axis=0)) == len(first)
    assert one[tuple(first.T)].all()
    assert other[tuple(second.T)].all()
    lengths = np.linalg.norm(first - second, axis=1)
    assert lengths.max() <= distance
    assert np.rint(lengths * 100).sum() == costs[rows, columns][paired].sum()


def test_the_same_boundaries_are_matched_in_the_same_way():
    random = np.random.default_rng(1)
    one, other = (random.random((60, 60)) < 0.15 for _ in range(2))
    again = match_boundaries(one, other, TOLERATED)
    for found, expected in zip(match_boundaries(one, other, TOLERATED), again, strict=True):
        assert np.array_equal(found, expected)


def test_what_is_left_out_is_not_the_same_for_every_person():
    # Two people drew one column, the prediction has it twice at equal distances: which of the two is right is
    # a matter of chance, and by now and then taking the other more than 300 are.
    people = [column(100), column(100) & (np.indices(SHAPE)[0] % 2 == 0)]
    assert 300 < count_boundaries(column(99) | column(101), people).matched_prediction <= 450


def test_empty_boundaries_match_nothing():
    empty = np.zeros(SHAPE, bool)
    assert count_boundaries(empty, [empty]) == BoundaryCounts(0, 0, 0, 0)
    assert count_boundaries(empty, [column(5)]) == BoundaryCounts(0, 300, 0, 0)
    assert count_boundaries(column(5), [empty]) == BoundaryCounts(0, 0, 0, 300)
    assert count_boundaries(column(5), [column(300)]) == BoundaryCounts(0, 300, 0, 300)


def test_the_boundary_iou_is_that_of_the_definition_and_worked_by_hand():
    # 6×8 pixels, so that 2 % of the diagonal is the least distance, 1: the rings of two squares of 4×4, one
    # pixel apart. Each has 12 pixels; they share 3 in each of two rows.
    truth, mask = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
    truth[1:5, 1:5] = mask[1:5, 2:6] = True
    nothing = np.zeros_like(truth)
    assert boundary_iou(mask, Truth(truth, nothing)) == pytest.approx(6 / 18)
    assert boundary_iou(truth, Truth(truth, nothing)) == 1
    assert boundary_iou(nothing, Truth(truth, nothing)) == 0
    # What is too much lies where nobody says what is there.
    ignored = nothing.copy()
    ignored[:, 5:] = True
    larger = truth | ignored
    assert boundary_iou(larger, Truth(truth, ignored)) == 1

    # As in the paper: the pixels of a mask within a distance of its contour, here 4 = 2 % of 200. What is
    # outside of the image is outside of the mask.
    random = np.random.default_rng(0)
    truth, mask = (np.kron(random.random((12, 16)) < 0.6, np.ones((10, 10))) > 0 for _ in range(2))
    rings = []
    for drawn in (truth, mask):
        eroded = np.pad(drawn, 1)
        for _ in range(4):
            eroded = ndimage.binary_erosion(eroded, np.ones((3, 3)))
        rings.append(drawn & ~eroded[1:-1, 1:-1])
    expected = (rings[0] & rings[1]).sum() / (rings[0] | rings[1]).sum()
    assert boundary_iou(mask, Truth(truth, np.zeros_like(truth))) == pytest.approx(expected)
