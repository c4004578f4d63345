"""What a run keeps of every image, in a file of its own: a run that is cut off goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffseg_core.output.atomic_files import remove_leftovers, write_atomic

from .measures import Measurements
from .types import DatasetError


@dataclass(frozen=True)
class ImageRecord:
    """What was measured of one image.

    Attributes:
        image: its name.
        size: height and width at which it was measured, pixels.
        rows: what `measures.measure` gave, by the method's name and the setting's ("" where there is one).
        seconds: what one segmentation took, the capture of attention included, by the method's name.
    """

    image: str
    size: tuple[int, int]
    rows: Mapping[str, Mapping[str, Measurements]]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class RecordFolder:
    """The records of a run, ``NAME.json`` each; a "/" in an image's name makes a folder.

    Attributes:
        path: of the folder.
    """

    path: Path

    def write(self, record: ImageRecord) -> None:
        """Write a record whole or not at all, replacing one of the same image.

        Raises:
            OSError: it cannot be written.
        """
        content = {
            "picture": record.image,
            "size": record.size,
            "rows": record.rows,
            "seconds": record.seconds,
        }
        write_atomic(self._file(record.image), json.dumps(content).encode())

    def has(self, image: str) -> bool:
        """Whether there is a record of this image."""
        return self._file(image).exists()

    def read(self, image: str) -> ImageRecord:
        """The record of an image.

        Raises:
            DatasetError: there is none, or the file is not one.
        """
        path = self._file(image)
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            height, width = content.pop("size")
            content["image"] = content.pop("picture")
            return ImageRecord(size=(height, width), **content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"Expected the record of an image in {path}, got {error!r}. Remove the file, and evaluate "
                "again: only what is missing is done."
            ) from error

    def remove_leftovers(self, images: Iterable[str]) -> None:
        """Remove temporary files that killed workers left beside the records of these images.

        None may be at work.
        """
        for folder in {self._file(image).parent for image in images}:
            remove_leftovers(folder)

    def clear(self) -> None:
        """Remove all records."""
        for path in self.path.rglob("*.json"):
            path.unlink()

    def _file(self, image: str) -> Path:
        return self.path / f"{image}.json"
