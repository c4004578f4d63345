"""How well predicted boundaries agree with those that people drew, within a small distance.

The boundary measures of the Berkeley segmentation benchmark (Martin et al., "Learning to Detect Natural
Image Boundaries", 2004; Arbelaez et al., 2011, section 2.2), computed as its code does. Every person's
boundary is matched to the prediction, pixel to pixel and at most one to one; a true pixel is found if it has
a partner, and a predicted one is right if it has a partner with any person.

Many matchings are equally good, and which pixels they leave out differs. The benchmark's solver takes one or
another at random, more or less, and if its choice were always the same, people would seem to agree on fewer
pixels than they do. Here it is random too, from a fixed seed: the counts differ from the benchmark's about as
much as those do if its images are turned upside down, by 0.0002 in the F of a set.

And of one object the boundary IoU (Cheng et al., "Boundary IoU", CVPR 2021), which needs no matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree
from skimage.morphology import thin

from diffseg_core.benchmark.clicks import Bitmap, Truth
from diffseg_core.benchmark.measures import Labels

Boundary = npt.NDArray[np.bool_]
"""``[H, W]``, one pixel wide."""

Indices = npt.NDArray[np.int64]

TOLERANCE = 0.0075
"""Of the image's diagonal: 4.3 pixels in those of BSDS500."""

INNER_DISTANCE = 0.02
"""Of the image's diagonal, how far from its contour a pixel of an object counts for the boundary IoU."""

COST_STEPS = 100  # the benchmark rounds distances to hundredths of a pixel
TIE_BREAK = 1e-3  # of such a hundredth, at most
LEFT_OUT_COST = 100  # of the farthest pair, as in the benchmark
MARGIN = 1e-6  # pixels that candidates may be too far; squares, which are whole, decide exactly


class BoundaryCounts(NamedTuple):
    """Pixels of one image, which are summed over a set before anything is divided.

    Attributes:
        matched_truth: boundary pixels that people drew and the prediction has, summed over people.
        truth: boundary pixels that people drew, summed over people.
        matched_prediction: predicted boundary pixels that at least one person drew.
        prediction: predicted boundary pixels.
    """

    matched_truth: int
    truth: int
    matched_prediction: int
    prediction: int


def boundary_iou(mask: Bitmap, truth: Truth) -> float:
    """The IoU of the pixels of two masks near their own contours: 0..1; NaN for a truth without one.

    As in the authors' code: near is what the erosions by 3×3 take away, as many as the distance is pixels
    (rounded, at least one); the frame of the image is a contour. Ignored pixels belong to neither mask.

    Args:
        mask: bool ``[H, W]``, at the truth's own size.
        truth: the object.
    """
    distance = max(1, round(INNER_DISTANCE * float(np.hypot(*mask.shape))))
    found, true = (_inner_boundary(drawn & ~truth.ignored, distance) for drawn in (mask, truth.mask))
    whole = (found | true).sum()
    return float((found & true).sum() / whole) if whole else float("nan")


def _inner_boundary(mask: Bitmap, distance: int) -> Bitmap:
    depth = ndimage.distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1]
    return mask & (depth <= distance)


def boundary_of(labels: Labels) -> Boundary:
    """The boundary of a label map, as that of BSDS500's own annotations was made from their segments.

    A pixel is on it if the square of two by two pixels of which it is the upper left one holds more than one
    label; squares at the right and lower edge are cut off. The result is thinned to the width of one pixel.

    Args:
        labels: ``[H, W]`` of any integer dtype.

    >>> boundary_of(np.array([[0, 0, 1, 1]] * 3)).astype(int)
    array([[0, 1, 0, 0],
           [0, 1, 0, 0],
           [0, 1, 0, 0]])
    """
    padded = np.pad(labels, ((0, 1), (0, 1)), mode="edge")
    below = padded[:-1] != padded[1:]  # [H, W + 1]
    beside = padded[:, :-1] != padded[:, 1:]  # [H + 1, W]
    thinned: Boundary = thin(below[:, :-1] | below[:, 1:] | beside[:-1] | beside[1:])
    return thinned


def count_boundaries(
    prediction: Boundary, truths: Sequence[Boundary], tolerance: float = TOLERANCE
) -> BoundaryCounts:
    """Match a predicted boundary with every person's.

    Args:
        prediction, truths: of one shape.
        tolerance: largest distance of partners, as a share of the diagonal; partners may be just as far.
    """
    distance = tolerance * float(np.hypot(*prediction.shape))
    matched_truth, right = 0, np.zeros(prediction.shape, bool)
    for truth in truths:
        predicted_pixels, true_pixels = match_boundaries(prediction, truth, distance)
        right[tuple(predicted_pixels.T)] = True
        matched_truth += len(true_pixels)
    return BoundaryCounts(
        matched_truth=matched_truth,
        truth=sum(int(np.count_nonzero(truth)) for truth in truths),
        matched_prediction=int(right.sum()),
        prediction=int(np.count_nonzero(prediction)),
    )


def match_boundaries(prediction: Boundary, truth: Boundary, distance: float) -> tuple[Indices, Indices]:
    """The largest number of pairs of pixels that are near each other, and the least sum of their distances.

    Args:
        prediction, truth: of one shape.
        distance: in pixels; pairs may be just as far apart.

    Returns:
        The partners, int64 ``[M, 2]`` rows and columns in each of the two.
    """
    predicted_pixels, true_pixels = np.argwhere(prediction), np.argwhere(truth)
    predicted_tree, true_tree = cKDTree(predicted_pixels), cKDTree(true_pixels)
    near = predicted_tree.sparse_distance_matrix(true_tree, distance + MARGIN, output_type="coo_matrix")
    squares = ((predicted_pixels[near.row] - true_pixels[near.col]) ** 2).sum(axis=1)
    allowed = squares <= distance**2
    rows, columns, lengths = near.row[allowed], near.col[allowed], np.sqrt(squares[allowed])
    row_names, rows = np.unique(rows, return_inverse=True)
    column_names, columns = np.unique(columns, return_inverse=True)
    if len(row_names) > len(column_names):
        second, first = _assign(columns, rows, lengths)
    else:
        first, second = _assign(rows, columns, lengths)
    return predicted_pixels[row_names[first]], true_pixels[column_names[second]]


def _assign(rows: Indices, columns: Indices, lengths: npt.NDArray[np.float64]) -> tuple[Indices, Indices]:
    """Choose among candidate pairs: as many as can be, then of the least sum of lengths.

    The benchmark solves this as an assignment in which leaving out a pixel costs far more than any pair. Here
    every row can be paired at that cost with a column of its own; it is quicker if rows are fewer.
    """
    if not rows.size:
        return rows, columns
    count, width = int(rows.max()) + 1, int(columns.max()) + 1
    alone = np.arange(count)
    ties = np.random.default_rng(0).uniform(0, TIE_BREAK, lengths.shape)
    costs = 1 + np.rint(lengths * COST_STEPS) + ties  # a cost of 0 would be no pair at all
    left_out = np.full(count, LEFT_OUT_COST * costs.max())
    graph = csr_array(
        (
            np.concatenate((costs, left_out)),
            (np.concatenate((rows, alone)), np.concatenate((columns, width + alone))),
        ),
        shape=(count, width + count),
    )
    first, second = min_weight_full_bipartite_matching(graph)
    paired = second < width
    return first[paired], second[paired]
