"""The ten photographs that a model is checked on, with the objects that were drawn in them.

Objects are outlines, drawn by hand: a pixel belongs to an object when its centre does.
"""

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

Bitmap = npt.NDArray[np.bool_]
Outline = Sequence[Sequence[float]]
"""Corners ``[x, y]`` in pixels: (0, 0) is the left upper corner of the image, (width, height) the other one,
and the centre of pixel (column, row) is (column + 0.5, row + 0.5)."""

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


def read_photographs(names: Sequence[str] = NAMES) -> list[Photograph]:
    """Read photographs, in the order of the names.

    Where the outlines of two objects overlap (by at most a few pixels along a border that they share), the
    pixels are those of the object that stands first.

    Raises:
        InvalidSettingError: an unknown name.
    """
    from PIL import Image

    outlines = _outlines()
    photographs = []
    for name in names:
        if name not in outlines:
            raise InvalidSettingError(f"Expected photographs among {', '.join(outlines)}, got {name!r}.")
        with Image.open(FOLDER / f"{name}.jpg") as opened:
            images = as_images(opened)
        truth = np.full(images.size, VOID, np.int64)
        for index, drawn in enumerate(outlines[name]):
            mask = mask_of(drawn["polygons"], drawn.get("holes", []), GridSize(*images.size))
            truth[mask & (truth == VOID)] = index
        photographs.append(Photograph(name, images, object_names()[name], truth))
    return photographs


def object_names() -> dict[str, tuple[str, ...]]:
    """What the objects are called, by the photograph's name; no photograph is read."""
    return {name: tuple(drawn["name"] for drawn in objects) for name, objects in _outlines().items()}


def _outlines() -> dict[str, Any]:
    outlines: dict[str, Any] = json.loads((FOLDER / OUTLINES).read_text(encoding="utf-8"))
    return outlines


def fill(outline: Outline, size: GridSize) -> Bitmap:
    """The pixels whose centres lie inside an outline, by the even-odd rule: bool ``[H, W]``.

    Of a centre on the outline itself: on a left or upper edge it is inside, on a right or lower one outside,
    so that outlines which share an edge share no pixel.

    Args:
        outline: corners, the last joined to the first; parts outside the image are cut off.
        size: height and width of the image in pixels.

    >>> fill([[0, 0], [2, 0], [2, 1], [0, 1]], GridSize(2, 3)).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    corners = np.asarray(outline, np.float64).reshape(-1, 2)
    # Entry c of a row: how many edges are crossed between the centres of columns c − 1 and c.
    crossed = np.zeros((size.height, size.width + 1), np.int64)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        first, stop = np.clip(np.ceil(np.array(sorted((y1, y2))) - 0.5), 0, size.height).astype(np.int64)
        rows = np.arange(first, stop)
        if rows.size:
            across = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
            columns = np.clip(np.ceil(across - 0.5), 0, size.width).astype(np.int64)
            np.add.at(crossed, (rows, columns), 1)
    inside: Bitmap = crossed.cumsum(axis=1)[:, :-1] % 2 == 1
    return inside


def mask_of(polygons: Sequence[Outline], holes: Sequence[Outline], size: GridSize) -> Bitmap:
    """The pixels whose centres lie in one of the polygons and in none of the holes: bool ``[H, W]``."""
    mask = np.zeros(size, bool)
    for polygon in polygons:
        mask |= fill(polygon, size)
    for hole in holes:
        mask &= ~fill(hole, size)
    return mask
