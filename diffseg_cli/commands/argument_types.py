"""Types of argparse: what reads the text of an option, or says what it should be."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from diffseg_core.attention.layers import checked_layers
from diffseg_core.checks import Number
from diffseg_core.errors import InvalidSettingError
from diffseg_core.settings import NUMBER

HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z])")
WHOLE_TEXT = re.compile(r"[+-]?[0-9]+")
NUMBER_TEXT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """Whole numbers of a range, of what is the command's own."""

    def parse(text: str) -> int:
        value = int(text) if WHOLE_TEXT.fullmatch(text.strip()) else None
        if value is None or not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {lowest} to {highest}, got {text!r}"
            )
        return value

    return parse


def granularity(text: str) -> int:
    """A number of segments; 0 stands for "auto"."""
    return 0 if text == "auto" else int(entered(NUMBER)(text))


def entered(setting: Number) -> Callable[[str], Any]:
    """Numbers that a setting may be, a share in percent; refused in the setting's own words."""

    def parse(text: str) -> Any:
        value: Any = text
        if NUMBER_TEXT.fullmatch(text.strip()):
            value = int(text) if WHOLE_TEXT.fullmatch(text.strip()) else float(text)
        try:
            if not setting.is_share:
                return setting.checked(value)
            setting.checked_percent(value)
        except InvalidSettingError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return float(value)

    return parse


def layers(text: str) -> str:
    """Which layers, see `CaptureSettings`; words may have hyphens between."""
    choice = HYPHEN.sub(" ", text)
    try:
        return checked_layers(choice)
    except InvalidSettingError as error:
        raise argparse.ArgumentTypeError(f"{error}") from error
