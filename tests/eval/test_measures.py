"""The record of an image, and the metrics of a set."""

from __future__ import annotations

import json
from math import isnan

import numpy as np
import pytest
from PIL import Image

from diffseg_core import DiffSegError
from diffseg_eval.boundaries import boundary_of
from diffseg_eval.measures import measure
from diffseg_eval.metrics import compute_metrics
from diffseg_eval.types import VOID, AnnotatedImage

EVERYTHING = frozenset({"classes", "segments", "annotators", "boundaries"})
HALVES = np.array([[0, 0, 1, 1]] * 4, np.int32)
QUARTER = np.array([[0, 1, 1, 1]] * 4, np.int32)


def summarise(records, classes=0):
    """The metrics of a set as plain numbers."""
    return {name: metric.overall for name, metric in compute_metrics(records, classes).items()}


def image(*people, classes=None):
    height, width = people[0].shape
    boundaries = tuple(boundary_of(truth) for truth in people)
    return AnnotatedImage("a", Image.new("RGB", (width, height)), classes, people, boundaries)


def random_records(seed, groups=EVERYTHING, images=7):
    random = np.random.default_rng(seed)
    records = []
    for _ in range(images):
        people = [np.kron(random.integers(0, 3, (4, 4)), np.ones((8, 8), np.int32)) for _ in range(2)]
        labels = np.kron(random.integers(0, 4, (4, 4)), np.ones((8, 8), np.int32))
        records.append(measure(image(*people, classes=people[0]), labels, groups))
    return records


def test_the_record_of_a_case_worked_by_hand():
    # IoU of the halves 1/2 and 2/3, of the quarters 1. Boundaries are columns 1 and 0: a pixel apart, which
    # is more than 0.0075 of this diagonal.
    classes = np.where(HALVES == 0, 5, VOID)
    record = measure(image(HALVES, QUARTER, classes=classes), QUARTER, EVERYTHING)
    assert record.pop("variation_of_information") > 0
    assert record == {
        "segments": 2,
        "classes": [[VOID, 1, 8], [5, 0, 4], [5, 1, 4]],
        "best_iou": pytest.approx((1 / 2 + 2 / 3 + 1 + 1) / 4),
        "covered": pytest.approx(8 * 1 / 2 + 8 * 2 / 3 + 16),
        "area": 32,
        "rand_index": pytest.approx((rand_index_by_pairs(HALVES, QUARTER) + 1) / 2),
        "matched_truth": 4,
        "truth": 8,
        "matched_prediction": 4,
        "prediction": 4,
    }


def rand_index_by_pairs(one, other):
    joined = [labels.ravel()[:, None] == labels.ravel()[None] for labels in (one, other)]
    pairs = np.triu_indices(one.size, 1)
    return (joined[0] == joined[1])[pairs].mean()


@pytest.mark.parametrize(
    ("group", "keys"),
    [
        ("classes", {"classes"}),
        ("segments", {"covered", "area", "best_iou"}),
        ("annotators", {"covered", "area", "rand_index", "variation_of_information"}),
        ("boundaries", {"matched_truth", "truth", "matched_prediction", "prediction"}),
    ],
)
def test_a_group_measures_its_own(group, keys):
    record = measure(image(HALVES, classes=HALVES), QUARTER, frozenset({group}))
    assert set(record) == {"segments", *keys}


def test_records_and_their_figures_survive_json():
    records = random_records(0)
    again = json.loads(json.dumps(records, allow_nan=False))
    assert again == records
    assert summarise(again, 3) == summarise(records, 3)


def test_numbers_of_classes_stay_as_they_are():
    """Of a tiny image there may be more classes than pixels."""
    labels = np.array([[150, 3], [3, 3]], np.int32)
    truth = np.array([[7, 3], [3, 3]], np.int32)
    annotated = image(truth, classes=truth)
    record = measure(annotated, labels, frozenset({"classes", "named"}))
    assert record["classes"] == record["named"]
    assert sorted(record["named"]) == [[3, 3, 3], [7, 150, 1]]


def test_an_image_without_annotated_pixels_adds_nothing_to_the_set():
    groups = frozenset({"classes", "segments"})
    void = np.full((4, 4), VOID, np.int32)
    records = [
        measure(image(HALVES, classes=HALVES), QUARTER, groups),
        measure(image(void, classes=void), QUARTER, groups),
    ]
    assert records[1]["best_iou"] is None
    assert summarise(records, 2) == {**summarise(records[:1], 2), "segments": 2}
    assert isnan(summarise(records[1:], 2)["covering"])


def test_names_of_the_figures_and_their_order():
    assert list(summarise(random_records(1), 3)) == [
        *("segments", "accuracy", "mean_iou", "accuracy_whole_set", "mean_iou_whole_set"),
        *("covering", "best_iou", "rand_index", "variation_of_information"),
        *("boundary_precision", "boundary_recall", "boundary_f"),
    ]


def test_figures_of_a_set_worked_by_hand():
    keys = (
        *("segments", "covered", "area", "rand_index", "variation_of_information"),
        *("matched_truth", "truth", "matched_prediction", "prediction"),
    )
    values = [(2, 3.0, 4, 0.5, 1.0, 1, 4, 1, 1), (5, 9.0, 36, 0.7, 2.0, 2, 2, 2, 5)]
    records = [dict(zip(keys, row, strict=True)) for row in values]
    metrics = summarise(records)
    assert metrics == pytest.approx(
        {
            "segments": 3.5,
            "covering": 12 / 40,
            "rand_index": 0.6,
            "variation_of_information": 1.5,
            "boundary_precision": 3 / 6,
            "boundary_recall": 3 / 6,
            "boundary_f": 0.5,
        }
    )


def test_covering_of_one_persons_segments_is_the_mean_over_images():
    records = [
        {"segments": 1, "covered": 0.5, "area": 1, "best_iou": 0.4},
        {"segments": 1, "covered": 1, "area": 1, "best_iou": 0},
    ]
    metrics = summarise(records)
    assert metrics == {"segments": 1, "covering": 0.75, "best_iou": 0.2}


def test_without_any_boundary_the_figures_are_0():
    record = {"segments": 1, "matched_truth": 0, "truth": 9, "matched_prediction": 0, "prediction": 0}
    metrics = summarise([record])
    assert metrics == {"segments": 1, "boundary_precision": 0, "boundary_recall": 0, "boundary_f": 0}


def test_a_resampled_set_is_the_set_of_those_images():
    records = random_records(2)
    weights = np.array([[2, 0, 1, 0, 3, 1, 0], [1] * 7])
    drawn = [record for record, times in zip(records, weights[0], strict=True) for _ in range(times)]
    expected = summarise(drawn, 3), summarise(records, 3)
    for name, metric in compute_metrics(records, 3).items():
        sample, whole = metric.resampled(weights)
        assert whole == pytest.approx(expected[1][name])
        if not name.endswith("whole_set"):  # which would be matched anew
            assert sample == pytest.approx(expected[0][name])


def test_a_result_of_another_shape_is_refused():
    with pytest.raises(DiffSegError, match=r"shape \(4, 4\), got \(4, 5\)"):
        measure(image(HALVES), np.zeros((4, 5), int), frozenset({"segments"}))
