"""The quality measures against examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from diffseg_benchmarks.metrics import HungarianScore, contingency, mean_best_iou, segmentation_covering

VOID = 0


def test_contingency_counts_pairs_with_truth_in_rows() -> None:
    truth = np.array([[0, 0, 1], [1, 1, 1]], np.uint8)
    prediction = np.array([[0, 2, 2], [2, 2, 0]], np.int32)
    table = contingency(truth, prediction)
    assert table.dtype == np.int64
    assert table.tolist() == [[1, 0, 1], [1, 0, 3]]


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), r"\(2, 3\), got \(3, 2\)"),
        (np.zeros(4, int), np.zeros(4), "integer labels in the prediction, got float64"),
        (np.zeros(4, int), np.array([0, 1, -1, 0]), "from 0 up in the prediction, got -1"),
    ],
)
def test_labels_that_cannot_be_counted_are_refused(
    truth: np.ndarray, prediction: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        contingency(truth, prediction)


def test_hungarian_score_is_one_whatever_the_segments_are_called() -> None:
    score = HungarianScore()
    score.add(np.array([3, 3, 7, 26]), np.array([5, 5, 40, 0]))
    assert score.accuracy == 1.0
    assert score.mean_iou == 1.0


def test_hungarian_score_matches_each_picture_for_itself_and_adds_the_counts() -> None:
    score = HungarianScore()
    # Class 0 (3 pixels) takes segment 1, class 1 (2 pixels) takes segment 0.
    score.add(np.array([0, 0, 0, 1, 1]), np.array([1, 1, 0, 0, 0]))
    # In the next picture the same numbers mean the opposite.
    score.add(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
    assert score.true_positives[:2].tolist() == [2 + 2, 2 + 2]
    assert score.false_negatives[:2].tolist() == [1, 0]
    assert score.false_positives[:2].tolist() == [0, 1]
    assert score.accuracy == pytest.approx(8 / 9)
    assert score.mean_iou == pytest.approx((4 / 5 + 4 / 5) / 2)


def test_hungarian_score_charges_a_left_over_segment_to_an_absent_class() -> None:
    score = HungarianScore()
    # Only class 0 is there; segments 0 (3 pixels) and 1 (1 pixel). Segment 1 goes to some absent class.
    score.add(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]))
    assert score.true_positives.sum() == 3
    assert score.false_negatives.sum() == 1
    assert score.false_positives[1:].sum() == 1
    assert score.accuracy == 0.75
    assert score.mean_iou == pytest.approx((3 / 4 + 0) / 2)


def test_hungarian_score_leaves_segments_beyond_27_unmatched() -> None:
    score = HungarianScore()
    score.add(np.zeros(30, int), np.arange(30))
    # 27 classes take one segment of one pixel each: one true positive, 26 false positives, three in none.
    assert score.true_positives.sum() == 1
    assert score.false_positives.sum() == 26
    assert score.accuracy == pytest.approx(1 / 30)


def test_hungarian_score_ignores_void_pixels() -> None:
    score = HungarianScore()
    score.add(np.array([2, 2, 255, 255]), np.array([0, 0, 0, 1]))
    assert score.accuracy == 1.0
    assert score.mean_iou == 1.0


def test_hungarian_score_is_unmoved_by_a_picture_without_labels() -> None:
    score = HungarianScore()
    score.add(np.full(4, 255, np.uint8), np.arange(4))
    assert np.isnan(score.accuracy)
    assert np.isnan(score.mean_iou)


def test_hungarian_score_refuses_a_class_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"0\.\.26 and 255, got 27"):
        HungarianScore().add(np.array([0, 27]), np.array([0, 1]))


def test_covering_weighs_by_area_and_best_iou_does_not() -> None:
    truth = np.array([1, 1, 1, 1, 1, 1, 2, 2])
    prediction = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    # Segment 1: IoU 3/6 with 0, 3/8 with 1. Segment 2: IoU 0 with 0, 2/5 with 1.
    assert segmentation_covering(truth, prediction, VOID) == pytest.approx(6 / 8 * 1 / 2 + 2 / 8 * 2 / 5)
    assert mean_best_iou(truth, prediction, VOID) == pytest.approx((1 / 2 + 2 / 5) / 2)


def test_one_predicted_segment_may_cover_two_true_ones() -> None:
    truth = np.array([1, 1, 2, 2])
    prediction = np.zeros(4, int)
    assert segmentation_covering(truth, prediction, VOID) == pytest.approx(0.5)
    assert mean_best_iou(truth, prediction, VOID) == pytest.approx(0.5)


def test_void_pixels_are_removed_from_the_predicted_segments_too() -> None:
    truth = np.array([70000, 70000, VOID, VOID, 9])
    prediction = np.array([0, 0, 0, 3, 1])
    assert segmentation_covering(truth, prediction, VOID) == 1.0
    assert mean_best_iou(truth, prediction, VOID) == 1.0


def test_agreement_with_a_truth_that_is_void_everywhere_is_not_a_number() -> None:
    truth, prediction = np.zeros(4, int), np.arange(4)
    assert np.isnan(segmentation_covering(truth, prediction, VOID))
    assert np.isnan(mean_best_iou(truth, prediction, VOID))
