"""Segments as COCO's two formats, each for its own readers.

*Instances*: an annotation for every segment, with its mask as run lengths; ``pycocotools.coco.COCO`` opens
it. *Panoptic*: an annotation for every image, whose ``segments_info`` lists the segments, and beside it an
image of their ids in colours, id = R + 256 G + 65536 B, 0 where no segment is; panopticapi opens them.

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
