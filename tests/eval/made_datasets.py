"""Tiny datasets in the layouts of the real ones: three images, 60 wide and 40 high.

Every image shows a left and a right part, with the border at column 30 + 2 · its index, under a band of 4
rows that nobody annotated. A maker takes the root folder and gives the images' names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

HEIGHT, WIDTH = 40, 60
IMAGES = 3
LEFT, RIGHT, BAND = 0, 1, 2
COLOURS = np.array([[200, 60, 40], [40, 90, 210], [120, 120, 120]])
SQUARES = ("cocostuff27", "cityscapes27", "coco27-panoptic")
CROP = slice(10, 50)  # columns of the central square of a made image
DIFFCUT_SQUARES = ("voc", "context", "coco-object", "ade20k")
DIFFCUT_ROWS, DIFFCUT_COLUMNS = slice(0, 39), slice(10, 49)  # (40 − 39) / 2 and (60 − 39) / 2, to even


def made_regions(index: int) -> np.ndarray:
    """Uint8 `[40, 60]`: LEFT, RIGHT or BAND."""
    regions = np.zeros((HEIGHT, WIDTH), np.uint8)
    regions[:, 30 + 2 * index :] = RIGHT
    regions[:4] = BAND
    return regions


def made_image(index: int) -> np.ndarray:
    """Uint8 `[40, 60, 3]`: a colour for each part, and some grain."""
    grain = np.random.default_rng(index).integers(-12, 13, (HEIGHT, WIDTH, 1))
    return (COLOURS[made_regions(index)] + grain).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def recoloured(index: int, left: int, right: int, band: int) -> np.ndarray:
    """The regions under other numbers, uint8."""
    return np.array([left, right, band], np.uint8)[made_regions(index)]


def make_cocostuff27(root: Path) -> list[str]:
    """A person (0, class 9) on the left, clouds (105, class 23) on the right."""
    names = [f"{139 + index:012}" for index in range(IMAGES)]
    for index, name in enumerate(names):
        save(root / "val2017" / f"{name}.jpg", made_image(index))
        save(root / "stuffthingmaps_trainval2017/val2017" / f"{name}.png", recoloured(index, 0, 105, 255))
    write_list(root / "Coco164kFull_Stuff_Coarse_7.txt", names)
    return names


def make_cityscapes27(root: Path) -> list[str]:
    """Road (7, class 0) on the left, a bicycle (33, class 26) on the right, the own car (1) in the band."""
    places = [("lindau", 0), ("lindau", 1), ("munster", 0)]
    names = [f"{city}/{city}_{index:06}_000019" for city, index in places]
    for index, name in enumerate(names):
        save(root / "leftImg8bit/val" / f"{name}_leftImg8bit.png", made_image(index))
        save(root / "gtFine/val" / f"{name}_gtFine_labelIds.png", recoloured(index, 7, 33, 1))
    return names


def make_coco27_panoptic(root: Path) -> list[str]:
    """Segments 70000 (class 9) and 300 (class 23)."""
    names = [f"{9 + index:012}" for index in range(IMAGES)]
    for index, name in enumerate(names):
        save(root / "images" / f"{name}.jpg", made_image(index))
        save(root / "coco27" / f"{name}.png", recoloured(index, 9, 23, 255))
        colours = np.array([[112, 17, 1], [44, 1, 0], [0, 0, 0]], np.uint8)  # 112 + 17·256 + 65536; 44 + 256
        save(root / "panoptic" / f"{name}.png", colours[made_regions(index)])
    return names


def make_voc(root: Path) -> list[str]:
    """An aeroplane (1, class 0) on the left, background (0) on the right, a border (255) in the band."""
    names = [f"2007_{33 + index:06}" for index in range(IMAGES)]
    for index, name in enumerate(names):
        save(root / f"VOCdevkit/VOC2012/JPEGImages/{name}.jpg", made_image(index))
        labels = Image.fromarray(recoloured(index, 1, 0, 255)).convert("P")
        labels.putpalette(bytes(range(256)) * 3)
        path = root / f"VOCdevkit/VOC2012/SegmentationClass/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        labels.save(path)
    write_list(root / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", names)
    return names


def make_context(root: Path) -> list[str]:
    """A bag (2, class 1) on the left, wood (59, class 58) on the right, nothing (0) in the band."""
    names = [f"2008_{2 + index:06}" for index in range(IMAGES)]
    for index, name in enumerate(names):
        save(root / f"VOCdevkit/VOC2010/JPEGImages/{name}.jpg", made_image(index))
        save(root / f"VOCdevkit/VOC2010/SegmentationClassContext/{name}.png", recoloured(index, 2, 59, 0))
    write_list(root / "VOCdevkit/VOC2010/ImageSets/SegmentationContext/val.txt", names)
    return names


def make_ade20k(root: Path) -> list[str]:
    """A wall (1, class 0) on the left, a flag (150, class 149) on the right, nothing (0) in the band."""
    names = [f"ADE_val_{1 + index:08}" for index in range(IMAGES)]
    for index, name in enumerate(names):
        save(root / f"ADEChallengeData2016/images/validation/{name}.jpg", made_image(index))
        save(root / f"ADEChallengeData2016/annotations/validation/{name}.png", recoloured(index, 1, 150, 0))
    return names


def write_list(path: Path, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def make_bsds500(root: Path, split: str | None = "val") -> list[str]:
    """Two people: one drew left, right and band, the other left and right. No split is the flat layout."""
    names = [str(101085 + index) for index in range(IMAGES)]
    for index, name in enumerate(names):
        first = made_regions(index).astype(np.uint16) + 1
        second = first.copy()
        second[:4] = second[4]
        people = np.empty((1, 2), object)
        for person, labels in enumerate((first, second)):
            borders = np.zeros_like(labels, np.uint8)
            borders[:, 1:] = labels[:, 1:] != labels[:, :-1]
            borders[1:] |= labels[1:] != labels[:-1]
            people[0, person] = {"Segmentation": labels, "Boundaries": borders}
        save(root / "images" / (split or "") / f"{name}.jpg", made_image(index))
        truth = root / "groundTruth" / (split or "") / f"{name}.mat"
        truth.parent.mkdir(parents=True, exist_ok=True)
        savemat(truth, {"groundTruth": people})
    return names


def make_folder(root: Path) -> list[str]:
    """Classes 3 and 7 as 8-bit grey, 255 in the band; one image is a JPEG."""
    return _make_whole_images(root, "labels", (3, 7, 255), first_ending="jpg")


def make_objects(root: Path) -> list[str]:
    """The right part is the object (255), and the band does not count (128)."""
    return _make_whole_images(root, "masks", (0, 255, 128))


def _make_whole_images(
    root: Path, annotations: str, values: tuple[int, int, int], first_ending: str = "png"
) -> list[str]:
    names = [f"made_{index}" for index in range(IMAGES)]
    for index, name in enumerate(names):
        ending = first_ending if index == 0 else "png"
        save(root / "images" / f"{name}.{ending}", made_image(index))
        save(root / annotations / f"{name}.png", recoloured(index, *values))
    return names


MAKERS: dict[str, Callable[[Path], list[str]]] = {
    "cocostuff27": make_cocostuff27,
    "cityscapes27": make_cityscapes27,
    "coco27-panoptic": make_coco27_panoptic,
    "voc": make_voc,
    "context": make_context,
    "coco-object": make_cocostuff27,
    "ade20k": make_ade20k,
    "bsds500": make_bsds500,
    "folder": make_folder,
    "clicks": make_objects,
    "boxes": make_objects,
}


def numbered(regions: np.ndarray, left: int, right: int, band: int) -> list[list[int]]:
    """The regions of a made image under other numbers, as nested lists."""
    numbers = {LEFT: left, RIGHT: right, BAND: band}
    return np.vectorize(numbers.get)(regions).tolist()
