"""How well predicted segments agree with true ones, each a set of pixels without a name.

Covering, as of the Berkeley segmentation benchmark (Arbelaez et al., "Contour Detection and Hierarchical
Image Segmentation", 2011, section 2.3, and its code), and its relatives. Pixels that are not annotated are
left out of both maps first.

How many pixels carry each pair of a true and a predicted label stands in a contingency table. It is kept
sparsely, as it goes into a record: int64 ``[E, 3]``, one row ``class, segment, pixels`` for each pair that
occurs, ordered by class, then segment. Pixels that are not annotated have the class −1: they say which
segments there are, and are left out of every dense table.

>>> truth = np.array([0, 0, 1, -1])
>>> prediction = np.array([0, 2, 2, 3])
>>> sparse_contingency(truth, prediction).tolist()
[[-1, 3, 1], [0, 0, 1], [0, 2, 1], [1, 2, 1]]
>>> dense_contingency(sparse_contingency(truth, prediction), classes=2, segments=4)
array([[1, 0, 1, 0],
       [0, 0, 1, 0]])
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import InvalidSettingError

Numbers = TypeVar("Numbers", bound=tuple[Any, ...])
Areas = npt.NDArray[np.int64]

VOID = -1
"""The label of what is not annotated: left out of every measure."""

Labels = npt.NDArray[Any]
"""Labels of any integer dtype and any one shape."""

Table = npt.NDArray[np.int64]
"""A contingency table, dense ``[C, P]`` or sparse ``[E, 3]``."""


def sparse_contingency(truth: Labels, prediction: Labels) -> Table:
    """Count the pixels that carry each pair of labels, those that are not annotated among them.

    Args:
        truth: labels from 0 up however large, `VOID` where nothing is annotated.
        prediction: labels from 0 up however large, of the same shape.

    Returns:
        int64 ``[E, 3]``; see the module.

    Raises:
        InvalidSettingError: the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise InvalidSettingError(
            f"Expected a prediction of the truth's shape {truth.shape}, got {prediction.shape}."
        )
    columns = int(prediction.max(initial=0)) + 1
    keys = (truth.astype(np.int64).ravel() - VOID) * columns + prediction.astype(np.int64).ravel()
    pairs, pixels = np.unique(keys, return_counts=True)
    return np.stack((pairs // columns + VOID, pairs % columns, pixels), axis=1)


def dense_contingency(sparse: npt.ArrayLike, classes: int, segments: int) -> Table:
    """The table of the annotated pixels alone: ``C[t, p] = |{x : truth(x) = t and prediction(x) = p}|``.

    Args:
        sparse: ``[[class, segment, pixels], …]``, as it comes out of a record.
        classes, segments: C and P, each more than the largest number of its kind.

    Returns:
        int64 ``[C, P]``.

    Raises:
        InvalidSettingError: a class or a segment beyond them.
    """
    entries = as_sparse(sparse)
    largest = entries[:, :2].max(axis=0, initial=VOID)
    if largest[0] >= classes or largest[1] >= segments:
        raise InvalidSettingError(
            f"Expected classes 0..{classes - 1} and segments 0..{segments - 1} in a contingency table, "
            f"got class {largest[0]} and segment {largest[1]}."
        )
    table = np.zeros((classes, segments), np.int64)
    annotated = entries[entries[:, 0] != VOID]
    table[annotated[:, 0], annotated[:, 1]] = annotated[:, 2]
    return table


def as_sparse(entries: npt.ArrayLike) -> Table:
    """int64 ``[E, 3]`` of the lists in a record; E may be 0."""
    return np.asarray(entries, np.int64).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Where the segments of one truth and of one prediction meet.

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
            InvalidSettingError: the shapes differ.
        """
        sparse = sparse_contingency(truth, prediction)
        labels, segments, pixels = sparse[sparse[:, 0] != VOID].T
        _, rows = np.unique(labels, return_inverse=True)
        _, columns = np.unique(segments, return_inverse=True)
        true_areas, areas = (np.bincount(groups, pixels).astype(np.int64) for groups in (rows, columns))
        return cls(true_areas, areas, rows, columns, pixels)

    @property
    def area(self) -> int:
        """Annotated pixels."""
        return int(self.pixels.sum())

    @property
    def ious(self) -> npt.NDArray[np.float64]:
        """``[E]``: ``|R ∩ S| / |R ∪ S|`` of each pair that meets, in 0..1."""
        union = self.true_areas[self.rows] + self.predicted_areas[self.columns] - self.pixels
        return np.asarray(self.pixels / union, np.float64)

    @property
    def best_ious(self) -> npt.NDArray[np.float64]:
        """``[T]``: the highest IoU of each true segment with any predicted one, in 0..1."""
        best = np.zeros(self.true_areas.shape)
        np.maximum.at(best, self.rows, self.ious)
        return best

    @property
    def covered(self) -> float:
        """``sum_R |R| max_S IoU(R, S)`` in pixels; divided by `area` it is the covering."""
        return float((self.true_areas * self.best_ious).sum())


class Measures(NamedTuple):
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
    """Compare the segments of a photograph with its objects, on the pixels that are annotated.

    Args:
        labels: ``[H, W]``, segments from 0 up.
        truth: ``[H, W]``, objects from 0 up, `VOID` where nothing is annotated; at least one object.

    Raises:
        InvalidSettingError: the shapes differ.
    """
    from scipy.optimize import linear_sum_assignment

    overlaps = Overlaps.of(truth, labels)
    ious = np.zeros((len(overlaps.true_areas), len(overlaps.predicted_areas)))
    ious[overlaps.rows, overlaps.columns] = overlaps.ious
    return Measures(
        covering=overlaps.covered / overlaps.area,
        best_iou=float(overlaps.best_ious.mean()),
        mean_iou=float(ious[linear_sum_assignment(ious, maximize=True)].sum() / len(ious)),
        segments=float(len(np.unique(labels))),
    )


def mean_of(figures: Iterable[Numbers]) -> Numbers:
    """The means over photographs, each counting the same; at least one, of a named tuple of numbers."""
    rows = list(figures)
    return type(rows[0])(*np.mean(rows, axis=0).tolist())
