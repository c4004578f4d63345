"""Photographs of COCO with both the 27 classes and the true segments: every object, every stuff region."""

from __future__ import annotations

from pathlib import Path

from ..types import VOID, AnnotatedImage, Measure
from .center_crop import CenterCrop
from .coco27_classes import NAMES, UNLABELLED
from .label_io import (
    COLOUR,
    GREY,
    consecutive_labels,
    read_annotated_image,
    read_labels,
    require_size,
    to_classes,
)
from .layout import Source, visible_files

UNLABELLED_ID = 0
CLASSES = {UNLABELLED: VOID} | {index: index for index in range(len(NAMES))}

SOURCE = Source(
    "COCO-27 with panoptic segments",
    "ROOT/images/*.jpg, ROOT/panoptic/*.png (id = R + 256 G + 65536 B, 0 unlabelled) and ROOT/coco27/*.png "
    "(grey, classes 0..26 of COCO-Stuff-27, 255 unlabelled), under the same names",
    "Photographs: http://images.cocodataset.org/zips/val2017.zip. Segments: http://images.cocodataset.org/"
    "annotations/panoptic_annotations_trainval2017.zip. Classes: the segments' categories, by supercategory.",
)


class Coco27Panoptic:
    """COCO's panoptic annotation beside its classes in the order of COCO-Stuff-27.

    Image, classes and segments are the central square. A ``panoptic.json`` beside them is not needed.

    Args:
        root: holds ``images/NAME.jpg``, ``panoptic/NAME.png`` and ``coco27/NAME.png``.
        resolution: of the square, side in pixels.

    Raises:
        DatasetError: there are no photographs, or an annotation is missing.
        InvalidSettingError: a resolution below 1.
    """

    measures: frozenset[Measure] = frozenset({"classes", "segments"})
    class_names = NAMES

    def __init__(self, root: str | Path, resolution: int = 512) -> None:
        self._square = CenterCrop(resolution)
        self._root = Path(root)
        images = SOURCE.find_folder(self._root, ["images"], "*.jpg")
        self.names = tuple(path.stem for path in visible_files(images, "*.jpg"))
        SOURCE.require_files(self._annotation("panoptic", name) for name in self.names)
        SOURCE.require_files(self._annotation("coco27", name) for name in self.names)

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its file's name without the ending.

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a class is not one of the 27.
        """
        image = read_annotated_image(self._root / "images" / f"{name}.jpg", SOURCE)
        segments_path, classes_path = self._annotation("panoptic", name), self._annotation("coco27", name)
        ids = read_labels(segments_path, COLOUR, SOURCE)
        values = read_labels(classes_path, GREY, SOURCE)
        require_size(ids, image, segments_path, SOURCE)
        require_size(values, image, classes_path, SOURCE)
        classes = to_classes(values, CLASSES, classes_path, SOURCE)
        return AnnotatedImage(
            name,
            self._square.of_image(image),
            self._square.of_labels(classes),
            (consecutive_labels(self._square.of_labels(ids), UNLABELLED_ID),),
        )

    def _annotation(self, kind: str, name: str) -> Path:
        return self._root / kind / f"{name}.png"
