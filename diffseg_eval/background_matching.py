"""Which segments are objects and which are background, as DiffCut's code decides it.

The protocol of PaulCouairon/DiffCut (Couairon et al., NeurIPS 2024), ``eval_diffcut.py``, for datasets of
objects before a background. An image is cut into more pieces of background than there are names for; so many
pieces may be background, and one is each object (many to one, and one to one):

1. The segments are matched with the classes of objects alone, by the Hungarian method on the pixels of
   objects (`class_matching`).
2. A segment that was given to no class which the image shows becomes background, however much of an object
   it covers: all of these are merged into one segment. A class that the image shows may have been given a
   segment that it does not meet, where two of them lie in one segment; that segment is not merged.
3. What there is now is matched once more, with the background as a class among the others.

The pixels right and wrong are summed over the images as in `class_matching`: mean IoU is the mean of the
classes of the whole set, background included. Both matchings see the truth of the image: it is an oracle.

Pixels that nobody annotated do not exist here: the authors count what VOC and Pascal Context leave out (the
borders around objects in VOC) as background.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from diffseg_core.errors import InvalidSettingError

from .class_matching import ClassMatching, match_per_image
from .contingency import Table, as_sparse, dense_contingency


def match_with_background(tables: Sequence[npt.ArrayLike], classes: int) -> ClassMatching:
    """Match every image for itself, what is no object's merged.

    Args:
        tables: of each image, ``[[class, segment, pixels], …]``.
        classes: C, of which the last, C - 1, is the background.

    Raises:
        InvalidSettingError: a class beyond C - 1, or no class but the background.
    """
    if classes < 2:
        raise InvalidSettingError(f"Expected a class beside the background, got {classes} in all.")
    return match_per_image([merge_background(table, classes) for table in tables], classes)


def merge_background(table: npt.ArrayLike, classes: int) -> Table:
    """The table of an image with one segment in place of those that are no object's.

    Args:
        table: ``[[class, segment, pixels], …]``.
        classes: C, of which the last is the background.

    Returns:
        int64 ``[E, 3]``: segments that are an object's under their numbers, all others under the number after
        the image's last.

    Raises:
        InvalidSettingError: a class beyond C - 1.
    """
    sparse = as_sparse(table)
    background = classes - 1
    merged = int(sparse[:, 1].max(initial=-1)) + 1
    dense = dense_contingency(sparse, classes, max(background, merged))[:background]
    _, segments = linear_sum_assignment(dense, maximize=True)
    objects = segments[dense.any(axis=1)]
    renamed = np.where(np.isin(sparse[:, 1], objects), sparse[:, 1], merged)
    keys, places = np.unique(np.stack((sparse[:, 0], renamed), axis=1), axis=0, return_inverse=True)
    pixels = np.zeros(len(keys), np.int64)
    np.add.at(pixels, places.ravel(), sparse[:, 2])
    return np.column_stack((keys, pixels))
