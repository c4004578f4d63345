"""Segments as COCO's two formats, each for its own readers.

*Instances*: an annotation for every segment, with its mask as run lengths; ``pycocotools.coco.COCO`` opens
it. *Panoptic*: an annotation for every image, whose ``segments_info`` lists the segments, and beside it an
image of their ids in colours, id = R + 256 G + 65536 B, 0 where no segment is; panopticapi opens them.

A mask as run lengths is read column by column; the lengths of its runs of zeros and ones, in turn and
beginning with zeros, are written as text: from the fourth on as the difference to the one two places before,
in groups of five bits, the lowest first, each a character from ``0`` to ``o``, as by ``pycocotools.mask``.

>>> encode_labels(np.array([[-1, 0, 0], [-1, 0, -1]]), 1)
[{'size': [2, 3], 'counts': '231'}]
>>> id_colours(np.array([[0, 1, 300]], dtype=np.uint16)).tolist()
[[[0, 0, 0], [1, 0, 0], [44, 1, 0]]]
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CATEGORY: dict[str, Any] = {"id": 1, "name": "segment", "supercategory": "segment", "isthing": 1}
"""The category of segments without a name; each name is one of its own after it."""

INFO = {"description": "Segments from a diffusion model's self-attention, by DiffSeg", "version": "1"}

FIRST_CHARACTER = 48  # "0"
BITS = 5  # of a run length in one character; a sixth says whether another follows

Entry = dict[str, Any]
"""What JSON can hold, by key."""


def id_colours(ids: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Ids ``[H, W]`` as colours uint8 ``[H, W, 3]``, as panopticapi's ``id2rgb`` writes them."""
    colours = np.zeros((*ids.shape, 3), dtype=np.uint8)
    colours[..., 0] = ids & 255
    colours[..., 1] = ids >> 8
    return colours


def image_id_of(name: str) -> int:
    """A number for an image that has none: from its name, the same at all times, 1 to 2³¹ − 1."""
    return zlib.crc32(name.encode()) & 0x7FFFFFFF or 1


def categories_of(names: Iterable[str]) -> list[Entry]:
    """The categories of segments with these names, "" for none: that of all segments, and one for each name.

    >>> [(each["id"], each["name"]) for each in categories_of(["cup", "", "table", "cup"])]
    [(1, 'segment'), (2, 'cup'), (3, 'table')]
    """
    different = [name for name in dict.fromkeys(names) if name]
    return [CATEGORY, *({**CATEGORY, "id": number, "name": name} for number, name in enumerate(different, 2))]


def file_of(
    images: Sequence[Entry], annotations: Sequence[Entry], categories: Sequence[Entry] = (CATEGORY,)
) -> Entry:
    """What a file of either format holds."""
    return {
        "info": INFO,
        "licenses": [],
        "images": list(images),
        "annotations": list(annotations),
        "categories": list(categories),
    }


def encode_labels(labels: npt.NDArray[np.integer], count: int) -> list[Entry]:
    """The masks of all segments of a label map, as COCO has them in JSON, in one pass over its pixels.

    Args:
        labels: int ``[H, W]``; entries below 0 belong to no segment.
        count: K, the number of segments; every entry of the labels is below it.

    Returns:
        for each of 0..K-1 ``size``, height and width in pixels, and ``counts``, the compressed run lengths.
    """
    pixels = labels.T.ravel()
    starts = np.flatnonzero(np.append(True, pixels[1:] != pixels[:-1]))
    runs = zip(pixels[starts].tolist(), starts.tolist(), [*starts[1:].tolist(), len(pixels)], strict=True)
    ends: list[list[int]] = [[0] for _ in range(count)]  # of each segment's zeros and ones, in turn
    for segment, start, stop in runs:
        if segment >= 0:
            ends[segment] += (start, stop)
    for segment_ends in ends:
        if segment_ends[-1] < len(pixels):
            segment_ends.append(len(pixels))
    return [{"size": list(labels.shape), "counts": _to_text(np.diff(places).tolist())} for places in ends]


def _to_text(lengths: Sequence[int]) -> str:
    text = []
    for place, length in enumerate(lengths):
        value = length - lengths[place - 2] if place > 2 else length
        follows = True
        while follows:
            digit = value & 0x1F
            value >>= BITS
            follows = value != (-1 if digit & 0x10 else 0)
            text.append(chr(FIRST_CHARACTER + (digit | follows << BITS)))
    return "".join(text)
