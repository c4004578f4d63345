"""BSDS500: photographs that four to nine people each divided into segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from diffseg_core.errors import InvalidSettingError

from ..types import AnnotatedImage, Measure
from .files import Source, consecutive_labels, visible_files

SPLITS = ("train", "val", "test")
DATA_FOLDERS = ("BSR/BSDS500/data", "BSDS500/data", "data", "")

SOURCE = Source(
    "BSDS500",
    "ROOT/BSR/BSDS500/data/images/SPLIT/*.jpg and ROOT/BSR/BSDS500/data/groundTruth/SPLIT/*.mat "
    "(or ROOT/images/*.jpg and ROOT/groundTruth/*.mat, without splits)",
    "BSR_bsds500.tgz is at http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html.",
)


class Bsds500:
    """The Berkeley Segmentation Data Set (Arbeláez et al., TPAMI 2011), whole images at their own size.

    Args:
        root: the unpacked download, a folder inside it down to ``data``, or a folder with ``images/*.jpg``
            and ``groundTruth/*.mat``.
        split: one of `SPLITS`. None is "val", or all of a folder without splits.

    Raises:
        DatasetError: there are no photographs, or an annotation is missing.
        InvalidSettingError: another split.
    """

    measures: frozenset[Measure] = frozenset({"annotators", "boundaries"})
    class_names: tuple[str, ...] = ()

    def __init__(self, root: Path, split: str | None = None) -> None:
        if split is not None and split not in SPLITS:
            raise InvalidSettingError(f"Expected a split of {', '.join(SPLITS)}, got {split!r}.")
        folders = [f"{data}/images/{split or 'val'}".lstrip("/") for data in DATA_FOLDERS]
        if split is None:
            folders.append("images")
        self._images = SOURCE.find_folder(root, folders, "*.jpg")
        if self._images.name == "images":
            self._truths = self._images.parent / "groundTruth"
        else:
            self._truths = self._images.parents[1] / "groundTruth" / self._images.name
        self.names = tuple(path.stem for path in visible_files(self._images, "*.jpg"))
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
        people = [(one["Segmentation"][0, 0], one["Boundaries"][0, 0]) for one in drawings]
    except FileNotFoundError:
        raise SOURCE.error(f"Expected {path}, which is missing.") from None
    except Exception as error:  # loadmat tells of damaged files by a dozen kinds of error.
        raise SOURCE.error(f"Expected segmentations in {path}, which cannot be read: {error}") from error
    if not people:
        raise SOURCE.error(f"Expected segmentations by one person or more in {path}, got none.")
    return people
