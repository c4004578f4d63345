"""Cityscapes with 27 classes: 500 street scenes, as PiCIE, STEGO and DiffSeg measure on them."""

from __future__ import annotations

from pathlib import Path

from ..types import VOID, AnnotatedImage, Measure
from .center_crop import CenterCrop
from .label_io import GREY, read_annotated_image, read_labels, require_size, to_classes
from .layout import Source, visible_files

NAMES = (
    *("road", "sidewalk", "parking", "rail track"),
    *("building", "wall", "fence", "guard rail", "bridge", "tunnel"),
    *("pole", "polegroup", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky"),
    *("person", "rider"),
    *("car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
)
"""The 27 classes: Cityscapes' labels 7..33, in order."""

FIRST_LABEL = 7
LABEL_TO_CLASS = dict.fromkeys(range(FIRST_LABEL), VOID) | {
    FIRST_LABEL + index: index for index in range(len(NAMES))
}

IMAGE_ENDING, LABEL_ENDING = "_leftImg8bit.png", "_gtFine_labelIds.png"

SOURCE = Source(
    "Cityscapes",
    f"ROOT/leftImg8bit/val/CITY/*{IMAGE_ENDING} and ROOT/gtFine/val/CITY/*{LABEL_ENDING}",
    "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip are at https://www.cityscapes-dataset.com/"
    "downloads/ for those who register.",
)


class Cityscapes27:
    """The validation images of Cityscapes as DiffSeg's reference reads them.

    Names are "CITY/CITY_000000_000019", in alphabetical order; image and classes are the central square,
    1024 by 1024 of 2048 by 1024 pixels. Labels 0..6 (unlabeled, ego vehicle, ... ground) are not annotated.

    Args:
        root: holds ``leftImg8bit/val`` and ``gtFine/val``.
        resolution: of the square, side in pixels.

    Raises:
        DatasetError: a folder or a label map is missing.
        InvalidSettingError: a resolution below 1.
    """

    measures: frozenset[Measure] = frozenset({"classes"})
    class_names = NAMES

    def __init__(self, root: str | Path, resolution: int = 512) -> None:
        self._square = CenterCrop(resolution)
        root = Path(root)
        SOURCE.require_root(root)
        self._images, self._labels = root / "leftImg8bit/val", root / "gtFine/val"
        self.names = tuple(
            f"{path.parent.name}/{path.name.removesuffix(IMAGE_ENDING)}"
            for path in visible_files(self._images, f"*/*{IMAGE_ENDING}")
        )
        if not self.names:
            raise SOURCE.error(f"Expected images {self._images}/CITY/*{IMAGE_ENDING}, found none.")
        SOURCE.require_files(self._label(name) for name in self.names)

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its name, such as "lindau/lindau_000000_000019".

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a value is no label of Cityscapes.
        """
        image = read_annotated_image(self._images / f"{name}{IMAGE_ENDING}", SOURCE)
        path = self._label(name)
        values = read_labels(path, GREY, SOURCE)
        require_size(values, image, path, SOURCE)
        classes = to_classes(values, LABEL_TO_CLASS, path, SOURCE)
        return AnnotatedImage(name, self._square.of_image(image), self._square.of_labels(classes), ())

    def _label(self, name: str) -> Path:
        return self._labels / f"{name}{LABEL_ENDING}"
