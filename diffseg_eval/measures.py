"""What is measured of one segmentation of one image: counts and metrics that go into JSON as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffseg_core.benchmark.contingency import Labels, sparse_contingency
from diffseg_core.benchmark.measures import Areas, Overlaps
from diffseg_core.errors import InvalidSettingError

from .boundaries import boundary_of, count_boundaries
from .types import AnnotatedImage, DatasetError, Measure

Measurements = Mapping[str, Any]
"""The measures of one segmentation of one image, as `measure` gives them and JSON keeps them."""

NAMED = "named"
"""The key of a record whose segments' numbers are those of classes."""


def measure(
    image: AnnotatedImage, labels: Labels, groups: frozenset[Measure], named: bool = False
) -> dict[str, Any]:
    """Measure one segmentation of one image.

    Args:
        image: with the annotations that the groups need.
        labels: integers from 0 up, ``[H, W]`` of the image's size. Labels larger than the number of pixels
            cannot have been counted from 0; they are replaced by their ranks, unless they are classes.
        groups: what to measure.
        named: whether the labels are classes, which the record then tells under `NAMED`.

    Returns:
        What JSON can hold; null where nothing is annotated that could be measured:

        - always ``segments``: how many there are;
        - "classes" and "background": ``table``, the sparse contingency table
          ``[[class, segment, pixels], …]``, −1 for pixels without a class;
        - "segments": ``covering`` and ``best_iou``, 0..1;
        - "annotators": ``covered`` and ``area``, pixels summed over people; ``rand_index``, 0..1, and
          ``variation_of_information``, bits, means over people;
        - "boundaries": the pixel counts ``matched_truth``, ``truth``, ``matched_prediction``, ``prediction``
          of `boundaries.BoundaryCounts`.

    Raises:
        InvalidSettingError: labels that are not as they should be (see `check_labels`).
        DatasetError: the image has no annotations for one of the groups.
    """
    check_labels(labels, (image.pixels.height, image.pixels.width))
    names, ranks = np.unique(labels, return_inverse=True)
    if names[-1] >= labels.size and not named:
        labels = ranks.reshape(labels.shape)
    record: dict[str, Any] = {"segments": len(names), **({NAMED: True} if named else {})}
    if groups & {"classes", "background"}:
        if image.classes is None:
            raise _not_annotated(image, "classes")
        record["table"] = sparse_contingency(image.classes, labels).tolist()
    if groups & {"segments", "annotators"}:
        record |= _measure_regions(image, labels, groups)
    if "boundaries" in groups:
        if not image.boundaries:
            raise _not_annotated(image, "boundaries")
        record |= count_boundaries(boundary_of(labels), image.boundaries)._asdict()
    return record


def check_labels(labels: Labels, shape: tuple[int, int]) -> None:
    """Refuse what is no segmentation of an image.

    Args:
        labels: what a method gave.
        shape: height and width of the image.

    Raises:
        InvalidSettingError: labels of another shape, not integers, or below 0.
    """
    if labels.shape != shape:
        raise InvalidSettingError(
            f"Expected labels of the image's height and width {shape}, got {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InvalidSettingError(f"Expected labels of an integer type, got {labels.dtype}.")
    if int(labels.min()) < 0:
        raise InvalidSettingError(
            f"Expected labels from 0 up, got {int(labels.min())}. Every pixel must be in a "
            "segment: number what is left over as a segment of its own."
        )


def covering(overlaps: Sequence[Overlaps]) -> float:
    """Of all people's area, what the best segments cover: ``sum_R |R| max_S IoU(R, S) / sum_R |R|``.

    Args:
        overlaps: of the prediction with each person's truth.

    Returns:
        0..1; NaN where nothing is annotated.
    """
    area = sum(overlap.area for overlap in overlaps)
    return sum(overlap.covered for overlap in overlaps) / area if area else float("nan")


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


def _measure_regions(
    image: AnnotatedImage, labels: Labels, groups: frozenset[Measure]
) -> dict[str, float | int | None]:
    if not image.segments:
        raise _not_annotated(image, "segments")
    overlaps = [Overlaps.of(truth, labels) for truth in image.segments]
    measured: dict[str, float | int | None] = {}
    if "segments" in groups:
        measured["covering"] = _or_none(covering(overlaps))
        measured["best_iou"] = _or_none(mean_best_iou(overlaps))
    if "annotators" in groups:
        measured["covered"] = sum(overlap.covered for overlap in overlaps)
        measured["area"] = sum(overlap.area for overlap in overlaps)
        for name, of in (("rand_index", rand_index), ("variation_of_information", variation_of_information)):
            measured[name] = _or_none(float(np.mean([of(overlap) for overlap in overlaps])))
    return measured


def _sum_of_squares(areas: Areas) -> int:
    return int((areas**2).sum())


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value


def _not_annotated(image: AnnotatedImage, what: str) -> DatasetError:
    return DatasetError(
        f"Expected {what} in the annotations of {image.name}, got none. "
        "Measure only what the dataset's annotations allow."
    )
