"""Segments as COCO's two formats, each for its own readers.

*Instances*: an annotation for every segment, with its mask as run lengths; ``pycocotools.coco.COCO`` opens
it. *Panoptic*: an annotation for every image, whose ``segments_info`` lists the segments, and beside it an
image of their ids in colours, id = R + 256 G + 65536 B, 0 where no segment is; panopticapi opens them.

>>> id_colours(np.array([[0, 1, 300]], dtype=np.uint16)).tolist()
[[[0, 0, 0], [1, 0, 0], [44, 1, 0]]]
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CATEGORY: dict[str, Any] = {"id": 1, "name": "segment", "supercategory": "segment", "isthing": 1}
"""The category of segments without a name; each name is one of its own after it."""

INFO = {"description": "Segments from a diffusion model's self-attention, by DiffSeg", "version": "1"}
PANOPTIC_KEYS = ("id", "category_id", "area", "bbox", "iscrowd")

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


def image_entry(image_id: int, file_name: str, width: int, height: int) -> Entry:
    """An entry of ``images``, the same in both formats."""
    return {"id": image_id, "file_name": file_name, "width": width, "height": height}


def instances(image_id: int, segments_info: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The annotations of one image in the format of instances, one for each segment.

    Args:
        image_id: of the image.
        segments_info: as in panoptic annotations, and ``segmentation`` with the run lengths of each.

    Returns:
        ``id`` is the segment's id in the image, and so is ``segment_id``, which stays where annotations of
        many images are counted through.
    """
    keys = ("category_id", "area", "bbox", "iscrowd", "segmentation")
    return [
        {"id": segment["id"], "image_id": image_id, "segment_id": segment["id"]}
        | {key: segment[key] for key in keys}
        for segment in segments_info
    ]


def panoptic(image_id: int, file_name: str, segments_info: Sequence[Mapping[str, Any]]) -> Entry:
    """The annotation of one image in the panoptic format.

    Args:
        image_id: of the image.
        file_name: of the ids in colours.
        segments_info: of its segments; what the format does not have is left out.
    """
    listed = [{key: segment[key] for key in PANOPTIC_KEYS} for segment in segments_info]
    return {"image_id": image_id, "file_name": file_name, "segments_info": listed}


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
