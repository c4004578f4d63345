"""Masks as run lengths, in the compressed code of COCO.

A mask is read column by column; the lengths of its runs of zeros and ones, in turn and beginning with
zeros, are written as text: from the fourth on as the difference to the one two places before, in groups of
five bits, the lowest first, each a character from ``0`` to ``o``. This is what ``pycocotools.mask`` reads
and writes.

>>> import numpy as np
>>> encode_labels(np.array([[-1, 0, 0], [-1, 0, -1]]), 1)
[{'size': [2, 3], 'counts': '231'}]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

FIRST_CHARACTER = 48  # "0"
BITS = 5  # in one character; a sixth says whether another follows
MAX_CHARACTERS = 7  # characters of a run length below 2³²


def encode_labels(labels: npt.NDArray[np.integer], count: int) -> list[dict[str, Any]]:
    """The masks of all segments of a label map, as COCO has them in JSON, in one pass over its pixels.

    Args:
        labels: int ``[H, W]``; entries below 0 belong to no segment.
        count: K, the number of segments; every entry of the labels is below it.

    Returns:
        for each of 0..K-1 ``size``, height and width in pixels, and ``counts``, the compressed run lengths.
    """
    size = list(labels.shape)
    lengths, per_segment = _run_lengths(labels.T.ravel(), count)
    return [{"size": size, "counts": text} for text in _to_text(lengths, per_segment)]


def _run_lengths(pixels: npt.NDArray[np.integer], count: int) -> tuple[Integers, Integers]:
    """Run lengths of all segments one after the other, and how many of them each segment has."""
    starts = np.flatnonzero(np.concatenate(([True], pixels[1:] != pixels[:-1])))
    ends = np.append(starts[1:], len(pixels))
    owners = pixels[starts]
    order = np.argsort(owners, kind="stable")
    order = order[owners[order] >= 0]
    starts, ends, owners = starts[order], ends[order], owners[order]

    # Zeros before each run, counted from the segment's run before it, and ones in it.
    is_first = np.append(True, owners[1:] != owners[:-1])[: len(owners)]
    before = starts - np.where(is_first, 0, np.roll(ends, 1))
    lengths = np.stack((before, ends - starts), axis=1).ravel()

    # Zeros after a segment's last run, where there are any; a segment without pixels is nothing else.
    per_segment = 2 * np.bincount(owners, minlength=count)
    last_end = np.zeros(count, dtype=np.int64)
    is_last = np.append(is_first[1:], True)[: len(owners)]
    last_end[owners[is_last]] = ends[is_last]
    remaining = len(pixels) - last_end
    has_rest = remaining > 0
    lengths = np.insert(lengths, np.cumsum(per_segment)[has_rest], remaining[has_rest])
    return lengths, per_segment + has_rest


def _to_text(lengths: Integers, per_segment: Integers) -> list[str]:
    """The code of every segment's run lengths."""
    if not len(lengths):
        return []
    ends = np.cumsum(per_segment)
    place = np.arange(len(lengths)) - np.repeat(ends - per_segment, per_segment)
    values = lengths.copy()
    values[2:] -= np.where(place[2:] > 2, lengths[:-2], 0)

    limits = (1 << BITS * np.arange(1, MAX_CHARACTERS)) >> 1
    sizes = 1 + sum(((values < -limit) | (values >= limit)).astype(np.int64) for limit in limits)
    starts = np.cumsum(sizes) - sizes
    text = np.empty(sizes.sum(), dtype=np.uint8)
    for group in range(MAX_CHARACTERS):
        has_group = sizes > group
        digits = values[has_group] >> BITS * group & 0x1F
        follows = sizes[has_group] > group + 1
        text[starts[has_group] + group] = (digits | follows << BITS) + FIRST_CHARACTER
    written = text.tobytes().decode("ascii")

    stops = (starts + sizes)[ends - 1].tolist()
    return [written[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
