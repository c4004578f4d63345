"""The results of a run as files, and their way back into a comparison."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import write_atomic

from .evaluation_run import FORMAT, RESULTS_FILE, VERSION, EvaluationSettings
from .results import Results
from .table import results_table
from .types import Dataset, Measure

CSV_FILE, TABLE_FILE = "pictures.csv", "table.md"
PACKAGES = ("diffseg", "torch", "numpy", "scipy", "scikit-image", "pillow", "diffusers")


@dataclass(frozen=True)
class MeasuredRun:
    """What a finished run says of itself.

    Attributes:
        folder: of the run.
        dataset: name of its dataset, its ``void`` value, and the names of its classes.
        groups: what was measured.
        images: names of those that are in the results, in order.
    """

    folder: Path
    dataset: Mapping[str, Any]
    groups: frozenset[Measure]
    images: tuple[str, ...]

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.dataset["class_names"])


def write_results(
    folder: Path,
    results: Results,
    settings: EvaluationSettings,
    dataset: Dataset,
    missing: Sequence[str] = (),
) -> str:
    """Write ``results.json``, ``pictures.csv`` and ``table.md``.

    Args:
        folder: of the run.
        results: of the images that were measured.
        settings: of the run.
        dataset: of which the images are.
        missing: names of images that should have been measured too.

    Returns:
        the table with a line on the images above it, as in ``table.md``.

    Raises:
        OSError: a file cannot be written.
    """
    total = len(results.records) + len(missing)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "dataset": {
            "name": settings.dataset.name,
            "void": settings.dataset.void,
            "class_names": list(dataset.class_names),
        },
        "measures": sorted(results.groups),
        "settings": settings.to_dict(),
        "pictures": [record.image for record in results.records],
        "missing": list(missing),
        **results.as_json(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {package: _version(package) for package in PACKAGES},
        "machine": _machine(),
    }
    lacking = f" of {total:,}; {len(missing):,} failed" if missing else ""
    heading = f"{settings.dataset.name}, {len(results.records):,} images{lacking}"
    text = f"{heading}\n\n{results_table(results)}\n"
    write_atomic(folder / CSV_FILE, results.as_csv().encode())
    write_atomic(folder / TABLE_FILE, text.encode())
    write_atomic(folder / RESULTS_FILE, (json.dumps(content, indent=1) + "\n").encode())
    return text


def read_run(folder: Path) -> MeasuredRun:
    """What a run measured.

    Raises:
        InvalidSettingError: the folder is no run's, or the run is not finished.
    """
    path = folder / RESULTS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{content['format']} of version {content['version']}")
        groups = frozenset(content["measures"])
        return MeasuredRun(folder, content["dataset"], groups, tuple(content["pictures"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSettingError(
            f"Expected the results of diffseg evaluate in {path}, got {error!r}. A run has them when it is "
            "finished; the same command finishes it."
        ) from error


def _version(package: str) -> str | None:
    """None of what is not installed as a package, such as DiffSeg in a clone."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    """Where the results were put together; on a cluster the images may have been measured elsewhere."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
