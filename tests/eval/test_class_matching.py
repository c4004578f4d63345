"""Both matchings of segments to classes, and the pixel counts behind them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from diffseg_core import DiffSegError
from diffseg_core.benchmark.measures import dense_contingency, sparse_contingency
from diffseg_eval.class_matching import accuracy, match_per_image, match_whole_set, mean_iou
from diffseg_eval.types import VOID

# What google/diffseg (commit 77ea59657da1be832c89e48085e04b97952e2a36) itself gives for `golden_images`:
# `hungarian_matching` of diffseg/utils.py, its counts added and divided as in benchmarks.ipynb.
GOLDEN_ACCURACY = 0.28688524590163933
GOLDEN_MEAN_IOU = 0.14178168146074913
GOLDEN_TRUE_POSITIVES = [
    *(39, 42, 8, 8, 76, 5, 12, 6, 4, 5, 57, 64, 9, 40),
    *(11, 38, 7, 52, 80, 9, 11, 3, 9, 104, 36, 7, 98),
]
GOLDEN_FALSE_POSITIVES = [
    *(81, 88, 25, 17, 200, 18, 17, 19, 21, 15, 127, 139, 18, 66),
    *(21, 110, 17, 99, 155, 11, 20, 11, 29, 200, 98, 15, 254),
]
GOLDEN_FALSE_NEGATIVES = [
    *(41, 22, 104, 104, 68, 43, 148, 106, 28, 59, 55, 80, 87, 72),
    *(133, 90, 57, 60, 96, 103, 101, 45, 103, 88, 108, 25, 62),
]


def golden_images():
    random = np.random.RandomState(0)
    for _ in range(4):
        truth = np.kron(random.randint(-1, 27, (6, 8)), np.ones((4, 4), int))
        prediction = np.kron(random.randint(0, 40, (12, 16)), np.ones((2, 2), int))
        yield truth, np.where(random.random_sample(truth.shape) < 0.7, (truth + 1) * 7 % 28, prediction)


def reference_counts(truth, prediction, classes):
    """The protocol of google/diffseg for one image, cell by cell."""
    columns = max(classes, prediction.max() + 1)
    table = [[0] * columns for _ in range(classes)]
    for true, predicted in zip(truth.ravel(), prediction.ravel(), strict=True):
        if 0 <= true < classes:
            table[true][predicted] += 1
    _, match = linear_sum_assignment(table, maximize=True)
    right = [table[c][s] for c, s in enumerate(match)]
    missed = [sum(table[c]) - right[c] for c in range(classes)]
    wrong = [sum(row[s] for row in table) - right[c] for c, s in enumerate(match)]
    return right, missed, wrong


def of_set(formula, counts):
    """A metric of the images together."""
    return formula(*(pixels.sum(axis=0) for pixels in counts))


def tables_of(*pairs):
    return [sparse_contingency(np.array(truth), np.array(prediction)).tolist() for truth, prediction in pairs]


def test_both_matchings_of_a_case_worked_by_hand():
    # One image with segments 0 = class 0 (3 pixels) and 1 = class 1 (1 of its 2; the other is class 0).
    # Another where the numbers are swapped: 1 = class 0 (2 pixels), 0 = class 1 (1 pixel), and a void pixel.
    tables = tables_of(([0, 0, 0, 0, 1], [0, 0, 0, 1, 1]), ([0, 0, 1, VOID], [1, 1, 0, 0]))

    per_image = match_per_image(tables, 2)
    assert per_image.true_positives.tolist() == [[3, 1], [2, 1]]
    assert per_image.false_negatives.tolist() == [[1, 0], [0, 0]]
    assert per_image.false_positives.tolist() == [[0, 1], [0, 0]]
    assert of_set(accuracy, per_image) == 7 / 8
    assert of_set(mean_iou, per_image) == (5 / 6 + 2 / 3) / 2

    # Summed: class 0 has 3 and 3 pixels of segments 0 and 1, class 1 has 1 and 1: a tie of 4 right of 8.
    whole_set = match_whole_set(tables, 2)
    assert of_set(accuracy, whole_set) == 4 / 8
    assert whole_set.true_positives.sum() + whole_set.false_negatives.sum() == 8


def test_the_matching_of_the_set_is_that_of_the_reference_on_one_image_of_all():
    images = list(golden_images())
    joined = tuple(np.concatenate(maps) for maps in zip(*images, strict=True))
    found = match_whole_set(tables_of(*images), 27)
    right, missed, wrong = reference_counts(*joined, 27)
    assert found.true_positives.sum(axis=0).tolist() == right
    assert found.false_negatives.sum(axis=0).tolist() == missed
    assert found.false_positives.sum(axis=0).tolist() == wrong


def test_per_image_gives_what_the_reference_implementation_gave():
    found = match_per_image(tables_of(*golden_images()), 27)
    assert found.true_positives.sum(axis=0).tolist() == GOLDEN_TRUE_POSITIVES
    assert found.false_positives.sum(axis=0).tolist() == GOLDEN_FALSE_POSITIVES
    assert found.false_negatives.sum(axis=0).tolist() == GOLDEN_FALSE_NEGATIVES
    assert of_set(accuracy, found) == GOLDEN_ACCURACY
    assert of_set(mean_iou, found) == GOLDEN_MEAN_IOU


@pytest.mark.parametrize(
    ("classes", "segments", "void"),
    [(3, 2, 0.0), (3, 3, 0.3), (4, 9, 0.2), (27, 5, 0.5), (27, 40, 0.1), (2, 6, 0.95)],
)
def test_per_image_is_the_reference_exactly(classes, segments, void):
    random = np.random.default_rng(classes * segments)
    for _ in range(8):
        truth = random.integers(0, random.integers(1, classes + 1), (12, 12))  # some classes are absent
        prediction = np.where(random.random(truth.shape) < 0.5, truth % segments, 0)
        prediction = (prediction + random.integers(0, segments, (12, 1))) % segments * 2  # numbers with gaps
        truth[(random.random(truth.shape) < void) | (prediction == prediction.max())] = VOID
        found = match_per_image(tables_of((truth, prediction)), classes)
        right, missed, wrong = reference_counts(truth, prediction, classes)
        assert found.true_positives[0].tolist() == right
        assert found.false_negatives[0].tolist() == missed
        assert found.false_positives[0].tolist() == wrong


def test_a_segment_of_void_pixels_alone_saves_an_absent_class_from_false_positives():
    # Class 1 is absent. Of segments 0 (right), 1 (wrong) and 2 (void) it takes one that is not 0; without
    # the void segment only 1 would be left.
    with_void = match_per_image(tables_of(([0, 0, 0, VOID], [0, 0, 1, 2])), 3)
    without = match_per_image(tables_of(([0, 0, 0], [0, 0, 1])), 2)
    assert without.false_positives.tolist() == [[0, 1]]
    assert with_void.true_positives.tolist() == [[2, 0, 0]]
    assert with_void.false_negatives.tolist() == [[1, 0, 0]]


def test_numbers_of_segments_mean_nothing_per_image_and_something_in_a_set():
    truth = np.array([0, 0, 0, 1, 1, 2])
    same = tables_of((truth, truth), (truth, truth))
    swapped = tables_of((truth, truth), (truth, (truth + 1) % 3))
    assert of_set(mean_iou, match_per_image(same, 3)) == of_set(mean_iou, match_per_image(swapped, 3)) == 1.0
    assert of_set(accuracy, match_whole_set(same, 3)) == 1.0
    assert of_set(accuracy, match_whole_set(swapped, 3)) < 1.0


def test_a_matched_segment_may_be_missing_from_an_image():
    # The set matches class 1 to segment 5, which the second image has not.
    tables = tables_of(([0, 1, 1], [0, 5, 5]), ([0, 1], [0, 0]))
    found = match_whole_set(tables, 2)
    assert found.true_positives.tolist() == [[1, 2], [1, 0]]
    assert found.false_negatives.tolist() == [[0, 0], [0, 1]]
    assert found.false_positives.tolist() == [[0, 0], [1, 0]]


def test_nothing_labelled_gives_no_figures():
    for match in (match_per_image, match_whole_set):
        for tables in ([], tables_of(([VOID, VOID], [0, 1]))):
            assert np.isnan(of_set(accuracy, match(tables, 2)))
            assert np.isnan(of_set(mean_iou, match(tables, 2)))


def test_mean_iou_of_many_sets_at_once_leaves_out_classes_that_occur_in_neither():
    right = np.array([[1, 0], [2, 2]])
    found = mean_iou(right, np.array([[1, 0], [0, 0]]), np.zeros((2, 2), int))
    assert found.tolist() == [0.5, 1.0]


def test_tables_survive_their_sparse_form():
    random = np.random.default_rng(0)
    truth, prediction = random.integers(0, 5, (6, 7)), random.integers(0, 9, (6, 7))
    entries = sparse_contingency(truth, prediction).tolist()
    table = dense_contingency(entries, 5, 9)
    assert table.shape == (5, 9)
    for (row, column), count in np.ndenumerate(table):
        assert count == ((truth == row) & (prediction == column)).sum()
    assert entries == sorted(entries)


def test_sparse_tables_hold_ids_however_large():
    truth = np.array([[256**3 - 1, 7]])
    prediction = np.array([[0, 262143]])
    assert sparse_contingency(truth, prediction).tolist() == [[7, 262143, 1], [256**3 - 1, 0, 1]]


def test_void_is_counted_apart_and_in_no_dense_table():
    truth, prediction = np.array([0, VOID, VOID]), np.array([1, 1, 3])
    entries = sparse_contingency(truth, prediction).tolist()
    assert entries == [[VOID, 1, 1], [VOID, 3, 1], [0, 1, 1]]
    assert dense_contingency(entries, 1, 4).tolist() == [[0, 1, 0, 0]]


def test_a_class_the_data_set_has_not_is_refused():
    with pytest.raises(DiffSegError, match=r"classes 0\.\.1 .* got class 2"):
        match_per_image([[[2, 0, 5]]], 2)
