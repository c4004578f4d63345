"""The folder of a run: a run that is cut off goes on where it stopped.

evaluation.json     the settings; a run with others is refused
pictures/NAME.json  what was measured of each image; a "/" in its name makes a folder
results.json, pictures.csv, table.md    what that makes, see `results`
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffseg_cli.batch.run_manifest import RunManifest
from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import remove_leftovers, write_atomic

from .measures import Measurements
from .types import DatasetError

FORMAT, VERSION = "diffseg-evaluation", 2


@dataclass(frozen=True)
class ImageRecord:
    """What was measured of one image.

    Attributes:
        image: its name.
        rows: what `measures.measure` gave, by the method's name.
        seconds: what one segmentation took, the capture of attention included, by the method's name.
    """

    image: str
    rows: Mapping[str, Measurements]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class RunFolder:
    """A run's files."""

    path: Path

    def prepare(
        self, settings: Mapping[str, Any], images: Sequence[str], overwrite: bool = False
    ) -> list[str]:
        """Make the folder ready for a run; it is created.

        Args:
            settings: of the run; written where none are.
            images: names.
            overwrite: forget an earlier run in the folder.

        Returns:
            the names of the images that are yet to be measured.

        Raises:
            InvalidSettingError: the folder is of a run with other settings, is no run's, or cannot be
                written.
        """
        manifest = RunManifest(self.path / "evaluation.json", FORMAT, VERSION)
        try:
            if manifest.settings is None and self._records.exists():
                raise InvalidSettingError(
                    f"Expected {manifest.path.name} beside {self._records}: it says with what settings those "
                    "were made. Choose another --out."
                )
            if overwrite:
                for path in (*self._records.rglob("*.json"), self.results):
                    path.unlink(missing_ok=True)
            else:
                manifest.refuse_changes(settings, "measure all images again")
            self.remove_leftovers(images)
            manifest.write(settings)
        except OSError as error:
            raise InvalidSettingError(
                f"Expected a folder that can be written, got {self.path}: {error}."
            ) from error
        return [image for image in images if not self._file(image).exists()]

    def write(self, record: ImageRecord) -> None:
        """Write a record whole or not at all, replacing one of the same image.

        Raises:
            OSError: it cannot be written.
        """
        write_atomic(self._file(record.image), json.dumps(asdict(record)).encode())

    def read(self, image: str) -> ImageRecord:
        """The record of an image.

        Raises:
            DatasetError: there is none, or the file is not one.
        """
        path = self._file(image)
        try:
            record = ImageRecord(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(
                f"Expected the record of an image in {path}, got {error!r}. Remove the file, and evaluate "
                "again: only what is missing is done."
            ) from error
        return record

    def remove_leftovers(self, images: Iterable[str]) -> None:
        """Remove temporary files that killed workers left beside the records; none may be at work."""
        for folder in {self._file(image).parent for image in images}:
            remove_leftovers(folder)

    @property
    def results(self) -> Path:
        """The file of the metrics; it is there when the run is finished."""
        return self.path / "results.json"

    @property
    def _records(self) -> Path:
        return self.path / "pictures"

    def _file(self, image: str) -> Path:
        return self._records / f"{image}.json"
