"""Measures on segments whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core.benchmark.clicks import count_clicks
from diffseg_core.benchmark.measures import VOID, Measures, mean_of, measure
from diffseg_core.benchmark.photographs import Photograph
from diffseg_core.images import Images

TRUTH = np.repeat([[0, 0, 0, 1]], 4, axis=0)  # 12 and 4 pixels


def test_perfect_segments_reach_one():
    assert measure(TRUTH * 5, TRUTH) == Measures(1.0, 1.0, 1.0, 2.0)


def test_one_segment_has_known_values():
    found = measure(np.zeros_like(TRUTH), TRUTH)
    assert found.best_iou == pytest.approx((12 / 16 + 4 / 16) / 2)
    assert found.covering == pytest.approx((12 * 12 / 16 + 4 * 4 / 16) / 16)
    assert found.mean_iou == pytest.approx(12 / 16 / 2)  # the one segment serves one object alone
    assert found.score == pytest.approx((found.covering + found.best_iou) / 2)


def test_segments_are_given_out_so_that_the_sum_is_largest():
    truth = np.array([[0, 0, 0, 0, 1, 1, 1, 1]])
    labels = np.array([[0, 0, 1, 1, 1, 1, 1, 1]])
    found = measure(labels, truth)
    # Segment 1 has IoU 2/8 with object 0 and 4/6 with object 1; segment 0 has 2/4 with object 0.
    assert found.mean_iou == pytest.approx((2 / 4 + 4 / 6) / 2)
    assert found.best_iou == found.mean_iou


def test_pixels_that_are_not_annotated_do_not_count():
    truth = np.array([[0, 0, VOID, VOID, 1, 1]])
    one, other = np.array([[0, 0, 0, 0, 1, 1]]), np.array([[0, 0, 7, 9, 1, 1]])
    for labels in (one, other):
        found = measure(labels, truth)
        assert (found.covering, found.best_iou, found.mean_iou) == (1.0, 1.0, 1.0)
    assert measure(other, truth).segments == 4


def test_fewer_segments_than_objects_leave_some_without():
    truth = np.array([[0, 1, 2, 2]])
    assert measure(np.array([[0, 0, 1, 1]]), truth).mean_iou == pytest.approx((0.5 + 0 + 1) / 3)


def test_means_are_over_photographs():
    mean = mean_of([Measures(0, 0.25, 1, 3), Measures(1, 0.75, 1, 4)])
    assert mean == Measures(0.5, 0.5, 1, 3.5)


class Finder:
    """Finds the whole row of each click for the object, without those against it."""

    def find(self, clicks):
        mask = np.zeros((8, 8), bool)
        for click in clicks:
            mask[click.point.y] = click.positive
        return type("Found", (), {"mask": mask})


def test_clicks_are_counted_until_the_object_is_found():
    truth = np.full((8, 8), VOID)
    truth[2:6] = 0  # four rows: a click each
    truth[7, :2] = 1  # a quarter of its row: never
    photograph = Photograph("made", Images(torch.zeros(1, 8, 8, 3)), ("rows", "corner"), truth)
    assert count_clicks(Finder(), photograph, 6) == [(4, 4), (6, 6)]
