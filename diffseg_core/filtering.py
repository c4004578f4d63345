"""Choosing segments by number, area and place, without pointing at them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from .errors import InvalidSettingError
from .segments import Segments

Border = Literal["any", "touching", "not touching"]
Place = Literal["any", "leftmost", "rightmost", "topmost", "bottommost", "most central"]

EXAMPLE = '"0, 2, 5-7"'


def parse_indices(text: str) -> tuple[int, ...]:
    """Read indices such as ``"0, 2, 5-7"``: each once, in ascending order; empty text gives none.

    Raises:
        InvalidSettingError: an entry that is neither a number nor a range; the message quotes it.

    Example:
        >>> parse_indices("5-7, 0")
        (0, 5, 6, 7)
    """
    if not text.strip():
        return ()
    indices: set[int] = set()
    for entry in text.split(","):
        # Five digits are more than any picture has segments, and keep a slip from filling the memory.
        match = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:[-–]\s*([0-9]{1,5})\s*)?", entry)
        if match is None:
            raise InvalidSettingError(
                f"Expected indices of segments such as {EXAMPLE}, numbers and ranges of at most five digits "
                f"with commas between them, got {entry.strip()!r}."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise InvalidSettingError(
                f"Expected a range to go from a smaller index to a larger one, got {entry.strip()!r}. "
                f'Write "{last}-{first}".'
            )
        indices.update(range(first, last + 1))
    return tuple(sorted(indices))


def filter_segments(
    segments: Segments,
    *,
    indices: Sequence[int] | None = None,
    smallest_area: float = 0.0,
    largest_area: float = 1.0,
    border: Border = "any",
    keep_largest: int = 0,
    place: Place = "any",
) -> Segments:
    """Keep the segments of every image that meet all criteria, numbered anew by area.

    Indices, areas and border must all hold; of what is left, the ``keep_largest`` largest stay; of these,
    ``place`` keeps one.

    Args:
        segments: of one or more images, each filtered on its own.
        indices: keep these only, as far as an image has them; none or empty for all.
        smallest_area: share of the image, 0..1, from which on a segment is kept.
        largest_area: share of the image, 0..1, up to which a segment is kept.
        border: whether kept segments must or must not have a pixel on the picture's edge.
        keep_largest: how many to keep; 0 for all.
        place: keep the one segment whose centroid lies farthest to that side, or nearest to the picture's
            centre; the larger one of equals, and of equal area the one of lower index.

    Raises:
        InvalidSettingError: a setting outside its range, or an index that no image has.
    """
    _check_settings(smallest_area, largest_area, border, keep_largest, place)
    wanted = set(() if indices is None else indices)
    check_indices(segments, sorted(wanted))
    # Areas are whole numbers of pixels: 0.7 per cent of 1000 pixels must be 7 of them, not 6.999….
    least, most = (share * segments.image_size.tokens for share in (smallest_area, largest_area))
    chosen = []
    for image, labels in enumerate(segments.labels.cpu().numpy()):
        areas = segments.areas(image).tolist()
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


def check_indices(segments: Segments, indices: Sequence[int]) -> None:
    """Refuse indices that no image of the batch has.

    Raises:
        InvalidSettingError: naming the first of them, and what there is.
    """
    most = max(segments.counts)
    beyond = [index for index in indices if not 0 <= index < most]
    if not beyond:
        return
    pictures = "the picture" if segments.batch_size == 1 else f"the fullest of {segments.batch_size} pictures"
    if most == 0:
        raise InvalidSettingError(f"Expected no index, as there are no segments, got {beyond[0]}.")
    raise InvalidSettingError(
        f"Expected indices of segments from 0 to {most - 1}, as {pictures} has {most} segment(s), "
        f"got {beyond[0]}. DiffSeg Preview shows which number is which segment."
    )


def _check_settings(
    smallest_area: float, largest_area: float, border: str, keep_largest: int, place: str
) -> None:
    for name, share in {"smallest": smallest_area, "largest": largest_area}.items():
        if not 0 <= share <= 1:
            raise InvalidSettingError(
                f"Expected a {name} area from 0 to 1 (share of the image), got {share:g}."
            )
    if smallest_area > largest_area:
        raise InvalidSettingError(
            "Expected a smallest area that is not above the largest area, got "
            f"{smallest_area * 100:g} and {largest_area * 100:g} per cent of the picture: no segment can "
            "be both. Exchange them."
        )
    if keep_largest < 0:
        raise InvalidSettingError(f"Expected a number of segments from 0 (all) to keep, got {keep_largest}.")
    if border not in get_args(Border):
        raise InvalidSettingError(f"Expected border to be one of {get_args(Border)}, got {border!r}.")
    if place not in get_args(Place):
        raise InvalidSettingError(f"Expected place to be one of {get_args(Place)}, got {place!r}.")


def _on_edge(labels: npt.NDArray[np.int32]) -> set[int]:
    """The labels of the picture's outermost pixels."""
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
