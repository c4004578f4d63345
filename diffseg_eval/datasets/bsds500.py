"""BSDS500: photographs that four to nine people each divided into segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from ..types import AnnotatedImage, Measure
from .files import Source, consecutive_labels

SOURCE = Source(
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
        self.names = tuple(path.stem for path in SOURCE.find_files(self._images, "*.jpg"))
        SOURCE.require_files(self._truths / f"{name}.mat" for name in self.names)

    def load(self, name: str) -> AnnotatedImage:
        """Read one image by its number, such as "101085", and everybody's segments and boundaries.

        Raises:
            DatasetError: a file cannot be read, or sizes differ.
        """
        image = SOURCE.read_image(self._images / f"{name}.jpg")
        path = self._truths / f"{name}.mat"
        people = _read_people(path)
        for drawn in (drawn for person in people for drawn in person):
            SOURCE.require_size(drawn, image, path)
        segments = tuple(consecutive_labels(segmentation.astype(np.int32)) for segmentation, _ in people)
        boundaries = tuple(drawn.astype(np.bool_) for _, drawn in people)
        return AnnotatedImage(name, image, None, segments, boundaries)


def _read_people(path: Path) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Segmentation, from 1 up, and boundaries, 0 or 1, of every person."""
    try:
        drawings = loadmat(path)["groundTruth"].ravel()
        people = [(person["Segmentation"][0, 0], person["Boundaries"][0, 0]) for person in drawings]
    except FileNotFoundError:
        raise SOURCE.error(f"Expected {path}, which is missing.") from None
    except Exception as error:  # loadmat tells of damaged files by a dozen kinds of error.
        raise SOURCE.error(f"Expected segmentations in {path}, which cannot be read: {error}") from error
    return people
