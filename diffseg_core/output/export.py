"""Segments as files: label maps, an overlay, COCO annotations of both kinds, and a file for each mask.

The label map is a 16-bit grey PNG whose pixels are the ids of the annotations: a segment's index + 1, and 0
where no segment is. COCO's panoptic tools keep ids in the colours of an RGB PNG; that is written too, see
`coco`.

This module needs Pillow, and is therefore not imported with the package.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import InvalidSettingError
from ..image.bounds import bounding_boxes
from ..images import Images, matching_images
from ..segments import Segments
from ..settings import OPACITY
from ..tree import Hierarchy
from .atomic_files import staged_files
from .coco import Entry, categories_of, encode_labels, file_of, id_colours, image_id_of
from .overlay import draw_overlay
from .palette import colours_of

if TYPE_CHECKING:
    from ..images import ImageLike

FORMAT, VERSION = "diffseg-segments", 1
MAX_SEGMENTS = 65535  # what 16 bits can tell apart, and 0 for no segment
MASK_NAME = re.compile(r"\d{3,}\.png")
BACKGROUND = 0.5  # of an overlay without image, where no segment is


class SegmentFiles:
    """The files of one image, side by side in a folder.

    Args:
        folder: where they are.
        name: what their names begin with.

    Attributes:
        label_map: the ids, 16-bit grey PNG.
        overlay: the segments drawn over the image, RGB PNG.
        colours: the ids in colours, RGB PNG as COCO's panoptic tools read it.
        panoptic: COCO's panoptic annotation, which goes with the ids in colours, JSON.
        annotation: the segments' facts, JSON as COCO's instances. Written last: with it, all are there.
        paths: all of these, which are always written, in this order.
        hierarchy: the segments' tree, NumPy's NPZ of its leaves, joins and heights, where it is wanted.
        masks: folder of the masks' own files, where they are wanted.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        endings = ("labels.png", "overlay.png", "panoptic.png", "panoptic.json", "segments.json")
        self.paths = tuple(folder / f"{name}_{ending}" for ending in endings)
        self.label_map, self.overlay, self.colours, self.panoptic, self.annotation = self.paths
        self.hierarchy, self.masks = folder / f"{name}_hierarchy.npz", folder / f"{name}_masks"

    def mask(self, index: int) -> Path:
        """The mask of one segment, 8-bit grey PNG of 0 and 255."""
        return self.masks / f"{index:03}.png"

    @property
    def complete(self) -> bool:
        """Whether all of them are there that are always written."""
        return all(path.exists() for path in self.paths)

    @property
    def exist(self) -> bool:
        """Whether any of them is there."""
        return any(path.exists() for path in (*self.paths, self.hierarchy, self.masks))


def export_segments(
    segments: Segments,
    image_index: int,
    files: SegmentFiles,
    images: ImageLike | None = None,
    metadata: Mapping[str, str] | None = None,
    masks: bool = False,
    image_id: int | None = None,
    image_name: str | None = None,
    hierarchy: bool = False,
) -> None:
    """Write the segments of one image, replacing files of those names.

    Everything is encoded before anything is written, and written under other names before it is moved to
    its own: after a failure there is no half a file, and no annotation beside files that are not its own.

    Args:
        segments: of any number of images.
        image_index: which of them.
        files: where to; the folder is created.
        images: as `as_images` takes them, which the overlay is drawn over, without alpha; without them
            it is of flat colours.
        metadata: texts to keep in the overlay's PNG, by keyword.
        masks: write a file for each mask too. Files of masks that were there before are removed.
        image_id: COCO's number of the image, from 1; by default one that follows from the files' name.
        image_name: what COCO's ``images`` call the image; by default it is the overlay.
        hierarchy: write the tree of the segments too, where they have one.

    Raises:
        InvalidSettingError: an image index out of range, images that do not fit, or more segments than
            a 16-bit label map can tell apart.
        OSError: the files cannot be written.
    """
    ids = id_pixels(segments.labels_of(image_index))
    image = None if images is None else Images(matching_images(images, segments)[image_index, None])
    here = slice(image_index, image_index + 1)
    one = replace(
        segments,
        labels=segments.labels[here].cpu(),
        proposals=segments.proposals[here],
        hierarchies=segments.hierarchies[here],
        names=segments.names[here],
    )
    number = image_id_of(files.name) if image_id is None else image_id
    annotation, panoptic = _annotations(one, files, number, image_name or files.overlay.name)
    contents = {
        files.label_map: _png(ids),
        files.overlay: _png(_overlay(one, image), metadata),
        files.colours: _png(id_colours(ids)),
        files.panoptic: json.dumps(panoptic, indent=1).encode(),
        files.annotation: json.dumps(annotation, indent=1).encode(),
    }
    if hierarchy and one.hierarchies:
        contents[files.hierarchy] = _npz(one.hierarchies[0])
    if masks:
        labels = one.labels[0].numpy()
        contents |= {
            files.mask(index): _png(np.where(labels == index, np.uint8(255), np.uint8(0)))
            for index in range(one.counts[0])
        }
    with staged_files(contents) as aside:
        files.annotation.unlink(missing_ok=True)  # it is not there while the others change
        masks_before = (path for path in files.masks.glob("*.png") if MASK_NAME.fullmatch(path.name))
        for path in (*masks_before, files.hierarchy):
            if path not in contents:
                path.unlink(missing_ok=True)
        for path in sorted(contents, key=lambda path: path == files.annotation):
            aside[path].replace(path)


def id_pixels(labels: torch.Tensor) -> npt.NDArray[np.uint16]:
    """The ids of one image: uint16 ``[H, W]``, a segment's index + 1, 0 where no segment is.

    Args:
        labels: int32 ``[H, W]``, −1 where no segment is.

    Raises:
        InvalidSettingError: more segments than 16 bits can tell apart.
    """
    count = int(labels.max()) + 1
    if count > MAX_SEGMENTS:
        raise InvalidSettingError(
            f"Expected at most {MAX_SEGMENTS} segments for a 16-bit label map, got {count}. "
            "Raise the merge threshold or the smallest area."
        )
    return (labels.cpu().numpy() + 1).astype(np.uint16)


def _annotations(
    segments: Segments, files: SegmentFiles, image_id: int, image_name: str
) -> tuple[Entry, Entry]:
    """What COCO's formats of instances and panoptic say of one image; with the first more on every segment.

    ``images``, ``annotations`` and ``categories`` are COCO's. ``segments_info`` lists the segments in
    descending order of area: ``id`` (their value in the label map), ``category_id`` (1, or that of
    the segment's name), ``area`` in pixels, ``bbox`` ``[x, y, width, height]`` and ``iscrowd`` 0. Beside
    these, ``index`` counts from 0 as everywhere in DiffSeg, ``segmentation`` is the mask as run lengths, and
    ``color`` ``[r, g, b]`` in 0..255 the colour in the overlay. In the instances ``segment_id`` is the id in
    the image, which stays where annotations of many images are counted through.
    """
    areas = segments.areas().tolist()
    labels = segments.labels[0].numpy()
    colours = np.rint(colours_of(segments, 0) * 255).astype(int).tolist()
    boxes = bounding_boxes(labels, len(areas))
    masks = encode_labels(labels, len(areas))
    names = segments.names[0] if segments.names else ("",) * len(areas)
    categories = categories_of(names)
    numbers = {category["name"]: category["id"] for category in categories[1:]}
    height, width = segments.image_size
    segments_info = [
        {
            "id": index + 1,
            "index": index,
            "category_id": numbers.get(names[index], 1),
            "area": area,
            "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
            "iscrowd": 0,
            "color": colours[index],
            "segmentation": masks[index],
        }
        for index, (area, (rows, columns)) in enumerate(zip(areas, boxes, strict=True))
    ]
    instances = [
        {"id": segment["id"], "image_id": image_id, "segment_id": segment["id"]}
        | {key: segment[key] for key in ("category_id", "area", "bbox", "iscrowd", "segmentation")}
        for segment in segments_info
    ]
    keys = ("id", "category_id", "area", "bbox", "iscrowd")
    panoptic = {
        "image_id": image_id,
        "file_name": files.colours.name,
        "segments_info": [{key: segment[key] for key in keys} for segment in segments_info],
    }
    images = [{"id": image_id, "file_name": image_name, "width": width, "height": height}]
    about = {
        "format": FORMAT,
        "version": VERSION,
        "image_id": image_id,
        "file_name": files.label_map.name,
        "overlay_file_name": files.overlay.name,
        "width": width,
        "height": height,
        "segments_info": segments_info,
    }
    return about | file_of(images, instances, categories), file_of(images, [panoptic], categories)


def _overlay(segments: Segments, image: Images | None) -> npt.NDArray[np.uint8]:
    """RGB of 8 bits, over one image; over none, the colours alone."""
    over = torch.full((1, *segments.image_size, 3), BACKGROUND) if image is None else image
    drawn = draw_overlay(over, segments, opacity=OPACITY.default if image else 1.0)
    rounded: npt.NDArray[np.uint8] = np.rint(drawn[0].numpy() * 255).astype(np.uint8)
    return rounded


def _png(pixels: npt.NDArray[Any], metadata: Mapping[str, str] | None = None) -> bytes:
    texts = PngInfo()
    for keyword, text in (metadata or {}).items():
        texts.add_text(keyword, text)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=texts, compress_level=4)
    return buffer.getvalue()


def _npz(tree: Hierarchy) -> bytes:
    """A tree without its attention: leaves int32 ``[H, W]``, and joins and heights as in `Hierarchy`."""
    leaves, joins, heights = (tensor.cpu().numpy() for tensor in (tree.leaves, tree.joins, tree.heights))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, leaves=leaves, joins=joins, heights=heights)
    return buffer.getvalue()
