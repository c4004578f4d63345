"""Covering, best IoU, Rand index and variation of information."""

from __future__ import annotations

from itertools import combinations
from math import isnan, log2

import numpy as np
import pytest
from PIL import Image
from scipy.stats import entropy

from diffseg_core import DiffSegError
from diffseg_core.benchmark.measures import Overlaps
from diffseg_eval.measures import mean_best_iou, measure, rand_index, variation_of_information
from diffseg_eval.types import VOID, AnnotatedImage

HALVES = np.array([[0, 0, 1, 1]])
QUARTER = np.array([[0, 1, 1, 1]])


def covering(overlaps):
    return overlaps.covered / overlaps.area


def random_maps(seed, *, labels=5, side=9):
    random = np.random.default_rng(seed)
    return random.integers(0, labels, (side, side)), random.integers(0, labels + 3, (side, side))


def test_measures_of_a_case_worked_by_hand():
    # Truth aabb, prediction abbb. IoU: a 1/2 with the first segment; b 2/3 with the second.
    overlaps = Overlaps.of(HALVES, QUARTER)
    assert overlaps.best_ious.tolist() == [1 / 2, 2 / 3]
    assert overlaps.covered == pytest.approx(2 * 1 / 2 + 2 * 2 / 3)
    assert overlaps.area == 4
    assert mean_best_iou([overlaps]) == pytest.approx((1 / 2 + 2 / 3) / 2)
    # Of 6 pairs, 1 is joined in both (the last two), 2 are parted in both (first with third and fourth).
    assert rand_index(overlaps) == 3 / 6
    # H(prediction | truth): half the pixels are split evenly, 1/2 bit. H(truth | prediction): three quarters
    # are split 1 : 2.
    split = -(1 / 3 * log2(1 / 3) + 2 / 3 * log2(2 / 3))
    assert variation_of_information(overlaps) == pytest.approx(1 / 2 + 3 / 4 * split)


def test_areas_of_all_people_are_pooled():
    # Against aabb as above; against a person who drew abbb itself everything is perfect.
    overlaps = [Overlaps.of(truth, QUARTER) for truth in (HALVES, QUARTER)]
    image = AnnotatedImage("a", Image.new("RGB", (4, 1)), None, (HALVES, QUARTER))
    record = measure(image, QUARTER, frozenset({"annotators"}))
    assert record["covered"] / record["area"] == pytest.approx((7 / 3 + 4) / 8)
    assert mean_best_iou(overlaps) == pytest.approx((1 / 2 + 2 / 3 + 1 + 1) / 4)
    assert [rand_index(overlap) for overlap in overlaps] == [3 / 6, 1]


@pytest.mark.parametrize("seed", range(3))
def test_measures_are_their_definitions(seed):
    truth, prediction = random_maps(seed)
    truth[0, :4] = VOID
    kept = truth != VOID
    overlaps = Overlaps.of(truth, prediction)

    best = {}
    for label in np.unique(truth[kept]):
        true = truth == label
        masks = [(prediction == other) & kept for other in np.unique(prediction)]
        best[label] = max((true & mask).sum() / (true | mask).sum() for mask in masks)
    assert overlaps.best_ious == pytest.approx(list(best.values()))
    assert covering(overlaps) == pytest.approx(np.mean([best[label] for label in truth[kept]]))

    pixels = list(zip(truth[kept], prediction[kept], strict=True))
    agreeing = [(a[0] == b[0]) == (a[1] == b[1]) for a, b in combinations(pixels, 2)]
    assert rand_index(overlaps) == pytest.approx(np.mean(agreeing))

    joint = np.unique(pixels, axis=0, return_counts=True)[1]
    entropies = [entropy(np.bincount(labels[kept]), base=2) for labels in (truth, prediction)]
    expected = 2 * entropy(joint, base=2) - sum(entropies)
    assert variation_of_information(overlaps) == pytest.approx(expected)


def test_equal_segmentations_are_perfect_whatever_their_numbers():
    truth, _ = random_maps(4)
    overlaps = Overlaps.of(truth, np.array([9, 4, 70, 2, 0])[truth])
    assert covering(overlaps) == mean_best_iou([overlaps]) == rand_index(overlaps) == 1.0
    assert str(variation_of_information(overlaps)) == "0.0"


def test_numbers_mean_nothing():
    truth, prediction = random_maps(5)
    renumbered = Overlaps.of(256**3 - 1 - 1000 * truth, 256**3 - 1 - 77 * prediction)
    overlaps = Overlaps.of(truth, prediction)
    assert renumbered.covered == pytest.approx(overlaps.covered)
    assert rand_index(renumbered) == rand_index(overlaps)
    assert variation_of_information(renumbered) == pytest.approx(variation_of_information(overlaps))


def test_rand_index_and_variation_of_information_are_symmetric_and_covering_is_not():
    one, other = random_maps(6)
    there, back = Overlaps.of(one, other), Overlaps.of(other, one)
    assert rand_index(there) == rand_index(back)
    assert variation_of_information(there) == pytest.approx(variation_of_information(back))
    halves = Overlaps.of(HALVES, np.zeros_like(HALVES)), Overlaps.of(np.zeros_like(HALVES), HALVES)
    assert [covering(overlap) for overlap in halves] == [0.5, 0.5]
    quarters = Overlaps.of(QUARTER, np.zeros_like(QUARTER)), Overlaps.of(np.zeros_like(QUARTER), QUARTER)
    assert [covering(overlap) for overlap in quarters] == [1 / 4 * 1 / 4 + 3 / 4 * 3 / 4, 3 / 4]


def test_void_is_left_out_of_both_maps():
    truth, prediction = np.array([[0, 0, 1, 1, VOID, VOID]]), np.array([[0, 1, 1, 1, 1, 9]])
    found, expected = Overlaps.of(truth, prediction), Overlaps.of(HALVES, QUARTER)
    assert found.area == 4
    assert found.covered == expected.covered
    assert rand_index(found) == rand_index(expected)
    assert variation_of_information(found) == variation_of_information(expected)


def test_nothing_annotated_gives_no_figures():
    nothing = Overlaps.of(np.full((2, 2), VOID), np.zeros((2, 2), int))
    for value in (*(mean_best_iou([nothing]), rand_index(nothing), variation_of_information(nothing)),):
        assert isnan(value)


def test_sizes_that_differ_are_refused():
    with pytest.raises(DiffSegError, match=r"shape \(1, 4\), got \(4, 1\)"):
        Overlaps.of(HALVES, QUARTER.T)
