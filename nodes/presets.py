"""The presets that checks of models leave in ComfyUI's user folder."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..diffseg_core.checking.presets import Preset, read_presets, write_preset

FILE = "diffseg_presets.json"


def presets_path() -> Path:
    """Where they are kept."""
    return Path(folder_paths.get_user_directory()) / FILE


def preset_for(architecture_name: str) -> Preset | None:
    """The preset of an architecture, see `comfy_check.architecture_name`; None where there is none.

    Raises:
        InvalidSettingError: the file is damaged.
    """
    return read_presets(presets_path()).get(architecture_name)


def keep_preset(preset: Preset) -> None:
    """Keep a preset, in place of one of the same architecture.

    Raises:
        InvalidSettingError: the file is damaged.
        OSError: it cannot be written.
    """
    write_preset(presets_path(), preset)
