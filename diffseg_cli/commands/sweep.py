"""Several values of one of DiffSeg's settings."""

from __future__ import annotations

import argparse
import copy
from dataclasses import fields
from typing import NoReturn

from diffseg_core.errors import InvalidSettingError

from ..batch.settings import MergeSettings, NestedSettings, SegmentSettings
from . import options


def segment_sweep(args: argparse.Namespace) -> dict[str, SegmentSettings]:
    """DiffSeg's settings at every value of ``--sweep``, such as ``merge_threshold=0.3,0.45``.

    Args:
        args: with the options of `options.add_segment_options`, and ``sweep``, which may be None.

    Returns:
        the settings by the names under which they are recorded, such as "merge_threshold=0.3"; by "" without
        a sweep.

    Raises:
        InvalidSettingError: an unknown setting, or a value outside the range of its option.
    """
    if args.sweep is None:
        return {"": options.segment_settings(args)}
    parser = _SweepParser(args.sweep)
    options.add_segment_options(parser)
    name, _, values = args.sweep.partition("=")
    name = name.strip().replace("-", "_")
    if name not in _known_settings() or not values.strip():
        parser.error(f"a setting is one of {', '.join(_known_settings())}")
    sweep = {}
    for value in values.split(","):
        option = f"--{name.replace('_', '-')}={value.strip()}"
        settings = options.segment_settings(parser.parse_args([option], copy.copy(args)))
        sweep[f"{name}={settings.to_dict()[name]}"] = settings
    return sweep


class _SweepParser(argparse.ArgumentParser):
    """Reads one option; raises where others would end the process."""

    def __init__(self, sweep: str) -> None:
        super().__init__(add_help=False)
        self._sweep = sweep

    def error(self, message: str) -> NoReturn:
        raise InvalidSettingError(
            f"Expected a sweep such as merge_threshold=0.3,0.45, got {self._sweep!r}: {message.rstrip('.')}."
        )


def _known_settings() -> list[str]:
    known = [field.name for kind in (MergeSettings, NestedSettings) for field in fields(kind)]
    return ["granularity" if name == "number" else name for name in known if name != "neighbours_only"]
