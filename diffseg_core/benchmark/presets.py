"""Settings that suit an architecture, kept in a file: a preset for each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard, cast, get_args

from ..attention.layers import UNET_LAYERS, checked_layers
from ..errors import InvalidSettingError
from ..output.atomic_files import write_atomic
from ..settings import Evidence
from .choice import choose
from .results import CheckResults

FORMAT, VERSION = "diffseg-presets", 1
NOISE, THRESHOLDS = (0, 1000), (0.01, 10.0)


@dataclass(frozen=True)
class Preset:
    """What suits the models of one architecture.

    Attributes:
        architecture: its name.
        noise_level: 0..1000.
        evidence: of DiffSeg Hierarchy.
        blocks: of a transformer; None for a UNet.
        resolutions: of a UNet; None for a transformer.
        merge_threshold: of DiffSeg Segment, 0.01..10 nats; None where it was not tried.
    """

    architecture: str
    noise_level: int
    evidence: Evidence
    blocks: str | None = None
    resolutions: str | None = None
    merge_threshold: float | None = None


def preset_of(results: CheckResults) -> Preset | None:
    """The preset that a check speaks for.

    Returns:
        None where it does not: it was quick or was ended before all was tried, nothing could be measured, or
        the model is no better than colours alone.
    """
    choice = choose(results)
    whole = results.is_complete and not results.plan.is_quick
    if choice is None or not whole or not choice.beats_colours:
        return None
    is_transformer = results.model.is_transformer
    return Preset(
        architecture=results.model.architecture,
        noise_level=cast(int, choice.trial.capture.noise_level),
        evidence=choice.trial.evidence or "automatic",
        blocks=choice.trial.capture.layers if is_transformer else None,
        resolutions=None if is_transformer else "all",
        merge_threshold=choice.merge_threshold,
    )


def read_presets(path: Path) -> dict[str, Preset]:
    """The presets of a file, by the architectures' names; none where there is no file.

    Raises:
        InvalidSettingError: it cannot be read, or is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _damaged(path, f"no JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _damaged(path, "another kind of file")
    if content.get("version") != VERSION:
        raise InvalidSettingError(
            f"Expected version {VERSION} of DiffSeg's presets in {path}, got {content.get('version')!r:.40}: "
            "it was written by another release of DiffSeg. Use that one, or make the check anew after moving "
            "the file away."
        )
    presets = content.get("presets")
    if not isinstance(presets, dict):
        raise _damaged(path, "no presets")
    try:
        return {name: _checked(name, values) for name, values in presets.items()}
    except InvalidSettingError as error:
        raise _damaged(path, str(error)) from error


def write_preset(path: Path, preset: Preset) -> None:
    """Add a preset to a file, in place of one of the same architecture; the others stay.

    Raises:
        InvalidSettingError: the file is there and damaged.
        OSError: it cannot be written.
    """
    presets = {**read_presets(path), preset.architecture: preset}
    told = {name: _without_name(each) for name, each in sorted(presets.items())}
    content = {"format": FORMAT, "version": VERSION, "presets": told}
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())


def _without_name(preset: Preset) -> dict[str, Any]:
    return {name: value for name, value in asdict(preset).items() if name != "architecture"}


def _checked(name: str, values: Any) -> Preset:
    if not isinstance(values, Mapping):
        raise InvalidSettingError(f"no settings for {name}")
    level, threshold = values.get("noise_level"), values.get("merge_threshold")
    evidence, resolutions = values.get("evidence"), values.get("resolutions")
    blocks = values.get("blocks")
    if not _is_number(level, *NOISE) or level != round(level):
        raise InvalidSettingError(f"no noise level from 0 to 1000 for {name}, but {level!r:.40}")
    if evidence not in get_args(Evidence):
        raise InvalidSettingError(f"an unknown evidence for {name}, {evidence!r:.40}")
    if resolutions is not None and resolutions not in UNET_LAYERS:
        raise InvalidSettingError(f"unknown resolutions for {name}, {resolutions!r:.40}")
    if threshold is not None and not _is_number(threshold, *THRESHOLDS):
        raise InvalidSettingError(f"no merge threshold from 0.01 to 10 for {name}, but {threshold!r:.40}")
    if blocks is not None:
        if not isinstance(blocks, str):
            raise InvalidSettingError(f"no text for the blocks of {name}, but {blocks!r:.40}")
        checked_layers(blocks)
    return Preset(name, round(level), cast(Evidence, evidence), blocks, resolutions, threshold)


def _is_number(value: Any, lowest: float, highest: float) -> TypeGuard[float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and lowest <= value <= highest


def _damaged(path: Path, found: str) -> InvalidSettingError:
    return InvalidSettingError(
        f"Expected DiffSeg's presets in {path}, got {found}. Mend the file, or delete it: a check of a model "
        "writes it anew."
    )
