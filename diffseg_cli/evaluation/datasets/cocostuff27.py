"""COCO-Stuff-27: 2,175 photographs with 27 classes, the benchmark of PiCIE, STEGO and DiffSeg."""

from __future__ import annotations

from pathlib import Path

from ..types import AnnotatedImage, Measure
from .center_crop import CenterCrop
from .coco27_classes import FINE_TO_COARSE, NAMES
from .label_io import GREY, read_annotated_image, read_labels, require_size, to_classes
from .layout import Source

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

SOURCE = Source(
    "COCO-Stuff-27",
    f"ROOT/val2017/*.jpg, ROOT/stuffthingmaps_trainval2017/val2017/*.png and ROOT/{LIST} "
    "(or images/val2017, annotations/val2017 and curated/val2017, as PiCIE has them)",
    "Photographs: http://images.cocodataset.org/zips/val2017.zip. Labels: http://calvin.inf.ed.ac.uk/"
    "wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip. Which 2,175 photographs: "
    f"https://raw.githubusercontent.com/google/diffseg/main/data/coco/{LIST}.",
)


class CocoStuff27:
    """COCO-Stuff-27 as DiffSeg's reference reads it.

    Images are those of the list, in its order; image and classes are the central square. COCO-Stuff has
    classes only: there are no true segments.

    Args:
        root: holds the photographs (``val2017`` or ``images/val2017``), the pixel maps
            (``stuffthingmaps_trainval2017/val2017``, ``annotations/val2017``, ``annotation_val2017``,
            ``stuffthingmaps/val2017``, or beside the photographs) and the list of the benchmark's
            photographs, one number a line (itself, or in ``curated/val2017``).
        resolution: of the square, side in pixels.

    Raises:
        DatasetError: the list, a photograph or a pixel map is missing.
        InvalidSettingError: a resolution below 1.
    """

    measures: frozenset[Measure] = frozenset({"classes"})
    class_names = NAMES

    def __init__(self, root: str | Path, resolution: int = 512) -> None:
        self._square = CenterCrop(resolution)
        root = Path(root)
        self._images = SOURCE.find_folder(root, IMAGE_FOLDERS, "*.jpg")
        self._labels = SOURCE.find_folder(root, LABEL_FOLDERS, "*.png")
        self.names = _read_list(SOURCE.find_folder(root, LIST_FOLDERS, LIST) / LIST)
        SOURCE.require_files(self._image(name) for name in self.names)
        SOURCE.require_files(self._label(name) for name in self.names)

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its number, such as "000000000139".

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a value is no class of COCO-Stuff.
        """
        image = read_annotated_image(self._image(name), SOURCE)
        path = self._label(name)
        values = read_labels(path, GREY, SOURCE)
        require_size(values, image, path, SOURCE)
        classes = to_classes(values, FINE_TO_COARSE, path, SOURCE)
        return AnnotatedImage(name, self._square.of_image(image), self._square.of_labels(classes), ())

    def _image(self, name: str) -> Path:
        return self._images / f"{name}.jpg"

    def _label(self, name: str) -> Path:
        return self._labels / f"{name}.png"


def _read_list(path: Path) -> tuple[str, ...]:
    names = tuple(path.read_text(encoding="utf-8").split())
    if not names or len(set(names)) < len(names):
        raise SOURCE.error(
            f"Expected the numbers of photographs in {path}, each once, "
            f"got {len(names)}, of which {len(set(names))} differ."
        )
    return names
