"""The ten photographs that a model is checked on, with the objects that were drawn in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidSettingError
from ..grid import GridSize
from ..images import Images, as_images
from .contingency import VOID
from .outlines import Bitmap, mask_of

FOLDER = Path(__file__).parent / "photographs"
OUTLINES = "objects.json"
NAMES = ("cat", "otter", "astronaut", "airplane", "coffee", "taipei", "path", "lake", "grapes", "harbour")


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


def read_photographs(names: Sequence[str] = NAMES, folder: Path = FOLDER) -> list[Photograph]:
    """Read photographs, in the order of the names.

    Where the outlines of two objects overlap (by at most a few pixels along a border that they share), the
    pixels are those of the object that stands first.

    Args:
        names: which.
        folder: where they lie, with their outlines.

    Raises:
        InvalidSettingError: an unknown name, or files that are missing or damaged.
    """
    from PIL import Image

    outlines = _outlines(folder)
    found = []
    for name in names:
        if name not in outlines:
            known = ", ".join(outlines)
            raise InvalidSettingError(f"Expected photographs among {known}, got {name!r}.")
        try:
            with Image.open(folder / f"{name}.jpg") as opened:
                images = as_images(opened)
        except OSError as error:
            raise _incomplete(f"{name}.jpg") from error
        found.append(_photograph(name, images, outlines[name]))
    return found


def object_names(folder: Path = FOLDER) -> dict[str, tuple[str, ...]]:
    """What the objects are called, by the photograph's name; no photograph is read.

    Raises:
        InvalidSettingError: the outlines are missing or damaged.
    """
    return {name: tuple(str(each["name"]) for each in objects) for name, objects in _outlines(folder).items()}


def _outlines(folder: Path) -> dict[str, Any]:
    try:
        outlines: dict[str, Any] = json.loads((folder / OUTLINES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _incomplete(OUTLINES) from error
    return outlines


def _photograph(name: str, images: Images, objects: list[dict[str, list[list[list[float]]]]]) -> Photograph:
    truth = np.full(images.size, VOID, np.int64)
    for index, each in enumerate(objects):
        mask = mask_of(each["polygons"], each.get("holes", []), GridSize(*images.size))
        truth[mask & (truth == VOID)] = index
    return Photograph(name, images, tuple(str(each["name"]) for each in objects), truth)


def _incomplete(file: str) -> InvalidSettingError:
    return InvalidSettingError(
        f"Expected the photographs that come with DiffSeg, got no readable {file}: install DiffSeg anew."
    )
