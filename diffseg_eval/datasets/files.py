"""A dataset's files: found before anything is run on them, and read, or refused with what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from diffseg_core.plain_text import read_plain_text

from ..types import VOID, DatasetError, LabelMap

GREY = frozenset({"1", "L", "P"})
"""Pillow's modes of label files with one value of at most 8 bits per pixel; of a palette, the index."""
COLOUR = frozenset({"RGB"})
"""An id in the colours, as in COCO's panoptic format: R + 256 G + 65536 B."""


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from, for every error about its files. All methods raise `DatasetError`.

    Attributes:
        name: of the dataset, human-readable.
        layout: its files below the root folder.
        download: where to get it, in whole sentences.
    """

    name: str
    layout: str
    download: str

    def error(self, problem: str) -> DatasetError:
        """The problem, in whole sentences, with the layout that is expected and where to get the files."""
        return DatasetError(f"{problem}\n{self.name} is read as {self.layout}.\n{self.download}")

    @contextmanager
    def reading(self, path: Path, content: str) -> Iterator[None]:
        """Say of a file that is missing, or without the content, what was expected there."""
        try:
            yield
        except FileNotFoundError:
            raise self.error(f"Expected {path}, which is missing.") from None
        except Exception as error:  # readers raise nearly anything on damaged files
            raise self.error(f"Expected {content} in {path}, which cannot be read: {error}.") from error

    def find_files(self, folder: Path, pattern: str) -> list[Path]:
        """The files of that pattern in order, at least one, without hidden ones such as macOS leaves."""
        files = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
        if not files:
            raise self.error(f"Expected {pattern} in {folder}, found none.")
        return files

    def require_files(self, paths: Iterable[Path]) -> None:
        """Refuse a dataset that lacks one of these files. Lists each folder once, for slow disks."""
        present: dict[Path, set[str]] = {}
        missing = []
        for path in paths:
            folder = path.parent
            if folder not in present:
                present[folder] = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
            if path.name not in present[folder]:
                missing.append(path)
        if missing:
            more = f", and {len(missing) - 1} other files" if len(missing) > 1 else ""
            raise self.error(f"Expected {missing[0]}, which is missing{more}.")

    def read_list(self, path: Path) -> tuple[str, ...]:
        """The names of photographs in a file, one a line."""
        with self.reading(path, "names"):
            return tuple(read_plain_text(path).split())

    def read_image(self, path: Path) -> Image.Image:
        """An image as 8-bit RGB, in the orientation of its pixels.

        A camera's orientation tag is not followed: annotations lie on the pixels as they are stored.
        """
        image = self._open(path)
        if image.mode.startswith(("I", "F")):
            raise self.error(f"Expected an image of 8 bits per channel in {path}, got mode {image.mode}.")
        return image.convert("RGB")

    def read_labels(
        self, path: Path, image: Image.Image | None = None, kind: frozenset[str] = GREY
    ) -> LabelMap:
        """The values of a label file, ``[H, W]`` from 0 up; of COLOUR, the ids.

        Args:
            path: of a PNG.
            image: whose size it must have.
            kind: GREY or COLOUR.
        """
        labels = self._open(path)
        if labels.mode not in kind:
            expected = "8-bit grey or palette indices" if kind == GREY else "RGB"
            raise self.error(f"Expected labels as {expected} in {path}, got mode {labels.mode}.")
        values = np.array(labels).astype(np.int32)
        if kind == COLOUR:
            values = values @ np.array([1, 256, 256**2], np.int32)
        if image is not None:
            self.require_size(values, image, path)
        return values

    def require_size(self, labels: npt.NDArray[Any], image: Image.Image, path: Path) -> None:
        """Refuse an annotation that is not of its image's size."""
        if labels.shape != (image.height, image.width):
            expected = f"{image.width}×{image.height} pixels, its image's size"
            got = "×".join(map(str, labels.shape[::-1]))
            raise self.error(f"Expected an annotation of {expected}, in {path}, got {got}.")

    def to_classes(self, values: LabelMap, table: Mapping[int, int], path: Path) -> LabelMap:
        """Classes of the values in a file.

        Args:
            values: ``[H, W]``, 0..255.
            table: the class of every value that may be there, `VOID` included.
            path: of the file.
        """
        unexpected = sorted(set(np.unique(values).tolist()) - table.keys())
        if unexpected:
            values_there = ", ".join(map(str, unexpected))
            raise self.error(f"Expected no other values than those of classes in {path}, got {values_there}.")
        lookup = np.full(256, VOID, np.int32)
        lookup[list(table)] = list(table.values())
        return lookup[values]

    def _open(self, path: Path) -> Image.Image:
        with self.reading(path, "an image"), Image.open(path) as file:
            file.load()
            return file.copy()


def consecutive_labels(values: LabelMap, void: int | None = None) -> LabelMap:
    """The same regions under 0, 1, 2 … in ascending order of their values; `VOID` where the value is void.

    >>> import numpy as np
    >>> consecutive_labels(np.array([[300, 0, 7]], np.int32), void=0)
    array([[ 1, -1,  0]], dtype=int32)
    """
    is_annotated = np.ones(values.shape, np.bool_) if void is None else values != void
    labels = np.full(values.shape, VOID, np.int32)
    labels[is_annotated] = np.unique(values[is_annotated], return_inverse=True)[1]
    return labels
