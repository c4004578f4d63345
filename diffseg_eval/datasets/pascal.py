"""Pascal VOC and Pascal Context: classes before a background, as DiffCut's code measures on them.

Couairon et al., NeurIPS 2024, ``dataloader/iterator.py`` and ``datasets/`` of PaulCouairon/DiffCut. Image and
classes are the central square of that code, at 1024×1024 as published. What is not annotated, in VOC the
borders around objects, is background there, and so it is here.

The authors measure at 128×128 places, of every eighth row and column of the square, with segments made on
128×128 cells, whose middles lie 3.5 pixels from those places. Here every pixel of the square counts, with the
segment that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..types import AnnotatedImage, Measure
from .center_crop import CenterCrop
from .label_io import GREY, read_annotated_image, read_labels, require_size, to_classes
from .layout import Source, read_list

VOC_NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)
"""The 20 classes: values 1..20 of the label maps, in order."""
CONTEXT_NAMES = (
    *("aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book", "bottle"),
    *("building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth", "computer", "cow"),
    *("cup", "curtain", "dog", "door", "fence", "floor", "flower", "food", "grass", "ground"),
    *("horse", "keyboard", "light", "motorbike", "mountain", "mouse", "person", "plate", "platform"),
    *("pottedplant", "road", "rock", "sheep", "shelves", "sidewalk", "sign", "sky", "snow", "sofa"),
    *("table", "track", "train", "tree", "truck", "tvmonitor", "wall", "water", "window", "wood"),
)
"""The 59 classes: values 1..59 of the label maps, in order."""
BACKGROUND_VALUE, BORDER = 0, 255
RESOLUTION = 1024

VOC = Source(
    "Pascal VOC",
    "ROOT/VOCdevkit/VOC2012/JPEGImages/*.jpg, SegmentationClass/*.png (palette: 0 background, 1..20, 255 "
    "borders) and ImageSets/Segmentation/val.txt beside it; ROOT may also be VOCdevkit or VOC2012",
    "VOCtrainval_11-May-2012.tar is at http://host.robots.ox.ac.uk/pascal/VOC/voc2012/.",
)
CONTEXT = Source(
    "Pascal Context",
    "ROOT/VOCdevkit/VOC2010/JPEGImages/*.jpg, SegmentationClassContext/*.png (0 background, 1..59) and "
    "ImageSets/SegmentationContext/val.txt beside it, as MMSegmentation makes them; ROOT may also be "
    "VOCdevkit or VOC2010",
    "Photographs: VOCtrainval_03-May-2010.tar at http://host.robots.ox.ac.uk/pascal/VOC/voc2010/. Label maps "
    "and list: tools/dataset_converters/pascal_context.py of https://github.com/open-mmlab/mmsegmentation "
    "makes them of trainval_merged.json, see its docs/en/user_guides/2_dataset_prepare.md.",
)


class PascalVoc:
    """The 1,449 validation images of Pascal VOC 2012 for segmentation (Everingham et al.).

    Classes are VOC's 20 in order, then background: class 20.

    Args:
        root: holds ``VOCdevkit/VOC2012``, or is one of these two.
        resolution: of the square, side in pixels.

    Raises:
        DatasetError: the list, a photograph or a label map is missing.
        InvalidSettingError: a resolution below 1.
    """

    measures: frozenset[Measure] = frozenset({"background"})
    class_names = (*VOC_NAMES, "background")

    def __init__(self, root: str | Path, resolution: int = RESOLUTION) -> None:
        self._files = _PascalFiles(
            Path(root), "VOC2012", "SegmentationClass", "Segmentation", VOC_NAMES, resolution, VOC
        )
        self.names = self._files.names

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its name, such as "2007_000033".

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a value is no class.
        """
        return self._files.load(name)


class PascalContext:
    """The validation images of Pascal Context with its 59 most frequent classes (Mottaghi et al., CVPR 2014).

    Classes are the 59 as MMSegmentation numbers them, then background: class 59.

    Args:
        root: holds ``VOCdevkit/VOC2010``, or is one of these two.
        resolution: of the square, side in pixels.

    Raises:
        DatasetError: the list, a photograph or a label map is missing.
        InvalidSettingError: a resolution below 1.
    """

    measures: frozenset[Measure] = frozenset({"background"})
    class_names = (*CONTEXT_NAMES, "background")

    def __init__(self, root: str | Path, resolution: int = RESOLUTION) -> None:
        self._files = _PascalFiles(
            Path(root),
            "VOC2010",
            "SegmentationClassContext",
            "SegmentationContext",
            CONTEXT_NAMES,
            resolution,
            CONTEXT,
        )
        self.names = self._files.names

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its name, such as "2008_000002".

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a value is no class.
        """
        return self._files.load(name)


class _PascalFiles:
    """Photographs and label maps of one year of the devkit."""

    def __init__(
        self,
        root: Path,
        year: str,
        labels: str,
        lists: str,
        classes: Sequence[str],
        resolution: int,
        source: Source,
    ) -> None:
        self._square = CenterCrop(resolution, is_diffcut=True)
        self._source = source
        folders = [f"{place}JPEGImages" for place in (f"VOCdevkit/{year}/", f"{year}/", "")]
        self._images = source.find_folder(root, folders, "*.jpg")
        base = self._images.parent
        self._labels = base / labels
        self.names = read_list(base / "ImageSets" / lists / "val.txt", source)
        source.require_files(self._image(name) for name in self.names)
        source.require_files(self._label(name) for name in self.names)
        background = len(classes)
        self._classes = {1 + index: index for index in range(background)} | {BACKGROUND_VALUE: background}
        if source is VOC:
            self._classes[BORDER] = background

    def load(self, name: str) -> AnnotatedImage:
        image = read_annotated_image(self._image(name), self._source)
        path = self._label(name)
        values = read_labels(path, GREY, self._source)
        require_size(values, image, path, self._source)
        classes = to_classes(values, self._classes, path, self._source)
        return AnnotatedImage(name, self._square.of_image(image), self._square.of_labels(classes), ())

    def _image(self, name: str) -> Path:
        return self._images / f"{name}.jpg"

    def _label(self, name: str) -> Path:
        return self._labels / f"{name}.png"
