"""How well a label map agrees with a person's annotation, when the labels themselves mean nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Labels = npt.NDArray[Any]
"""A label map of any integer dtype, ``[H, W]``."""

COCO27_CLASSES = 27
COCO27_VOID = 255


def contingency(truth: Labels, prediction: Labels) -> npt.NDArray[np.int64]:
    """Count the pixels that carry each pair of labels.

    ``C[t, p] = |{x : truth(x) = t and prediction(x) = p}|``

    Args:
        truth, prediction: integer labels from 0 up, of one common shape.

    Returns:
        int64 ``[T, P]`` with T and P one more than the largest label of each map.

    Raises:
        ValueError: the shapes differ, a dtype is not an integer one, or a label is negative.

    >>> contingency(np.array([0, 0, 1]), np.array([0, 2, 2]))
    array([[1, 0, 1],
           [0, 0, 1]])
    """
    _check_labels(truth, prediction)
    if truth.size == 0:
        return np.zeros((0, 0), np.int64)
    rows, columns = int(truth.max()) + 1, int(prediction.max()) + 1
    pairs = truth.astype(np.int64).ravel() * columns + prediction.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=rows * columns).astype(np.int64).reshape(rows, columns)


class HungarianScore:
    """DiffSeg's own measure: accuracy and mean IoU under each picture's best one-to-one naming of segments.

    For every picture the contingency table of 27 classes by max(27, P) segments is matched by the Hungarian
    method so that the sum of the matched cells is largest. With s(c) the segment matched to class c::

        TP[c] = C[c, s(c)]     FN[c] = sum_p C[c, p] - TP[c]     FP[c] = sum_t C[t, s(c)] - TP[c]

    are added over the pictures, and::

        accuracy = sum_c TP[c] / labelled pixels
        mean IoU = mean over the classes that occur of TP[c] / (TP[c] + FP[c] + FN[c])

    A class that is absent from a picture still takes a segment where one is left over, and that segment
    counts as its false positives. Because each picture is matched for itself, the figures are those of an
    oracle and do not compare with methods that match once for the whole set (PiCIE, STEGO).
    """

    def __init__(self) -> None:
        self.true_positives = np.zeros(COCO27_CLASSES, np.int64)
        self.false_negatives = np.zeros(COCO27_CLASSES, np.int64)
        self.false_positives = np.zeros(COCO27_CLASSES, np.int64)

    def add(self, truth27: Labels, prediction: Labels) -> None:
        """Count one picture.

        Args:
            truth27: classes 0..26, 255 where nothing is annotated; those pixels are ignored.
            prediction: integer labels from 0 up, of the same shape.

        Raises:
            ValueError: a class outside 0..26 and 255, or what :func:`contingency` refuses.
        """
        _check_labels(truth27, prediction)
        labelled = truth27 != COCO27_VOID
        if not labelled.any():
            return
        largest = int(truth27[labelled].max())
        if largest >= COCO27_CLASSES:
            raise ValueError(f"Expected classes 0..{COCO27_CLASSES - 1} and {COCO27_VOID}, got {largest}.")
        found = contingency(truth27[labelled], prediction[labelled])
        columns = max(COCO27_CLASSES, int(prediction.max()) + 1)
        table = np.zeros((COCO27_CLASSES, columns), np.int64)
        table[: found.shape[0], : found.shape[1]] = found

        classes, segments = linear_sum_assignment(table, maximize=True)
        matched = table[classes, segments]
        self.true_positives[classes] += matched
        self.false_negatives[classes] += table[classes].sum(axis=1) - matched
        self.false_positives[classes] += table[:, segments].sum(axis=0) - matched

    @property
    def accuracy(self) -> float:
        """Correct share of the labelled pixels, 0..1; NaN before the first labelled pixel."""
        labelled = int((self.true_positives + self.false_negatives).sum())
        return float(self.true_positives.sum() / labelled) if labelled else float("nan")

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the classes with any true or predicted pixel, 0..1; NaN where there is none."""
        union = self.true_positives + self.false_negatives + self.false_positives
        occurs = union > 0
        if not occurs.any():
            return float("nan")
        return float((self.true_positives[occurs] / union[occurs]).mean())


def segmentation_covering(truth: Labels, prediction: Labels, void: int) -> float:
    """How well the best predicted segment covers each true one, by area (Arbelaez et al., 2011).

    ``sum_R |R| / N * max_S IoU(R, S)`` over the true segments R and predicted segments S, after the pixels
    where ``truth == void`` have been removed from both; N is the number of pixels that remain.

    Returns:
        0..1, higher is better; NaN where the truth is void everywhere.
    """
    iou, areas = _pairwise_iou(truth, prediction, void)
    if areas.size == 0:
        return float("nan")
    return float((areas / areas.sum() * iou.max(axis=1)).sum())


def mean_best_iou(truth: Labels, prediction: Labels, void: int) -> float:
    """How well the best predicted segment covers each true one, every true segment counting the same.

    ``1 / |{R}| * sum_R max_S IoU(R, S)``, void removed as in :func:`segmentation_covering`.

    Returns:
        0..1, higher is better; NaN where the truth is void everywhere.
    """
    iou, areas = _pairwise_iou(truth, prediction, void)
    return float(iou.max(axis=1).mean()) if areas.size else float("nan")


def _pairwise_iou(
    truth: Labels, prediction: Labels, void: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """IoU ``[T, P]`` of every true with every predicted segment, and the areas ``[T]`` of the true ones."""
    _check_labels(truth, prediction)
    kept = truth != void
    # Annotation ids run to 256**3; numbering the labels that occur leaves no empty row or column.
    _, rows = np.unique(truth[kept], return_inverse=True)
    _, columns = np.unique(prediction[kept], return_inverse=True)
    table = contingency(rows, columns)  # [T, P]
    areas = table.sum(axis=1)
    union = areas[:, None] + table.sum(axis=0)[None, :] - table
    return table / union, areas


def _check_labels(truth: Labels, prediction: Labels) -> None:
    if truth.shape != prediction.shape:
        raise ValueError(f"Expected a prediction of the truth's shape {truth.shape}, got {prediction.shape}.")
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"Expected integer labels in the {name}, got {labels.dtype}.")
        if labels.size and int(labels.min()) < 0:
            raise ValueError(f"Expected labels from 0 up in the {name}, got {int(labels.min())}.")
