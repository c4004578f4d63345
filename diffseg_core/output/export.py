"""Segments as files: a label map, an overlay, a COCO panoptic annotation, and a file for each mask.

The label map is a 16-bit grey PNG whose pixels are the ids of the annotation: a segment's index + 1, and 0
where no segment is. COCO's own tools keep ids in the colours of an RGB picture, id = R + 256 G + 65536 B:

>>> import numpy as np
>>> ids = np.array([[0, 1, 300]], dtype=np.uint16)
>>> np.stack((ids & 255, ids >> 8, 0 * ids), axis=-1).astype(np.uint8).tolist()
[[[0, 0, 0], [1, 0, 0], [44, 1, 0]]]

This module needs Pillow, and is therefore not imported with the package.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .boxes import bounding_boxes
from ..errors import InvalidSettingError
from .overlay import draw_overlay
from .palette import segment_colours
from ..pictures import Pictures, matching_pictures
from .poles import poles_of_inaccessibility
from .run_length import encode_labels
from ..segments import Segments
from .atomic_files import written_aside

if TYPE_CHECKING:
    from ..pictures import PictureLike

FORMAT, VERSION = "diffseg-segments", 1
MOST_SEGMENTS = 65535  # what 16 bits can tell apart, and 0 for no segment
CATEGORY = {"id": 1, "name": "segment", "supercategory": "segment", "isthing": 1}
MASK_NAME = re.compile(r"\d{3,}\.png")
BACKGROUND = 0.5  # of an overlay without picture, where no segment is


@dataclass(frozen=True)
class SegmentFiles:
    """The files of one image, side by side in a folder.

    Attributes:
        folder: where they are.
        name: what their names begin with.
    """

    folder: Path
    name: str

    @property
    def label_map(self) -> Path:
        """The ids, 16-bit grey PNG."""
        return self.folder / f"{self.name}_labels.png"

    @property
    def overlay(self) -> Path:
        """The segments drawn over the picture, RGB PNG."""
        return self.folder / f"{self.name}_overlay.png"

    @property
    def annotation(self) -> Path:
        """The segments' facts, JSON. Written last: where it is, the others are complete."""
        return self.folder / f"{self.name}_segments.json"

    @property
    def masks(self) -> Path:
        """Folder of the masks' own files, where they are wanted."""
        return self.folder / f"{self.name}_masks"

    def mask(self, index: int) -> Path:
        """The mask of one segment, 8-bit grey PNG of 0 and 255."""
        return self.masks / f"{index:03}.png"

    def existing_masks(self) -> list[Path]:
        """The masks' own files that are there."""
        return [path for path in self.masks.glob("*.png") if MASK_NAME.fullmatch(path.name)]

    @property
    def exist(self) -> bool:
        """Whether any of them is there."""
        return any(path.exists() for path in (self.label_map, self.overlay, self.annotation, self.masks))


def export_segments(
    segments: Segments,
    image: int,
    files: SegmentFiles,
    pictures: PictureLike | None = None,
    metadata: Mapping[str, str] | None = None,
    masks: bool = False,
) -> None:
    """Write the segments of one image, replacing files of those names.

    Everything is encoded before anything is written, and written under other names before it is moved to
    its own: after a failure there is no half a file, and no annotation beside files that are not its own.

    Args:
        segments: of any number of images.
        image: which of them.
        files: where to; the folder is created.
        pictures: as `as_pictures` takes them, which the overlay is drawn over, without alpha; without them
            it is of flat colours.
        metadata: texts to keep in the overlay's PNG, by keyword.
        masks: write a file for each mask too. Files of masks that were there before are removed.

    Raises:
        InvalidSettingError: an image index out of range, pictures that do not fit, or more segments than
            a 16-bit label map can tell apart.
        OSError: the files cannot be written.
    """
    ids = id_pixels(segments.labels_of(image))
    picture = None if pictures is None else Pictures(matching_pictures(pictures, segments)[image, None])
    here = slice(image, image + 1)
    one = replace(segments, labels=segments.labels[here].cpu(), proposals=segments.proposals[here])
    contents = {
        files.label_map: _png(ids),
        files.overlay: _png(_overlay(one, picture), metadata),
        files.annotation: json.dumps(annotate(one, files), indent=1).encode("utf-8"),
    }
    if masks:
        contents |= {files.mask(index): _png(mask) for index, mask in enumerate(_bitmaps(one))}
    _write(files, contents)


def id_pixels(labels: torch.Tensor) -> npt.NDArray[np.uint16]:
    """The ids of one image: uint16 ``[H, W]``, a segment's index + 1, 0 where no segment is.

    Args:
        labels: int32 ``[H, W]``, −1 where no segment is.

    Raises:
        InvalidSettingError: more segments than 16 bits can tell apart.
    """
    count = int(labels.max()) + 1
    if count > MOST_SEGMENTS:
        raise InvalidSettingError(
            f"Expected at most {MOST_SEGMENTS} segments for a 16-bit label map, got {count}. "
            "Raise the merge threshold or the smallest area."
        )
    return (labels.cpu().numpy() + 1).astype(np.uint16)


def annotate(segments: Segments, files: SegmentFiles, image: int = 0) -> dict[str, Any]:
    """What COCO's panoptic format says of one image, and more on every segment.

    The result is an entry of COCO's ``annotations``, whose ``segments_info`` lists the segments in
    descending order of area: ``id`` (their value in the label map), ``category_id`` (always 1: segments
    have no class), ``area`` in pixels, ``bbox`` ``[x, y, width, height]`` and ``iscrowd`` 0. Beside these,
    ``index`` counts from 0 as everywhere in DiffSeg, ``segmentation`` is the mask as run lengths, and
    ``color`` ``[r, g, b]`` in 0..255 the colour in the overlay.
    """
    areas = segments.areas(image).tolist()
    labels = segments.labels[image].cpu().numpy()
    colours = segment_colours(poles_of_inaccessibility(labels))
    boxes = bounding_boxes(labels, len(areas))
    masks = encode_labels(labels, len(areas))
    return {
        "format": FORMAT,
        "version": VERSION,
        "image_id": 1,
        "file_name": files.label_map.name,
        "overlay_file_name": files.overlay.name,
        "width": segments.image_size.width,
        "height": segments.image_size.height,
        "categories": [CATEGORY],
        "segments_info": [
            {
                "id": index + 1,
                "index": index,
                "category_id": CATEGORY["id"],
                "area": area,
                "bbox": [box.x1, box.y1, box.width, box.height],
                "iscrowd": 0,
                "color": np.rint(colours[index] * 255).astype(int).tolist(),
                "segmentation": masks[index],
            }
            for index, (area, box) in enumerate(zip(areas, boxes, strict=True))
        ],
    }


def _overlay(segments: Segments, picture: Pictures | None) -> npt.NDArray[np.uint8]:
    """RGB of 8 bits, over one picture; over none, the colours alone."""
    if picture is None:
        plain = torch.full((1, *segments.image_size, 3), BACKGROUND)
        drawn = draw_overlay(plain, segments, opacity=1.0)
    else:
        drawn = draw_overlay(picture, segments)
    rounded: npt.NDArray[np.uint8] = np.rint(drawn[0].numpy() * 255).astype(np.uint8)
    return rounded


def _bitmaps(segments: Segments) -> Iterator[npt.NDArray[np.uint8]]:
    """The masks of the one image, 0 and 255, one at a time."""
    labels = segments.labels[0].numpy()
    for index in range(segments.counts[0]):
        yield np.where(labels == index, np.uint8(255), np.uint8(0))


def _png(pixels: npt.NDArray[Any], metadata: Mapping[str, str] | None = None) -> bytes:
    texts = PngInfo()
    for keyword, text in (metadata or {}).items():
        texts.add_text(keyword, text)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=texts, compress_level=4)
    return buffer.getvalue()


def _write(files: SegmentFiles, contents: Mapping[Path, bytes]) -> None:
    """Write all files or none; the annotation is not there while the others change."""
    with written_aside(contents) as aside:
        files.annotation.unlink(missing_ok=True)
        for path in files.existing_masks():
            if path not in contents:
                path.unlink()
        for path in sorted(contents, key=lambda path: path == files.annotation):
            aside[path].replace(path)
