"""Segments as SEGS, the value that the Impact Pack's detectors give and its detailers and filters take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import checks
from ..grid import GridSize
from ..image.bounds import Bounds, bounding_boxes, corners
from ..images import matching_images
from ..segments import Segments
from ..settings import CROP_FACTOR

if TYPE_CHECKING:
    from ..images import ImageLike

Floats = npt.NDArray[np.float32]


class SEG(NamedTuple):
    """One segment with its surroundings, in the fields of the Impact Pack and under their names.

    Attributes:
        cropped_image: float32 ``[1, h, w, 3]`` in 0..1, the image in the crop region; None without image.
        cropped_mask: float32 ``[h, w]`` of zeros and ones, the segment in the crop region.
        confidence: 1.0, as the Impact Pack has it for masks: segments are not ranked.
        crop_region: ``[x1, y1, x2, y2]`` in pixels of the image, exclusive at x2 and y2.
        bbox: the segment's bounding box, in the same form.
        label: the segment's name; without one ``"segment 0"`` for the largest.
        control_net_wrapper: None; filled by the Impact Pack's ControlNet nodes.
    """

    cropped_image: Floats | None
    cropped_mask: Floats
    confidence: float
    crop_region: list[int]
    bbox: list[int]
    label: str
    control_net_wrapper: Any = None


Segs = tuple[tuple[int, int], list[SEG]]  # height and width of the image, and its segments


def to_segs(
    segments: Segments,
    image_index: int = 0,
    images: ImageLike | None = None,
    crop_factor: float = CROP_FACTOR.default,
) -> Segs:
    """The segments of one image as SEGS: one SEG for each, also where it has islands, the largest first.

    Args:
        segments: of any number of images.
        image_index: which of them.
        images: as `as_images` takes them, to crop, as RGB without alpha; None leaves the SEGs without.
            The crops are views of one copy.
        crop_factor: how many times as wide and as high as the bounding box the crop region is, 1..100.

    Raises:
        InvalidSettingError: an image index or a crop factor out of range, or images that do not fit.
    """
    crop_factor = CROP_FACTOR.checked(crop_factor)
    image_index = checks.position(image_index, segments.batch_size, "an image index", "images")
    count = len(segments.areas(image_index))
    labels = segments.labels[image_index].cpu().numpy()
    size = segments.image_size
    pixels = None
    if images is not None:
        pixels = matching_images(images, segments)[image_index, None].cpu().clone().numpy()  # [1, H, W, 3]
    segs = []
    for index, box in enumerate(bounding_boxes(labels, count)):
        region = crop_region(box, size, crop_factor)
        segs.append(
            SEG(
                cropped_image=None if pixels is None else pixels[0][region][None],
                cropped_mask=(labels[region] == index).astype(np.float32),
                confidence=1.0,
                crop_region=corners(region),
                bbox=corners(box),
                label=segments.name(image_index, index),
            )
        )
    return (size.height, size.width), segs


def crop_region(box: Bounds, size: GridSize, crop_factor: float) -> Bounds:
    """The box enlarged around its centre and moved, or where it is too large cut, to lie in the image.

    The Impact Pack's rule, whose rounding may leave out the edge of a box of few pixels; here the region
    always holds the box.

    >>> crop_region((slice(20, 50), slice(10, 40)), GridSize(100, 200), 2.0)
    (slice(5, 65, None), slice(0, 60, None))
    """
    rows, columns = (_enlarged(side, limit, crop_factor) for side, limit in zip(box, size, strict=True))
    return rows, columns


def _enlarged(side: slice, limit: int, crop_factor: float) -> slice:
    length = (side.stop - side.start) * crop_factor
    first = int((side.start + side.stop - length) / 2)
    if first < 0:
        first, last = 0, int(min(limit, length))
    elif first + length > limit:
        first, last = int(max(0, limit - length)), limit
    else:
        last = int(first + length)
    return slice(min(first, side.start), max(last, side.stop))
