"""Choosing segments by number, area and place, without pointing at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import InvalidSettingError
from ..segments import Segments, check_indices
from ..settings import BORDER, KEEP_LARGEST, LARGEST_AREA, PLACE, SMALLEST_AREA, Border, Place


def filter_segments(
    segments: Segments,
    *,
    indices: Sequence[int] | None = None,
    smallest_area: float = SMALLEST_AREA.default,
    largest_area: float = LARGEST_AREA.default,
    border: Border = BORDER.default,
    keep_largest: int = KEEP_LARGEST.default,
    place: Place = PLACE.default,
) -> Segments:
    """Keep the segments of every image that meet all criteria, renumbered by area.

    Indices, areas and border must all hold; of what is left, the ``keep_largest`` largest stay; of these,
    ``place`` keeps one.

    Args:
        segments: of one or more images, each filtered on its own.
        indices: keep these only, as far as an image has them; none or empty for all.
        smallest_area: share of the image, 0..1, from which on a segment is kept.
        largest_area: share of the image, 0..1, up to which a segment is kept.
        border: whether kept segments must or must not have a pixel on the image's edge.
        keep_largest: how many to keep; 0 for all.
        place: keep the one segment whose centroid lies farthest to that side, or nearest to the image's
            centre; the larger one of equals, and of equal area the one of lower index.

    Raises:
        InvalidSettingError: a setting outside its range, or an index that no image has.
    """
    smallest_area, largest_area = SMALLEST_AREA.checked(smallest_area), LARGEST_AREA.checked(largest_area)
    keep_largest = KEEP_LARGEST.checked(keep_largest)
    border, place = BORDER.checked(border), PLACE.checked(place)
    if smallest_area > largest_area:
        raise InvalidSettingError(
            "Expected a smallest area that is not above the largest area, got "
            f"{smallest_area * 100:g} and {largest_area * 100:g} percent of the image: no segment can "
            "be both. Swap them."
        )
    wanted = check_indices(segments, () if indices is None else indices)
    # Areas are whole numbers of pixels: 0.7 percent of 1000 pixels must be 7 of them, not 6.999….
    least, most = (share * segments.image_size.tokens for share in (smallest_area, largest_area))
    chosen = []
    for image_index, labels in enumerate(segments.labels.cpu().numpy()):
        areas = segments.areas(image_index).tolist()
        kept = [index for index, area in enumerate(areas) if least - 1e-3 <= area <= most + 1e-3]
        if wanted:
            kept = [index for index in kept if index in wanted]
        if border != "any":
            on_edge = _on_edge(labels)
            kept = [index for index in kept if (index in on_edge) == (border == "touching")]
        if keep_largest:
            kept = kept[:keep_largest]
        if place != "any" and kept:
            kept = [_at_place(labels, kept, place)]
        chosen.append(kept)
    return segments.subset(chosen)


def _on_edge(labels: npt.NDArray[np.int32]) -> set[int]:
    """The labels of the image's outermost pixels."""
    return {*labels[0].tolist(), *labels[-1].tolist(), *labels[:, 0].tolist(), *labels[:, -1].tolist()}


def _at_place(labels: npt.NDArray[np.int32], kept: list[int], place: Place) -> int:
    """The one of the kept segments, in ascending order, whose centroid lies at the place."""
    ys, xs = np.nonzero(labels >= 0)
    found = labels[ys, xs]
    areas = np.bincount(found)
    x, y = (np.bincount(found, weights=along) / areas for along in (xs, ys))
    height, width = labels.shape
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    measures = {
        "leftmost": x,
        "rightmost": -x,
        "topmost": y,
        "bottommost": -y,
        "most central": np.hypot(x - centre_x, y - centre_y),
    }
    # Equal by symmetry is equal, whatever the last bits say.
    measure = np.round(measures[place], 6)
    return min(kept, key=lambda index: (measure[index], index))
