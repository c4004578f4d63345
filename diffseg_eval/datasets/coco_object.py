"""COCO-Object: the things of COCO before a background, as DiffCut's code measures on them."""

from __future__ import annotations

from pathlib import Path

from ..types import AnnotatedImage, Measure
from .center_crop import CenterCrop
from .coco27_classes import SUPERCATEGORIES, UNLABELLED
from .cocostuff27 import DOWNLOAD, LAYOUT, CocoStuffFiles
from .layout import Source

NOT_OF_COCO = frozenset({11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90})
"""Things of COCO-Stuff's list that nobody annotated in COCO's release of 2017."""
LAST_THING, LAST_STUFF = 90, 181
THINGS = {
    value: name
    for members in SUPERCATEGORIES.values()
    for value, name in members.items()
    if value <= LAST_THING and value not in NOT_OF_COCO
}
"""Value in the pixel maps, and name, of the 80 things."""
NAMES = (*(THINGS[value] for value in sorted(THINGS)), "background")
BACKGROUND = len(NAMES) - 1
CLASSES = {value: index for index, value in enumerate(sorted(THINGS))} | dict.fromkeys(
    (*range(LAST_THING + 1, LAST_STUFF + 1), UNLABELLED), BACKGROUND
)

SOURCE = Source("COCO-Object", LAYOUT, DOWNLOAD)


class CocoObject:
    """COCO-Object as DiffCut's code reads it (Couairon et al., NeurIPS 2024).

    The photographs and pixel maps are those of COCO-Stuff-27, the 2,175 of its list. The 80 things are
    classes 0..79 in the order of their numbers; all stuff, and what is not annotated, is background, class
    80. Where others measure on all 5,000 photographs of the validation set, figures do not compare.

    Image and classes are the central square as DiffCut's code cuts it; all of it counts, as in `pascal`.

    Args:
        root: as of `CocoStuffFiles`.
        resolution: of the square, side in pixels.

    Raises:
        DatasetError: the list, a photograph or a pixel map is missing.
        InvalidSettingError: a resolution below 1.
    """

    measures: frozenset[Measure] = frozenset({"background"})
    class_names = NAMES

    def __init__(self, root: str | Path, resolution: int = 1024) -> None:
        self._square = CenterCrop(resolution, is_diffcut=True)
        self._files = CocoStuffFiles(Path(root), SOURCE)
        self.names = self._files.names

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its number, such as "000000000139".

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a value is no class of COCO-Stuff.
        """
        image, classes = self._files.read(name, CLASSES)
        return AnnotatedImage(name, self._square.of_image(image), self._square.of_labels(classes), ())
