"""Images at their own size: BSDS500, and a person's own, with label maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from ..types import VOID, AnnotatedImage, Measure
from .files import Source, consecutive_labels

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

SOURCE = Source(
    "A folder",
    f"ROOT/images/NAME ({', '.join(IMAGE_ENDINGS)}) and ROOT/labels/NAME.png (8-bit grey or palette "
    "indices), under the same names and of the same size",
    "Any annotation tool that saves one value for each class makes such label maps.",
)
OF_BSDS500 = Source(
    "BSDS500",
    "ROOT/images/SPLIT/*.jpg and ROOT/groundTruth/SPLIT/*.mat, where ROOT is BSR/BSDS500/data (or without "
    "folders for splits)",
    "BSR_bsds500.tgz is at http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html.",
)


class Bsds500:
    """The Berkeley Segmentation Data Set (Arbeláez et al., TPAMI 2011), whole images at their own size.

    Args:
        root: ``BSR/BSDS500/data`` of the download, or a folder with ``images/*.jpg`` and
            ``groundTruth/*.mat``.
        split: "train", "val" or "test". None is "val", or all of a folder without splits.

    Raises:
        DatasetError: there are no photographs, or an annotation is missing.
    """

    measures: frozenset[Measure] = frozenset({"annotators", "boundaries"})
    class_names: tuple[str, ...] = ()

    def __init__(self, root: Path, split: str | None = None) -> None:
        has_splits = split is not None or (root / "images" / "val").is_dir()
        folder = (split or "val") if has_splits else ""
        self._images, self._truths = root / "images" / folder, root / "groundTruth" / folder
        self.names = tuple(path.stem for path in OF_BSDS500.find_files(self._images, "*.jpg"))
        OF_BSDS500.require_files(self._truths / f"{name}.mat" for name in self.names)

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its number, such as "101085", and everybody's segments and boundaries.

        Raises:
            DatasetError: a file cannot be read, or sizes differ.
        """
        image = OF_BSDS500.read_image(self._images / f"{name}.jpg")
        path = self._truths / f"{name}.mat"
        people = _read_people(path)
        for drawn in (drawn for person in people for drawn in person):
            OF_BSDS500.require_size(drawn, image, path)
        segments = tuple(consecutive_labels(segmentation.astype(np.int32)) for segmentation, _ in people)
        boundaries = tuple(drawn.astype(np.bool_) for _, drawn in people)
        return AnnotatedImage(name, image, None, segments, boundaries)


def _read_people(path: Path) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Segmentation, from 1 up, and boundaries, 0 or 1, of every person."""
    with OF_BSDS500.reading(path, "segmentations"):
        drawings = loadmat(path)["groundTruth"].ravel()
        return [(person["Segmentation"][0, 0], person["Boundaries"][0, 0]) for person in drawings]


class Folder:
    """Images at their own size, with label maps whose values are classes, the same in every image.

    Each value is also taken for one true segment, in however many pieces. Every label map is read when the
    folder is opened, to know its classes: those that occur anywhere, in ascending order of their values,
    which are their names.

    Args:
        root: holds ``images/NAME.jpg`` (or another ending) and ``labels/NAME.png``; label maps without an
            image are not looked at.
        void: the value of what is not annotated, 0..255. None: every pixel is annotated.

    Raises:
        DatasetError: there are no images, two of one name, or nothing is annotated; a label map is missing,
            no grey of 8 bits, or cannot be read.
    """

    measures: frozenset[Measure] = frozenset({"classes", "segments"})

    def __init__(self, root: Path, void: int | None = None) -> None:
        self._void = void
        self._images, self._labels = images_beside(root, "labels", SOURCE)
        self.names = tuple(self._labels)
        values: set[int] = set()
        for path in self._labels.values():
            values.update(np.unique(SOURCE.read_labels(path)).tolist())
        annotated = sorted(values - {void})
        if not annotated:
            raise SOURCE.error(f"Expected other values than {void}, which is void, in {root}/labels/*.png.")
        self.class_names: Sequence[str] = tuple(map(str, annotated))
        self._classes = dict.fromkeys(values, VOID) | {value: i for i, value in enumerate(annotated)}

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its file's name without the ending.

        Raises:
            DatasetError: a file cannot be read, sizes differ, or a class is there that was not when the
                folder was opened.
        """
        image, path = SOURCE.read_image(self._images[name]), self._labels[name]
        values = SOURCE.read_labels(path, image)
        classes = SOURCE.to_classes(values, self._classes, path)
        return AnnotatedImage(name, image, classes, (consecutive_labels(values, self._void),))


def images_beside(root: Path, annotations: str, source: Source) -> tuple[dict[str, Path], dict[str, Path]]:
    """The images of ``images/`` and the PNGs of another folder, by the images' sorted names."""
    images: dict[str, Path] = {}
    for path in source.find_files(root / "images", "*"):
        if path.suffix.lower() not in IMAGE_ENDINGS:
            continue
        if path.stem in images:
            raise source.error(f"Expected one image of every name, got {images[path.stem]} and {path}.")
        images[path.stem] = path
    beside = {name: root / annotations / f"{name}.png" for name in sorted(images)}
    source.require_files(beside.values())
    return images, beside
