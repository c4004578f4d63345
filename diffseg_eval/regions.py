"""How well predicted segments agree with true ones, of which each is a set of pixels without a name.

The measures of the Berkeley segmentation benchmark (Arbelaez et al., "Contour Detection and Hierarchical
Image Segmentation", 2011, section 2.3), computed as its code does; BSDS500 has several people's truth of each
image. Pixels that are not annotated are left out of both maps first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .contingency import Labels, sparse_contingency
from .types import VOID

Areas = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Where the segments of one truth and of one prediction meet.

    Every measure is NaN where the truth has no annotated pixel, the Rand index also where it has only one.

    Attributes:
        true_areas: int64 ``[T]``, pixels of each true segment, none of them 0.
        predicted_areas: int64 ``[P]``, pixels of each predicted segment that are annotated, none of them 0.
        rows, columns: int64 ``[E]``, the true and the predicted segment of each pair that meets.
        pixels: int64 ``[E]``, the size of the pair's intersection.
    """

    true_areas: Areas
    predicted_areas: Areas
    rows: Areas
    columns: Areas
    pixels: Areas

    @classmethod
    def of(cls, truth: Labels, prediction: Labels) -> Overlaps:
        """Measure two label maps.

        Args:
            truth: labels from 0 up however large, `VOID` where nothing is annotated.
            prediction: labels from 0 up however large, of the same shape.

        Raises:
            InvalidSettingError: the shapes differ, a dtype is not an integer one, or a label is negative.
        """
        sparse = sparse_contingency(truth, prediction)
        labels, segments, pixels = sparse[sparse[:, 0] != VOID].T
        _, rows = np.unique(labels, return_inverse=True)
        _, columns = np.unique(segments, return_inverse=True)
        return cls(_sum_by(rows, pixels), _sum_by(columns, pixels), rows, columns, pixels)

    @property
    def area(self) -> int:
        """Annotated pixels."""
        return int(self.pixels.sum())

    @property
    def best_ious(self) -> npt.NDArray[np.float64]:
        """``[T]``: ``max_S |R ∩ S| / |R ∪ S|`` of each true segment R over the predicted S, in 0..1."""
        union = self.true_areas[self.rows] + self.predicted_areas[self.columns] - self.pixels
        best = np.zeros(self.true_areas.shape)
        np.maximum.at(best, self.rows, self.pixels / union)
        return best

    @property
    def covered(self) -> float:
        """``sum_R |R| max_S IoU(R, S)`` in pixels; divided by `area` it is the covering."""
        return float((self.true_areas * self.best_ious).sum())

    @property
    def rand_index(self) -> float:
        """Share of the pairs of pixels that both maps join or both maps part, 0..1."""
        pairs = self.area * (self.area - 1) // 2
        if pairs == 0:
            return float("nan")
        joined_in_one = (_sum_of_squares(self.true_areas) + _sum_of_squares(self.predicted_areas)) / 2
        return 1 - (joined_in_one - _sum_of_squares(self.pixels)) / pairs

    @property
    def variation_of_information(self) -> float:
        """``H(truth | prediction) + H(prediction | truth)`` in bits; 0 for equal maps (Meilă, 2005)."""
        if self.area == 0:
            return float("nan")
        in_true = self.pixels / self.true_areas[self.rows]
        in_predicted = self.pixels / self.predicted_areas[self.columns]
        information = np.log2(in_true) + np.log2(in_predicted)
        return 0.0 - float((self.pixels / self.area * information).sum())


def covering(overlaps: Sequence[Overlaps]) -> float:
    """Segmentation covering of one image: of all people's area, what the best segments cover.

    ``sum_R |R| max_S IoU(R, S) / sum_R |R|``

    Args:
        overlaps: of the prediction with each person's truth.

    Returns:
        0..1; NaN where nothing is annotated.
    """
    area = sum(overlap.area for overlap in overlaps)
    return sum(overlap.covered for overlap in overlaps) / area if area else float("nan")


def mean_best_iou(overlaps: Sequence[Overlaps]) -> float:
    """Mean of `Overlaps.best_ious` over all people's true segments, every one counting the same.

    Returns:
        0..1; NaN where nothing is annotated.
    """
    ious = np.concatenate([overlap.best_ious for overlap in overlaps])
    return float(ious.mean()) if ious.size else float("nan")


def probabilistic_rand_index(overlaps: Sequence[Overlaps]) -> float:
    """Mean Rand index over people, 0..1 (Unnikrishnan et al., 2007)."""
    return float(np.mean([overlap.rand_index for overlap in overlaps]))


def mean_variation_of_information(overlaps: Sequence[Overlaps]) -> float:
    """Mean variation of information over people, in bits."""
    return float(np.mean([overlap.variation_of_information for overlap in overlaps]))


def _sum_by(groups: Areas, pixels: Areas) -> Areas:
    sums = np.zeros(int(groups.max(initial=-1)) + 1, np.int64)
    np.add.at(sums, groups, pixels)
    return sums


def _sum_of_squares(areas: Areas) -> int:
    return int((areas**2).sum())
