"""How well the segments of a photograph agree with the objects that a person drew in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import InvalidSettingError
from .photographs import UNKNOWN

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Numbers = TypeVar("Numbers", bound="DataclassInstance")


@dataclass(frozen=True)
class Measures:
    """Of one photograph, or the means over several; all but ``segments`` 0..1 and better when higher.

    Attributes:
        covering: mean over the annotated pixels of the best IoU of their object with any segment.
        best_iou: mean over the objects of the best IoU with any segment.
        mean_iou: mean over the objects of the IoU with the one segment that is given to each, so that no
            segment serves two and the sum is largest.
        segments: how many there are in the whole photograph.
    """

    covering: float
    best_iou: float
    mean_iou: float
    segments: float

    @property
    def score(self) -> float:
        """By which settings are compared: the mean of covering and best IoU, 0..1."""
        return (self.covering + self.best_iou) / 2.0


def measure(labels: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]) -> Measures:
    """Compare segments with objects on the pixels that are annotated.

    Args:
        labels: ``[H, W]``, segments from 0 up.
        truth: ``[H, W]``, objects from 0 up, `UNKNOWN` where nothing is annotated; at least one object.

    Raises:
        InvalidSettingError: shapes that differ, a negative segment, or no object.
    """
    from scipy.optimize import linear_sum_assignment

    if labels.shape != truth.shape or labels.min() < 0 or truth.max() < 0:
        raise InvalidSettingError(
            f"Expected segments from 0 up and objects of one size, got {labels.shape} and {truth.shape}, "
            f"from {labels.min()} and up to {truth.max()}."
        )
    segments, numbered = np.unique(labels, return_inverse=True)
    annotated = truth != UNKNOWN
    objects, within = np.unique(truth[annotated], return_inverse=True)
    pairs = within * len(segments) + numbered.reshape(labels.shape)[annotated]
    shared = np.bincount(pairs, minlength=len(objects) * len(segments)).reshape(len(objects), -1)
    areas = shared.sum(1)
    ious = shared / (areas[:, None] + shared.sum(0) - shared)
    best = ious.max(1)
    matched = ious[linear_sum_assignment(ious, maximize=True)]
    return Measures(
        covering=float((areas * best).sum() / areas.sum()),
        best_iou=float(best.mean()),
        mean_iou=float(matched.sum() / len(objects)),
        segments=float(len(segments)),
    )


def mean_of(measures: Iterable[Numbers]) -> Numbers:
    """The means over photographs, each counting the same; at least one, of a dataclass of numbers."""
    every = list(measures)
    means = np.mean([astuple(each) for each in every], axis=0)
    return type(every[0])(*(float(mean) for mean in means))
