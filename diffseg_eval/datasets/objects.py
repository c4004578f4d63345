"""One object in each image: ``images/`` and ``masks/`` of your own, as GrabCut's photographs have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from .folder import images_by_name
from .label_io import GREY, label_kind, read_annotated_image, read_labels, require_size
from .layout import Source

OBJECT, IGNORED = 255, 128
SOURCE = Source(
    "A folder of objects",
    "ROOT/images/NAME (PNG, JPEG …) and ROOT/masks/NAME.png (8-bit grey: 0, 255 the object, 128 not counted)",
    "GrabCut's photographs are one; any masks of your own will do.",
)


@dataclass(frozen=True, eq=False)
class AnnotatedObject:
    """An image with one object.

    Attributes:
        name: unique in its dataset.
        pixels: mode RGB.
        mask: bool ``[H, W]``, the object.
        ignored: bool ``[H, W]``, pixels that do not count.
    """

    name: str
    pixels: Image.Image
    mask: npt.NDArray[np.bool_]
    ignored: npt.NDArray[np.bool_]


class ObjectFolder:
    """The folder.

    Args:
        root: holds ``images/NAME.jpg`` (or another ending) and ``masks/NAME.png``.

    Raises:
        DatasetError: files are missing.
    """

    def __init__(self, root: Path) -> None:
        SOURCE.require_root(root)
        self._images = images_by_name(root / "images")
        self._masks = root / "masks"
        self.names = tuple(sorted(self._images))
        SOURCE.require_files(self._mask(name) for name in self.names)

    def load(self, name: str) -> AnnotatedObject:
        """Read one image.

        Raises:
            DatasetError: a file cannot be read, sizes differ, or the mask has no object.
        """
        image = read_annotated_image(self._images[name], SOURCE)
        path = self._mask(name)
        if label_kind(path, SOURCE) != GREY:
            raise SOURCE.error(f"Expected a mask of 8-bit grey in {path}.")
        values = read_labels(path, GREY, SOURCE)
        require_size(values, image, path, SOURCE)
        mask = values == OBJECT
        if not mask.any():
            raise SOURCE.error(f"Expected pixels of {OBJECT}, the object, in {path}, found none.")
        return AnnotatedObject(name, image, mask, values == IGNORED)

    def _mask(self, name: str) -> Path:
        return self._masks / f"{name}.png"
