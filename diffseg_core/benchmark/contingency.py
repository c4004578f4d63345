"""How many pixels carry each pair of a true and a predicted label.

A table is kept sparsely, as it goes into a record: int64 ``[E, 3]``, one row ``class, segment, pixels`` for
each pair that occurs, ordered by class, then segment. Pixels that are not annotated have the class −1: they
say which segments there are, and are left out of every dense table.

>>> truth = np.array([0, 0, 1, -1])
>>> prediction = np.array([0, 2, 2, 3])
>>> sparse_contingency(truth, prediction).tolist()
[[-1, 3, 1], [0, 0, 1], [0, 2, 1], [1, 2, 1]]
>>> dense_contingency(sparse_contingency(truth, prediction), classes=2, segments=4)
array([[1, 0, 1, 0],
       [0, 0, 1, 0]])
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidSettingError

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
