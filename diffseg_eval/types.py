"""What a dataset gives: images with the segments, classes and borders that people drew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from diffseg_core.benchmark.clicks import Bitmap, Truth
from diffseg_core.benchmark.measures import VOID as VOID
from diffseg_core.errors import DiffSegError
from diffseg_core.objects.prompts import Prompt


class DatasetError(DiffSegError, OSError):
    """A dataset whose files are missing, or not what they should be."""


LabelMap = npt.NDArray[np.int32]
"""``[H, W]``, labels from 0 up, `VOID` where there is none."""

Measure = Literal["classes", "background", "named", "segments", "annotators", "boundaries", "clicks", "boxes"]
"""A group of measures that a dataset's annotations allow, see `measures.measure`. Of classes there are three:
"background" where the last class is one (`match_with_background`), "named" of a method whose labels are
classes themselves, and "classes" for all else."""

Finder = Callable[[Sequence[Prompt]], Bitmap]
"""From all prompts so far to the object."""


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """One image as every method sees it, and its annotations at the same size.

    Attributes:
        name: unique in its dataset; may hold "/" where the dataset has folders.
        pixels: mode RGB.
        classes: class of every pixel, 0..C-1; None where the dataset has no classes. With a "background"
            it is C-1.
        segments: one true segmentation for each person who drew one; a panoptic annotation is one of one.
        boundaries: bool ``[H, W]`` for each person, one pixel wide; only of a dataset with "boundaries".
        object: only of a dataset with "clicks" or "boxes".
    """

    name: str
    pixels: Image.Image
    classes: LabelMap | None = None
    segments: tuple[LabelMap, ...] = ()
    boundaries: tuple[npt.NDArray[np.bool_], ...] = ()
    object: Truth | None = None


class Dataset(Protocol):
    """Annotated images in a fixed order."""

    @property
    def measures(self) -> frozenset[Measure]:
        """What is measured on it."""

    @property
    def class_names(self) -> Sequence[str]:
        """C names; empty where there are no classes."""

    @property
    def names(self) -> Sequence[str]:
        """The images' names, in order."""

    def load(self, name: str) -> AnnotatedImage:
        """Read one image.

        Raises:
            DatasetError: a file is missing or not what it should be; says which, and where to get it.
        """
