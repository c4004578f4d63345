"""The settings of a run, kept in its folder: results of different settings must not lie side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import write_atomic

Settings = Mapping[str, Any]
"""By name, as people know them; what JSON can hold."""


@dataclass(frozen=True)
class RunManifest:
    """The file of a run's settings. What it reads is an InvalidSettingError where it holds something else.

    Attributes:
        path: of the file.
        kind, version: of its content.
    """

    path: Path
    kind: str
    version: int

    def write(self, settings: Settings, images: Sequence[str] | None = None) -> None:
        """Keep the settings, and the images' names in the order of their numbers where the run numbers them.

        Raises:
            OSError: it cannot be written.
        """
        content: dict[str, Any] = {"format": self.kind, "version": self.version, "settings": settings}
        if images is not None:
            content["pictures"] = list(images)
        write_atomic(self.path, (json.dumps(content, indent=1) + "\n").encode())

    @property
    def settings(self) -> Settings | None:
        """Those of an earlier run; None if there was none."""
        content = self._read()
        settings: Settings | None = content and content["settings"]
        return settings

    @property
    def images(self) -> list[str]:
        """The names of the images that earlier runs numbered, in the order of their numbers, from 1 on."""
        return list((self._read() or {}).get("pictures", []))

    def refuse_changes(self, now: Settings, remedy: str) -> None:
        """Refuse other settings than an earlier run's, if there was one.

        Raises:
            InvalidSettingError: what differs, and the remedy.
        """
        before = self.settings
        if before is None or before == now:
            return
        changes = "; ".join(
            f"{name.replace('_', ' ')} {before.get(name)} there, {now.get(name)} now"
            for name in {**before, **now}
            if before.get(name) != now.get(name)
        )
        raise InvalidSettingError(
            f"Expected the settings of the run in {self.path.parent}, got others: {changes}. Choose another "
            f"--out, or --overwrite to {remedy}."
        )

    def _read(self) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            content["settings"]
            form = (content["format"], content["version"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            form = (type(error).__name__, str(error))
        if form != (self.kind, self.version):
            raise InvalidSettingError(
                f"Expected the settings of a run ({self.kind}, version {self.version}) in {self.path}, got "
                f"{form[0]}, {form[1]}. Choose another folder."
            )
        return content
