"""A person's own images with label maps, in two folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffseg_core.errors import InvalidSettingError

from ..types import VOID, AnnotatedImage, Measure
from .label_io import (
    GREY,
    consecutive_labels,
    label_kind,
    read_annotated_image,
    read_labels,
    require_size,
    to_classes,
)
from .layout import Source, visible_files

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
LARGEST_VALUE = 256**3 - 1

SOURCE = Source(
    "A folder",
    f"ROOT/images/NAME ({', '.join(IMAGE_ENDINGS)}) and ROOT/labels/NAME.png (grey of 8 or 16 bits, "
    "palette indices, or RGB with id = R + 256 G + 65536 B), under the same names and of the same size",
    "Any annotation tool that saves one value for each class or segment makes such label maps.",
)


class Folder:
    """Images at their own size, with label maps of one kind for all.

    Values of 8 bits (grey, or indices of a palette) are classes, the same in every image; each is also
    taken for one true segment, in however many pieces. Wider values (16-bit grey, or RGB as in COCO's
    panoptic format) tell segments apart within one image and mean no class.

    Every label map is read when the folder is opened, to know its classes: those that occur anywhere, in
    ascending order of their values, which are their names.

    Args:
        root: holds ``images/NAME.jpg`` (or another ending) and ``labels/NAME.png``; label maps without an
            image are not looked at.
        void: the value of what is not annotated, often 0 or 255. None: every pixel is annotated.

    Raises:
        DatasetError: there are no images, two of one name, or nothing is annotated; a label map is missing,
            of another kind than the first, or cannot be read.
        InvalidSettingError: a void value outside 0..16777215.
    """

    measures: frozenset[Measure]
    class_names: Sequence[str]

    def __init__(self, root: str | Path, void: int | None = None) -> None:
        if void is not None and not 0 <= void <= LARGEST_VALUE:
            raise InvalidSettingError(f"Expected a void value in 0..{LARGEST_VALUE}, got {void}.")
        root = Path(root)
        SOURCE.require_root(root)
        self._void = void
        self._images = images_by_name(root / "images")
        self._labels = root / "labels"
        self.names = tuple(sorted(self._images))
        SOURCE.require_files(self._label(name) for name in self.names)
        self._kind = label_kind(self._label(self.names[0]), SOURCE)
        values = self._values()
        annotated = [value for value in values if value != void]
        if not annotated:
            raise SOURCE.error(f"Expected other values than {void}, which is void, in {self._labels}/*.png.")

        self.measures = frozenset({"segments"})
        self.class_names = ()
        self._classes: dict[int, int] = {}
        if self._kind == GREY:
            self.measures |= {"classes"}
            self.class_names = tuple(map(str, annotated))
            self._classes = dict.fromkeys(values, VOID) | {value: i for i, value in enumerate(annotated)}

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its file's name without the ending.

        Raises:
            DatasetError: there is no such image, a file cannot be read, sizes differ, or a class is there
                that was not when the folder was opened.
        """
        if name not in self._images:
            raise SOURCE.error(f"Expected the name of one of {len(self.names)} images, got {name!r}.")
        image = read_annotated_image(self._images[name], SOURCE)
        path = self._label(name)
        values = read_labels(path, self._kind, SOURCE)
        require_size(values, image, path, SOURCE)
        classes = to_classes(values, self._classes, path, SOURCE) if self._classes else None
        return AnnotatedImage(name, image, classes, (consecutive_labels(values, self._void),))

    def _label(self, name: str) -> Path:
        return self._labels / f"{name}.png"

    def _values(self) -> list[int]:
        """Every value that occurs in a label map, ascending."""
        found: set[int] = set()
        for name in self.names:
            found.update(np.unique(read_labels(self._label(name), self._kind, SOURCE)).tolist())
        return sorted(found)


def images_by_name(folder: Path) -> dict[str, Path]:
    """The images of a folder by their names without the ending.

    Raises:
        DatasetError: none, or two of one name.
    """
    images: dict[str, Path] = {}
    for path in visible_files(folder, "*"):
        if path.suffix.lower() not in IMAGE_ENDINGS:
            continue
        if path.stem in images:
            raise SOURCE.error(f"Expected one image of every name, got {images[path.stem]} and {path}.")
        images[path.stem] = path
    if not images:
        raise SOURCE.error(f"Expected images in {folder}, found none.")
    return images
