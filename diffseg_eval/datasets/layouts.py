"""Published datasets of photographs beside label maps: a row says where the files lie and what they mean.

Three protocols. DiffSeg's and PiCIE's: the central square at 512×512, classes of what is annotated
(COCO-Stuff-27, Cityscapes, and COCO's panoptic photographs, which have true segments too). DiffCut's
(Couairon et al., NeurIPS 2024, ``dataloader/iterator.py`` and ``datasets/`` of PaulCouairon/DiffCut): its
square at 1024×1024, and classes before a background, which is also what nobody annotated. The authors measure
at 128×128 places, of every eighth row and column of the square, with segments made on 128×128 cells, whose
middles lie 3.5 pixels from those places; here every pixel of the square counts, with the segment that it has.
And ADE20K's 150 classes on that square, where the scene parsing benchmark has whole images, whose figures do
not compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from diffseg_core.grid import GridSize, nearest_cells
from diffseg_core.output.ade20k import NAMES as ADE20K_NAMES

from ..types import AnnotatedImage, Measure
from . import classes
from .files import COLOUR, Source, consecutive_labels

Pixel = TypeVar("Pixel", bound=np.generic)
UNLABELLED_ID = 0  # of panoptic segments
PUBLISHED, OF_DIFFCUT = 512, 1024  # sides of the squares in pixels
COCO_LIST = "Coco164kFull_Stuff_Coarse_7.txt"
COCO_LAYOUT = f"ROOT/val2017/*.jpg, ROOT/stuffthingmaps_trainval2017/val2017/*.png and ROOT/{COCO_LIST}"
COCO_DOWNLOAD = (
    "Photographs: http://images.cocodataset.org/zips/val2017.zip. Labels: http://calvin.inf.ed.ac.uk/"
    "wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip. Which 2,175 photographs: "
    f"https://raw.githubusercontent.com/google/diffseg/main/data/coco/{COCO_LIST}."
)


@dataclass(frozen=True)
class Layout:
    """One dataset. Files are below the root, with "{}" for the image's name.

    Attributes:
        source: for errors.
        names: of the classes, in order.
        classes: of the values of label maps, 8-bit grey or indices of a palette.
        images, labels: files.
        list: file of the images' names, one a line; "" for all images there are.
        pattern: of the names without a list.
        segments: files of panoptic segments; "" without.
        is_diffcut: whether the square is that of DiffCut's code.
        has_background: whether the last class is one, and is matched as in DiffCut's code.
    """

    source: Source
    names: Sequence[str]
    classes: Mapping[int, int]
    images: str
    labels: str
    list: str = ""
    pattern: str = "*"
    segments: str = ""
    is_diffcut: bool = False
    has_background: bool = False


def _coco_stuff(name: str, names: Sequence[str], values: Mapping[int, int], is_object: bool) -> Layout:
    """The 2,175 photographs of PiCIE's list, with a value of 0..181, or 255, everywhere."""
    return Layout(
        Source(name, COCO_LAYOUT, COCO_DOWNLOAD),
        names,
        values,
        "val2017/{}.jpg",
        "stuffthingmaps_trainval2017/val2017/{}.png",
        COCO_LIST,
        is_diffcut=is_object,
        has_background=is_object,
    )


LAYOUTS: Mapping[str, Layout] = {
    "cocostuff27": _coco_stuff("COCO-Stuff-27", classes.COCO27_NAMES, classes.FINE_TO_COARSE, False),
    "cityscapes27": Layout(
        Source(
            "Cityscapes",
            "ROOT/leftImg8bit/val/CITY/*_leftImg8bit.png and ROOT/gtFine/val/CITY/*_gtFine_labelIds.png",
            "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip are at https://www.cityscapes-dataset."
            "com/downloads/ for those who register.",
        ),
        classes.CITYSCAPES_NAMES,
        classes.CITYSCAPES_CLASSES,
        "leftImg8bit/val/{}_leftImg8bit.png",
        "gtFine/val/{}_gtFine_labelIds.png",
        pattern="*/*",
    ),
    "coco27-panoptic": Layout(
        Source(
            "COCO-27 with panoptic segments",
            "ROOT/images/*.jpg, ROOT/panoptic/*.png (id = R + 256 G + 65536 B, 0 unlabelled) and "
            "ROOT/coco27/*.png (grey, classes 0..26 of COCO-Stuff-27, 255 unlabelled), under the same names",
            "Photographs: http://images.cocodataset.org/zips/val2017.zip. Segments: "
            "http://images.cocodataset.org/annotations/panoptic_annotations_trainval2017.zip. Classes: the "
            "segments' categories, by supercategory.",
        ),
        classes.COCO27_NAMES,
        classes.COCO27_CLASSES,
        "images/{}.jpg",
        "coco27/{}.png",
        segments="panoptic/{}.png",
    ),
    "voc": Layout(
        Source(
            "Pascal VOC",
            "ROOT/VOCdevkit/VOC2012/JPEGImages/*.jpg, SegmentationClass/*.png (palette: 0 background, 1..20, "
            "255 borders) and ImageSets/Segmentation/val.txt beside it",
            "VOCtrainval_11-May-2012.tar is at http://host.robots.ox.ac.uk/pascal/VOC/voc2012/.",
        ),
        (*classes.VOC_NAMES, classes.BACKGROUND),
        classes.VOC_CLASSES,
        "VOCdevkit/VOC2012/JPEGImages/{}.jpg",
        "VOCdevkit/VOC2012/SegmentationClass/{}.png",
        "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt",
        is_diffcut=True,
        has_background=True,
    ),
    "context": Layout(
        Source(
            "Pascal Context",
            "ROOT/VOCdevkit/VOC2010/JPEGImages/*.jpg, SegmentationClassContext/*.png (0 background, 1..59) "
            "and ImageSets/SegmentationContext/val.txt beside it, as MMSegmentation makes them",
            "Photographs: VOCtrainval_03-May-2010.tar at http://host.robots.ox.ac.uk/pascal/VOC/voc2010/. "
            "Label maps and list: tools/dataset_converters/pascal_context.py of https://github.com/"
            "open-mmlab/mmsegmentation makes them of trainval_merged.json, see its "
            "docs/en/user_guides/2_dataset_prepare.md.",
        ),
        (*classes.CONTEXT_NAMES, classes.BACKGROUND),
        classes.CONTEXT_CLASSES,
        "VOCdevkit/VOC2010/JPEGImages/{}.jpg",
        "VOCdevkit/VOC2010/SegmentationClassContext/{}.png",
        "VOCdevkit/VOC2010/ImageSets/SegmentationContext/val.txt",
        is_diffcut=True,
        has_background=True,
    ),
    "coco-object": _coco_stuff("COCO-Object", classes.OBJECT_NAMES, classes.OBJECT_CLASSES, True),
    "ade20k": Layout(
        Source(
            "ADE20K",
            "ROOT/ADEChallengeData2016/images/validation/*.jpg and annotations/validation/*.png (0 not "
            "annotated, 1..150)",
            "ADEChallengeData2016.zip is at http://sceneparsing.csail.mit.edu/.",
        ),
        ADE20K_NAMES,
        classes.ADE20K_CLASSES,
        "ADEChallengeData2016/images/validation/{}.jpg",
        "ADEChallengeData2016/annotations/validation/{}.png",
        is_diffcut=True,
    ),
}
"""By the names under which one asks for them."""


@dataclass(frozen=True)
class CenterCrop:
    """The crop of DiffSeg's and PiCIE's protocol.

    With c = min(H, W) the square starts at ((H − c) // 2, (W − c) // 2). Images are resized bilinearly
    with half-pixel centres and no antialiasing; labels take the pixel floor((i + ½) · c / resolution).

    DiffSeg's reference (its ``data/coco/coco_data.py``) does the same in TensorFlow, whose JPEG decoder gives
    other grey levels than Pillow's, and whose resized image goes to the model as float32. Here it is an image
    of 8 bits, at most half a grey level from that, so that every method can have it.

    DiffCut's code (its ``dataloader/iterator.py``, with torchvision) takes one pixel less, c = min(H, W) − 1,
    and rounds where the square starts, halves to the even number; the rest is the same.

    Attributes:
        resolution: of the result, side in pixels, ≥ 1.
        is_diffcut: whether the square is that of DiffCut's code.
    """

    resolution: int
    is_diffcut: bool = False

    def of_image(self, image: Image.Image) -> Image.Image:
        """The image's central square, mode RGB, ``resolution`` by ``resolution``."""
        pixels = torch.from_numpy(self._square(np.array(image.convert("RGB")))).double()  # exact sums
        size = (self.resolution, self.resolution)
        resized = F.interpolate(pixels.permute(2, 0, 1)[None], size=size, mode="bilinear")[0]
        return Image.fromarray(resized.permute(1, 2, 0).round().to(torch.uint8).numpy())

    def of_labels(self, labels: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """The label map's central square, ``[resolution, resolution]``."""
        square = self._square(labels)
        rows, columns = nearest_cells(GridSize(*square.shape), GridSize(self.resolution, self.resolution))
        return square[rows[:, None], columns]

    def _square(self, pixels: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        height, width = pixels.shape[:2]
        if self.is_diffcut:
            side = max(1, min(height, width) - 1)
            top, left = round((height - side) / 2), round((width - side) / 2)
        else:
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
        return pixels[top : top + side, left : left + side]


class LayoutDataset:
    """A dataset of `LAYOUTS`; image, classes and segments are the central square.

    Args:
        layout: which.
        root: its folder.
        resolution: of the square, side in pixels; None is the protocol's.

    Raises:
        DatasetError: a list, an image or an annotation is missing.
    """

    def __init__(self, layout: Layout, root: Path, resolution: int | None = None) -> None:
        usual = OF_DIFFCUT if layout.is_diffcut else PUBLISHED
        self._square = CenterCrop(usual if resolution is None else resolution, layout.is_diffcut)
        self._layout, self._root, source = layout, root, layout.source
        of_classes: Measure = "background" if layout.has_background else "classes"
        self.measures: frozenset[Measure] = frozenset({of_classes})
        if layout.segments:
            self.measures |= {"segments"}
        self.class_names = layout.names
        folder, ending = layout.images.split("{}")
        images = source.find_files(root / folder, layout.pattern + ending)
        if layout.list:
            self.names = source.read_list(root / layout.list)
        else:
            names = (path.relative_to(root / folder).as_posix() for path in images)
            self.names = tuple(name.removesuffix(ending) for name in names)
        kinds = filter(None, (layout.images, layout.labels, layout.segments))
        source.require_files(root / kind.format(name) for kind in kinds for name in self.names)

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its name.

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a value is no class.
        """
        layout, source, square = self._layout, self._layout.source, self._square
        image = source.read_image(self._root / layout.images.format(name))
        path = self._root / layout.labels.format(name)
        segments = []
        if layout.segments:
            ids = source.read_labels(self._root / layout.segments.format(name), image, COLOUR)
            segments.append(consecutive_labels(square.of_labels(ids), UNLABELLED_ID))
        labels = square.of_labels(source.to_classes(source.read_labels(path, image), layout.classes, path))
        return AnnotatedImage(name, square.of_image(image), labels, tuple(segments))
