"""Right and wrong pixels where a method says the classes' names itself, and nothing needs to be matched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .class_matching import ClassMatching
from .contingency import dense_contingency


def count_named(tables: Sequence[npt.ArrayLike], classes: int) -> ClassMatching:
    """Count the pixels of every class, as the field does: summed over the set, mean IoU over its classes.

    Args:
        tables: of each image, ``[[class, predicted class, pixels], …]``. A predicted class of C stands for
            pixels without a name, in a dataset without background: they are right for no class, and a miss
            of the one that is there.
        classes: C, the background included where the dataset has one.

    Raises:
        InvalidSettingError: a class beyond C - 1, or a predicted one beyond C.
    """
    counts = np.zeros((3, len(tables), classes), np.int64)
    for image, table in enumerate(tables):
        dense = dense_contingency(table, classes, classes + 1)
        right = dense.diagonal()
        counts[:, image] = right, dense.sum(axis=1) - right, dense[:, :classes].sum(axis=0) - right
    return ClassMatching(*counts)
