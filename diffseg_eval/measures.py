"""What is measured of one method on one image: counts and metrics that go into JSON as they are."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffseg_core.benchmark.clicks import WANTED, Bitmap, Truth, box_of, click_ious, object_iou
from diffseg_core.benchmark.measures import Areas, Labels, Overlaps, sparse_contingency
from diffseg_core.objects.prompts import Prompt

from .boundaries import boundary_iou, boundary_of, count_boundaries
from .types import AnnotatedImage, Finder, Measure

Measurements = Mapping[str, Any]
"""The measures of one method on one image, as `measure` gives them and JSON keeps them."""

LARGER = (0.0, 0.1, 0.2)
"""By how much of the object's extent a box is moved out."""
AFTER_CLICKS = (1, 3, 5)
"""The clicks after which the IoU is a metric; as many as the last are made at least."""


def measure(image: AnnotatedImage, result: Labels | Finder, groups: frozenset[Measure]) -> dict[str, Any]:
    """Measure one method on one image.

    Args:
        image: with the annotations that the groups need.
        result: integers from 0 up, ``[H, W]`` of the image's size; of "clicks" and "boxes" what finds the
            object.
        groups: what to measure.

    Returns:
        What JSON can hold; null where nothing is annotated that could be measured:

        - of labels always ``segments``: how many there are;
        - ``classes``, ``background`` and ``named``, each of its group: the sparse contingency table
          ``[[class, segment, pixels], …]``, −1 for pixels without a class;
        - "segments": ``covered`` and ``area``, the covering in 0..1 and 1, and ``best_iou``, 0..1;
        - "annotators": ``covered`` and ``area``, pixels summed over people; ``rand_index``, 0..1, and
          ``variation_of_information``, bits, means over people;
        - "boundaries": the pixel counts ``matched_truth``, ``truth``, ``matched_prediction``, ``prediction``
          of `boundaries.BoundaryCounts`;
        - "clicks": ``click_ious`` after each until the highest of `WANTED` is reached, and
          ``click_boundary_ious`` after the first alone; "boxes": ``box_ious`` and ``box_boundary_ious`` of
          each of `LARGER`; of both ``seconds_per_prompt``.

    Raises:
        InvalidSettingError: labels of another shape.
    """
    if not isinstance(result, np.ndarray):
        assert image.object is not None
        return _measure_prompts(result, image.object, groups)
    record: dict[str, Any] = {"segments": len(np.unique(result))}
    of_classes = groups & {"classes", "background", "named"}
    if of_classes:
        assert image.classes is not None
        record |= dict.fromkeys(of_classes, sparse_contingency(image.classes, result).tolist())
    if groups & {"segments", "annotators"}:
        record |= _measure_regions([Overlaps.of(truth, result) for truth in image.segments], groups)
    if "boundaries" in groups:
        record |= count_boundaries(boundary_of(result), image.boundaries)._asdict()
    return record


def mean_best_iou(overlaps: Sequence[Overlaps]) -> float:
    """Mean best IoU of all people's true segments, each counting the same: 0..1; NaN where there is none."""
    ious = np.concatenate([overlap.best_ious for overlap in overlaps])
    return float(ious.mean()) if ious.size else float("nan")


def rand_index(overlaps: Overlaps) -> float:
    """Share of the pairs of pixels that both maps join or both maps part, 0..1; NaN without a pair.

    Its mean over people is the probabilistic Rand index (Unnikrishnan et al., 2007).
    """
    pairs = overlaps.area * (overlaps.area - 1) // 2
    if pairs == 0:
        return float("nan")
    joined_in_one = (_sum_of_squares(overlaps.true_areas) + _sum_of_squares(overlaps.predicted_areas)) / 2
    return 1 - (joined_in_one - _sum_of_squares(overlaps.pixels)) / pairs


def variation_of_information(overlaps: Overlaps) -> float:
    """``H(truth | prediction) + H(prediction | truth)`` in bits; 0 for equal maps (Meilă, 2005)."""
    if overlaps.area == 0:
        return float("nan")
    in_true = overlaps.pixels / overlaps.true_areas[overlaps.rows]
    in_predicted = overlaps.pixels / overlaps.predicted_areas[overlaps.columns]
    information = np.log2(in_true) + np.log2(in_predicted)
    return 0.0 - float((overlaps.pixels / overlaps.area * information).sum())


def _measure_regions(overlaps: Sequence[Overlaps], groups: frozenset[Measure]) -> dict[str, Any]:
    covered = sum(overlap.covered for overlap in overlaps)
    area = sum(overlap.area for overlap in overlaps)
    if "annotators" not in groups:
        covered, area = (covered / area, 1) if area else (0.0, 0)
    measured: dict[str, Any] = {"covered": covered, "area": area}
    if "segments" in groups:
        measured["best_iou"] = _or_none(mean_best_iou(overlaps))
    if "annotators" in groups:
        for of in (rand_index, variation_of_information):
            measured[of.__name__] = _or_none(float(np.mean([of(overlap) for overlap in overlaps])))
    return measured


def _measure_prompts(find: Finder, truth: Truth, groups: frozenset[Measure]) -> dict[str, Any]:
    masks: list[Bitmap] = []

    def find_and_keep(prompts: Sequence[Prompt]) -> Bitmap:
        masks.append(find(prompts))
        return masks[-1]

    started = time.perf_counter()
    if "clicks" in groups:
        kind, ious = "click", click_ious(find_and_keep, truth, enough=max(WANTED), least=max(AFTER_CLICKS))
        del masks[1:]
    else:
        boxes = [box_of(truth, larger) for larger in LARGER]
        kind, ious = "box", [object_iou(find_and_keep([box]), truth) for box in boxes]
    seconds = (time.perf_counter() - started) / len(ious)
    boundary_ious = [_or_none(boundary_iou(mask, truth)) for mask in masks]
    return {f"{kind}_ious": ious, f"{kind}_boundary_ious": boundary_ious, "seconds_per_prompt": seconds}


def _sum_of_squares(areas: Areas) -> int:
    return int((areas**2).sum())


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value
