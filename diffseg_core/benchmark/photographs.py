"""The ten photographs that a model is checked on, with the objects that people drew in them.

Beside each photograph lies a PNG of its size with the number of the object at every pixel, 255 where there is
none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..images import Images, as_images
from .measures import VOID

Bitmap = npt.NDArray[np.bool_]

FOLDER = Path(__file__).parent / "photographs"
NAMES = ("cat", "otter", "astronaut", "airplane", "coffee", "taipei", "path", "lake", "grapes", "harbour")
NO_OBJECT = 255  # in the PNG


@dataclass(frozen=True, eq=False)
class Photograph:
    """One photograph and its objects.

    Attributes:
        name: one of `NAMES`.
        images: itself, one image of at most 640 pixels to a side.
        objects: what the objects are called.
        truth: int64 ``[H, W]``: the number of the object in ``objects``, `VOID` where there is none.
    """

    name: str
    images: Images
    objects: tuple[str, ...]
    truth: npt.NDArray[np.int64]

    def mask(self, index: int) -> Bitmap:
        """The pixels of an object: bool ``[H, W]``."""
        mask: Bitmap = self.truth == index
        return mask


def read_photographs(names: Sequence[str] = NAMES) -> list[Photograph]:
    """Read photographs, in the order of the names, which are among `NAMES`."""
    from PIL import Image

    objects = object_names()
    photographs = []
    for name in names:
        with Image.open(FOLDER / f"{name}.jpg") as image, Image.open(FOLDER / f"{name}.png") as drawn:
            numbers = np.asarray(drawn, np.int64)
            truth = np.where(numbers == NO_OBJECT, VOID, numbers)
            photographs.append(Photograph(name, as_images(image), objects[name], truth))
    return photographs


def object_names() -> dict[str, tuple[str, ...]]:
    """What the objects are called, by the photograph's name; no photograph is read."""
    objects = json.loads((FOLDER / "objects.json").read_text(encoding="utf-8"))
    return {name: tuple(objects[name]) for name in NAMES}
