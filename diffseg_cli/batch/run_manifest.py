"""The settings of a run, kept in its folder: results of different settings must not lie side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import write_atomic

Settings = Mapping[str, Any]
"""By name, as people know them; what JSON can hold."""


def write_run_manifest(
    path: Path, kind: str, version: int, settings: Settings, images: Sequence[str] | None = None
) -> None:
    """Keep the settings of a run.

    Args:
        path: of the file.
        kind, version: of its content.
        settings: of the run.
        images: their names in the order of their numbers, where the run numbers them.

    Raises:
        OSError: it cannot be written.
    """
    kept: dict[str, Any] = {"format": kind, "version": version, "settings": settings}
    if images is not None:
        kept["pictures"] = list(images)
    write_atomic(path, (json.dumps(kept, indent=1) + "\n").encode())


def read_run_manifest(path: Path, kind: str, version: int) -> Settings | None:
    """The settings of an earlier run; None if there was none.

    Args:
        path: of the file.
        kind, version: what its content must be.

    Raises:
        InvalidSettingError: it holds something else.
    """
    content = _read(path, kind, version)
    found: Settings | None = content and content["settings"]
    return found


def read_image_names(path: Path, kind: str, version: int) -> list[str]:
    """The names of the images that earlier runs numbered, in the order of their numbers, from 1 on.

    Args, Raises: as of `read_run_manifest`.
    """
    content = _read(path, kind, version) or {}
    return list(content.get("pictures", []))


def _read(path: Path, kind: str, version: int) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["settings"]
        is_known = (content["format"], content["version"]) == (kind, version)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidSettingError(f"Expected the settings of a run in {path}, got {error!r}.") from error
    if not is_known:
        raise InvalidSettingError(
            f"Expected {kind} of version {version} in {path}, got {content['format']} of version "
            f"{content['version']}. Choose another folder."
        )
    return content


def describe_changes(before: Settings, now: Settings) -> str:
    """What differs, human-readable; empty if nothing does."""
    return "; ".join(
        f"{name.replace('_', ' ')} {before.get(name)} there, {now.get(name)} now"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    )
