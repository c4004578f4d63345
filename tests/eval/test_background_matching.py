"""The matching of DiffCut's code: objects one to one, everything else merged into the background."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import linear_sum_assignment

from diffseg_core import DiffSegError
from diffseg_core.benchmark.measures import sparse_contingency
from diffseg_eval.class_matching import accuracy, match_with_background, mean_iou, merge_background
from diffseg_eval.measures import measure
from diffseg_eval.metrics import compute_metrics
from diffseg_eval.types import AnnotatedImage

# What PaulCouairon/DiffCut (commit aa16df45619515abe1d7a728ce7927ad1019f950) itself gives for `golden_images`
# with N_CLASS = 7: `hungarian_matching` of tools/utils.py, called as in `evaluate` of eval_diffcut.py without
# refinement, its counts added and divided as there.
GOLDEN_ACCURACY = 0.77734375
GOLDEN_MEAN_IOU = 0.6105233156539757
GOLDEN_TRUE_POSITIVES = [287, 203, 207, 195, 309, 193, 994]
GOLDEN_FALSE_POSITIVES = [61, 70, 53, 82, 81, 56, 281]
GOLDEN_FALSE_NEGATIVES = [97, 85, 81, 77, 107, 79, 158]
BACKGROUND = -1  # in the truth, as the authors' code has it before the second matching


def golden_images():
    random = np.random.RandomState(0)
    for _ in range(4):
        truth = np.kron(random.randint(-3, 6, (6, 8)), np.ones((4, 4), int)).clip(BACKGROUND)
        prediction = np.kron(random.randint(0, 12, (12, 16)), np.ones((2, 2), int))
        yield truth, np.where(random.random_sample(truth.shape) < 0.7, (truth + 2) * 5 % 11, prediction)


def of_set(formula, counts):
    """A metric of the images together."""
    return formula(*(pixels.sum(axis=0) for pixels in counts))


def table_of(truth, prediction, classes):
    truth = np.asarray(truth)
    named = np.where(truth == BACKGROUND, classes - 1, truth)
    return sparse_contingency(named, np.asarray(prediction)).tolist()


def reference_counts(truth, prediction, classes):
    """The protocol of DiffCut's code for one image, pixel by pixel."""
    prediction = prediction.copy()

    def matched(truth, classes):
        table = np.zeros((classes, max(classes, prediction.max() + 1)), int)
        for true, predicted in zip(truth.ravel(), prediction.ravel(), strict=True):
            if 0 <= true < classes:
                table[true, predicted] += 1
        return table, linear_sum_assignment(table, maximize=True)[1]

    table, columns = matched(truth, classes - 1)
    objects = [columns[row] for row in np.flatnonzero(table[:, columns].max(axis=1) > 0)]
    background = prediction.max() + 1
    for segment in set(np.unique(prediction)) - set(objects):
        prediction[prediction == segment] = background
    table, columns = matched(np.where(truth == BACKGROUND, classes - 1, truth), classes)
    right = [table[row, column] for row, column in enumerate(columns)]
    missed = [table[row].sum() - right[row] for row in range(classes)]
    wrong = [table[:, column].sum() - right[row] for row, column in enumerate(columns)]
    return right, missed, wrong


def test_it_gives_what_the_reference_implementation_gave():
    found = match_with_background([table_of(*pair, 7) for pair in golden_images()], 7)
    assert found.true_positives.sum(axis=0).tolist() == GOLDEN_TRUE_POSITIVES
    assert found.false_positives.sum(axis=0).tolist() == GOLDEN_FALSE_POSITIVES
    assert found.false_negatives.sum(axis=0).tolist() == GOLDEN_FALSE_NEGATIVES
    assert of_set(accuracy, found) == GOLDEN_ACCURACY
    assert of_set(mean_iou, found) == GOLDEN_MEAN_IOU


@pytest.mark.parametrize(
    ("classes", "segments"), [(2, 1), (2, 5), (3, 9), (7, 7), (21, 4), (21, 40), (60, 12), (81, 100)]
)
def test_it_is_the_reference_exactly(classes, segments):
    random = np.random.default_rng(classes * segments)
    for gap in (1, 2):  # numbers with gaps too
        truth = random.integers(BACKGROUND, random.integers(0, classes - 1) + 1, (6, 6)).repeat(3, 0)
        noise = random.integers(0, segments, truth.shape)
        prediction = np.where(random.random(truth.shape) < 0.6, (truth + 1) * 7 % segments, noise) * gap
        found = match_with_background([table_of(truth, prediction, classes)], classes)
        right, missed, wrong = reference_counts(truth, prediction, classes)
        assert found.true_positives[0].tolist() == right
        assert found.false_negatives[0].tolist() == missed
        assert found.false_positives[0].tolist() == wrong


def test_a_case_worked_by_hand():
    # Of an aeroplane (class 0) segment 1 has four pixels and segment 2 one; 0, 2 and 3 have the rest.
    truth = [BACKGROUND] * 6 + [0] * 5
    prediction = [0, 0, 0, 2, 3, 3, 1, 1, 1, 1, 2]
    table = table_of(truth, prediction, 3)
    assert merge_background(table, 3).tolist() == [[0, 1, 4], [0, 4, 1], [2, 4, 6]]
    found = match_with_background([table], 3)
    assert found.true_positives.tolist() == [[4, 0, 6]]
    assert found.false_negatives.tolist() == [[1, 0, 0]]
    assert found.false_positives.tolist() == [[0, 0, 1]]
    assert of_set(accuracy, found) == 10 / 11
    assert of_set(mean_iou, found) == (4 / 5 + 6 / 7) / 2  # class 1 occurs nowhere


def test_an_image_of_background_alone_is_right_in_however_many_pieces():
    found = match_with_background([table_of([BACKGROUND] * 4, [0, 1, 2, 3], 21)], 21)
    assert found.true_positives[0].tolist() == [0] * 20 + [4]
    assert of_set(mean_iou, found) == 1.0


def test_two_objects_in_one_segment_keep_a_segment_from_the_background():
    # Both lie in segment 0. The second is given segment 1, which it does not meet, and which is not merged
    # then; with segments 1 and 2 the background is in two pieces, of which one counts.
    truth = [0, 0, 1, BACKGROUND, BACKGROUND, BACKGROUND]
    found = match_with_background([table_of(truth, [0, 0, 0, 1, 2, 2], 3)], 3)
    right, missed, wrong = reference_counts(np.array(truth), np.array([0, 0, 0, 1, 2, 2]), 3)
    assert found.true_positives[0].tolist() == right == [2, 0, 2]
    assert found.false_positives[0].tolist() == wrong == [1, 1, 0]
    assert found.false_negatives[0].tolist() == missed == [0, 1, 1]


def test_images_are_matched_each_for_itself_and_their_pixels_summed():
    one = table_of([0, 0, BACKGROUND, BACKGROUND], [0, 0, 1, 1], 2)
    other = table_of([0, BACKGROUND, BACKGROUND, BACKGROUND], [1, 1, 0, 0], 2)
    found = match_with_background([one, other], 2)
    assert found.true_positives.tolist() == [[2, 2], [1, 2]]
    assert of_set(mean_iou, found) == (3 / 4 + 4 / 5) / 2
    assert (
        of_set(mean_iou, found) == (3 / 4 + 4 / 5) / 2
    )  # not the mean of the images, of which the first is 1


def test_it_is_measured_of_images():
    classes = np.array([[0, 0, 2, 2]], np.int32)
    image = AnnotatedImage("a", Image.new("RGB", (4, 1)), classes, ())
    record = measure(image, np.array([[0, 0, 1, 2]]), frozenset({"background"}))
    assert record == {"segments": 3, "background": [[0, 0, 2], [2, 1, 1], [2, 2, 1]]}
    metrics = compute_metrics([record], 3)
    assert list(metrics) == ["segments", "accuracy_background", "mean_iou_background"]
    assert [metric.overall for metric in metrics.values()] == [3, 1, 1]


def test_classes_that_are_not_there_are_refused():
    with pytest.raises(DiffSegError, match=r"classes 0\.\.2.*got class 3"):
        match_with_background([[[3, 0, 4]]], 3)
