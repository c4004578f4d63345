"""Types of argparse: what reads the text of an option, or says what it should be."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from diffseg_core.attention.blocks import MIDDLE_THIRD, check_blocks
from diffseg_core.errors import InvalidSettingError

from ..batch.settings import NestedSettings, range_of


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """Whole numbers of a range."""
    return _in_range(int, "a whole number", lowest, highest)


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """Numbers of a range."""
    return _in_range(float, "a number", lowest, highest)


def granularity(text: str) -> int:
    """A number of segments; 0 stands for "auto"."""
    return 0 if text == "auto" else whole(*map(int, range_of(NestedSettings, "number")))(text)


def working_size(text: str) -> int:
    """A side in pixels; 0 stands for the model's own."""
    return 0 if text == "0" else whole(64, 4096)(text)


def hyphenated(text: str) -> str:
    """A choice of several words."""
    return text.replace(" ", "-")


def blocks(text: str) -> str:
    """Which of a transformer's blocks; see `choose_blocks`."""
    choice = text.replace(hyphenated(MIDDLE_THIRD), MIDDLE_THIRD)
    try:
        check_blocks(choice)
    except InvalidSettingError as error:
        raise argparse.ArgumentTypeError(f"{error}") from error
    return choice


def _in_range(
    convert: Callable[[str], Any], kind: str, lowest: float, highest: float
) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not lowest <= value <= highest:
            ends = " to ".join(str(end).removesuffix(".0") for end in (lowest, highest))
            raise argparse.ArgumentTypeError(f"expected {kind} from {ends}, got {text!r}")
        return value

    return parse
