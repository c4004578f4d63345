"""The presets that checks of models leave in ComfyUI's user folder."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..diffseg_core import InvalidSettingError
from ..diffseg_core.benchmark.presets import Preset, read_presets, write_preset

FILE = "diffseg_presets.json"


def presets_path() -> Path:
    """Where they are kept."""
    return Path(folder_paths.get_user_directory()) / FILE


def required_preset(architecture: str) -> Preset:
    """The preset of an architecture, see `comfy_capture.architecture_name`.

    Raises:
        InvalidSettingError: there is none, or the file is damaged.
    """
    presets = read_presets(presets_path())
    if architecture not in presets:
        known = f" (there are some for {', '.join(presets)})" if presets else ""
        raise InvalidSettingError(
            f"Expected a preset for {architecture}, got none{known}. Run DiffSeg Check Model with this "
            "model, or have the settings as set."
        )
    return presets[architecture]


def presets_text() -> str:
    """What the file holds; nothing where it cannot be read."""
    try:
        return presets_path().read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def keep_preset(preset: Preset) -> None:
    """Keep a preset, in place of one of the same architecture.

    Raises:
        InvalidSettingError: the file is damaged.
        OSError: it cannot be written.
    """
    write_preset(presets_path(), preset)
