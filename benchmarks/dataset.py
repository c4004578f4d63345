"""Photographs with COCO panoptic annotations, and the square crop on which everything is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

PANOPTIC_VOID = 0
CROP_SIDE = 512


@dataclass(frozen=True)
class AnnotatedPhoto:
    """One photograph and two annotations of the same height and width.

    Attributes:
        name: the file name without its ending.
        image: the photograph, mode RGB.
        panoptic: int64 ``[H, W]``, one id per object or stuff region, 0 where nothing is annotated.
        coco27: uint8 ``[H, W]``, class 0..26 of COCO-Stuff-27, 255 where nothing is annotated.
    """

    name: str
    image: Image.Image
    panoptic: npt.NDArray[np.int64]
    coco27: npt.NDArray[np.uint8]


class CocoPanoptic:
    """A folder of annotated photographs, iterated in the order of their names.

    The folder holds ``images/NAME.jpg``, ``panoptic/NAME.png`` (id = R + 256 G + 65536 B) and
    ``coco27/NAME.png`` (grey, the class itself).

    Raises:
        FileNotFoundError: the folder holds no photograph; while iterating, an annotation is missing.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.names = sorted(path.stem for path in (self.root / "images").glob("*.jpg"))
        if not self.names:
            raise FileNotFoundError(f"Expected photographs as {self.root}/images/*.jpg, found none.")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[AnnotatedPhoto]:
        return map(self.load, self.names)

    def load(self, name: str) -> AnnotatedPhoto:
        """Read one photograph by its name.

        Raises:
            ValueError: an annotation's size is not the photograph's.
        """
        with Image.open(self.root / "images" / f"{name}.jpg") as file:
            image = file.convert("RGB")
        with Image.open(self.root / "panoptic" / f"{name}.png") as file:
            colours = np.asarray(file.convert("RGB"), np.int64)  # [H, W, 3]
        with Image.open(self.root / "coco27" / f"{name}.png") as file:
            coco27 = np.array(file, np.uint8)
        panoptic = colours @ np.array([1, 256, 256**2], np.int64)
        expected = (image.height, image.width)
        for kind, labels in (("panoptic", panoptic), ("coco27", coco27)):
            if labels.shape != expected:
                raise ValueError(f"Expected {kind} labels of {expected} for {name}, got {labels.shape}.")
        return AnnotatedPhoto(name, image, panoptic, coco27)


def centre_crop_512(photo: AnnotatedPhoto) -> AnnotatedPhoto:
    """The benchmark's view of a photograph: its central square, 512 by 512.

    With c = min(H, W) the square starts at ((H - c) // 2, (W - c) // 2). The photograph is resized bilinearly
    with half-pixel centres and no antialiasing; labels take the pixel floor((i + 0.5) * c / 512).
    """
    height, width = photo.panoptic.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    index = ((2 * np.arange(CROP_SIDE) + 1) * side) // (2 * CROP_SIDE)
    rows, columns = (top + index)[:, None], (left + index)[None, :]
    square = np.array(photo.image)[top : top + side, left : left + side]  # [c, c, 3]
    return AnnotatedPhoto(
        photo.name,
        Image.fromarray(_resize_bilinear(square)),
        photo.panoptic[rows, columns],
        photo.coco27[rows, columns],
    )


def _resize_bilinear(square: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    pixels = torch.from_numpy(square).permute(2, 0, 1)[None].float()  # [1, 3, c, c]
    resized = F.interpolate(
        pixels, size=(CROP_SIDE, CROP_SIDE), mode="bilinear", align_corners=False, antialias=False
    )
    return resized[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
