"""COCO-Stuff-27: 2,175 photographs with 27 classes, the benchmark of PiCIE, STEGO and DiffSeg.

What is read of it serves COCO-Object too, which has other classes of the same pixel maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from ..types import AnnotatedImage, LabelMap, Measure
from .center_crop import CenterCrop
from .coco27_classes import FINE_TO_COARSE, NAMES
from .label_io import GREY, read_annotated_image, read_labels, require_size, to_classes
from .layout import Source, read_list

LIST = "Coco164kFull_Stuff_Coarse_7.txt"
LIST_FOLDERS = ("", "curated/val2017", "curated")
IMAGE_FOLDERS = ("val2017", "images/val2017")
LABEL_FOLDERS = (
    "stuffthingmaps_trainval2017/val2017",
    "annotations/val2017",
    "annotation_val2017",
    "stuffthingmaps/val2017",
    "val2017",
)

LAYOUT, DOWNLOAD = (
    f"ROOT/val2017/*.jpg, ROOT/stuffthingmaps_trainval2017/val2017/*.png and ROOT/{LIST} "
    "(or images/val2017, annotations/val2017 and curated/val2017, as PiCIE has them)",
    "Photographs: http://images.cocodataset.org/zips/val2017.zip. Labels: http://calvin.inf.ed.ac.uk/"
    "wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip. Which 2,175 photographs: "
    f"https://raw.githubusercontent.com/google/diffseg/main/data/coco/{LIST}.",
)
SOURCE = Source("COCO-Stuff-27", LAYOUT, DOWNLOAD)


class CocoStuffFiles:
    """The benchmark's photographs and their pixel maps, which have a value from 0 to 181, or 255, everywhere.

    Args:
        root: holds the photographs (``val2017`` or ``images/val2017``), the pixel maps
            (``stuffthingmaps_trainval2017/val2017``, ``annotations/val2017``, ``annotation_val2017``,
            ``stuffthingmaps/val2017``, or beside the photographs) and the list of the benchmark's
            photographs, one number a line (itself, or in ``curated/val2017``).
        source: of the dataset that they are read for.

    Raises:
        DatasetError: the list, a photograph or a pixel map is missing.
    """

    def __init__(self, root: Path, source: Source) -> None:
        self._source = source
        self._images = source.find_folder(root, IMAGE_FOLDERS, "*.jpg")
        self._labels = source.find_folder(root, LABEL_FOLDERS, "*.png")
        self.names = read_list(source.find_folder(root, LIST_FOLDERS, LIST) / LIST, source)
        source.require_files(self._image(name) for name in self.names)
        source.require_files(self._label(name) for name in self.names)

    def read(self, name: str, classes: Mapping[int, int]) -> tuple[Image.Image, LabelMap]:
        """One photograph, and its classes.

        Args:
            name: a number, such as "000000000139".
            classes: of the values that may be there.

        Raises:
            DatasetError: a file cannot be read, sizes differ, or there is another value.
        """
        image = read_annotated_image(self._image(name), self._source)
        path = self._label(name)
        values = read_labels(path, GREY, self._source)
        require_size(values, image, path, self._source)
        return image, to_classes(values, classes, path, self._source)

    def _image(self, name: str) -> Path:
        return self._images / f"{name}.jpg"

    def _label(self, name: str) -> Path:
        return self._labels / f"{name}.png"


class CocoStuff27:
    """COCO-Stuff-27 as DiffSeg's reference reads it.

    Images are those of the list, in its order; image and classes are the central square. COCO-Stuff has
    classes only: there are no true segments.

    Args:
        root: as of `CocoStuffFiles`.
        resolution: of the square, side in pixels.

    Raises:
        DatasetError: the list, a photograph or a pixel map is missing.
        InvalidSettingError: a resolution below 1.
    """

    measures: frozenset[Measure] = frozenset({"classes"})
    class_names = NAMES

    def __init__(self, root: str | Path, resolution: int = 512) -> None:
        self._square = CenterCrop(resolution)
        self._files = CocoStuffFiles(Path(root), SOURCE)
        self.names = self._files.names

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its number, such as "000000000139".

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a value is no class of COCO-Stuff.
        """
        image, classes = self._files.read(name, FINE_TO_COARSE)
        return AnnotatedImage(name, self._square.of_image(image), self._square.of_labels(classes), ())
