"""ADE20K with the 150 classes of the scene parsing benchmark."""

from __future__ import annotations

from pathlib import Path

from diffseg_core.output.ade20k import NAMES

from ..types import VOID, AnnotatedImage, Measure
from .center_crop import CenterCrop
from .label_io import GREY, read_annotated_image, read_labels, require_size, to_classes
from .layout import Source, visible_files

NOT_ANNOTATED = 0
CLASSES = {NOT_ANNOTATED: VOID} | {index + 1: index for index in range(len(NAMES))}

SOURCE = Source(
    "ADE20K",
    "ROOT/ADEChallengeData2016/images/validation/*.jpg and annotations/validation/*.png (0 not annotated, "
    "1..150); ROOT may also be ADEChallengeData2016",
    "ADEChallengeData2016.zip is at http://sceneparsing.csail.mit.edu/.",
)


class Ade20k:
    """The 2,000 validation images of ADE20K as the scene parsing benchmark has them (Zhou et al., CVPR 2017).

    Image and classes are the central square as of Pascal VOC here, see `pascal`; the benchmark has whole
    images, whose figures do not compare. What is not annotated does not count.

    Args:
        root: holds ``ADEChallengeData2016``, or is it.
        resolution: of the square, side in pixels.

    Raises:
        DatasetError: a folder or a label map is missing.
        InvalidSettingError: a resolution below 1.
    """

    measures: frozenset[Measure] = frozenset({"classes"})
    class_names = NAMES

    def __init__(self, root: str | Path, resolution: int = 1024) -> None:
        self._square = CenterCrop(resolution, is_diffcut=True)
        folders = [f"{place}images/validation" for place in ("ADEChallengeData2016/", "")]
        self._images = SOURCE.find_folder(Path(root), folders, "*.jpg")
        self._labels = self._images.parent.parent / "annotations/validation"
        self.names = tuple(path.stem for path in visible_files(self._images, "*.jpg"))
        SOURCE.require_files(self._label(name) for name in self.names)

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its name, such as "ADE_val_00000001".

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a value is no class.
        """
        image = read_annotated_image(self._images / f"{name}.jpg", SOURCE)
        path = self._label(name)
        values = read_labels(path, GREY, SOURCE)
        require_size(values, image, path, SOURCE)
        classes = to_classes(values, CLASSES, path, SOURCE)
        return AnnotatedImage(name, self._square.of_image(image), self._square.of_labels(classes), ())

    def _label(self, name: str) -> Path:
        return self._labels / f"{name}.png"
