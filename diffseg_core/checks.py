"""What a setting may be, checked in one way and refused in one form of sentence, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch

from .errors import InvalidSettingError
from .grid import GridSize
from .plain_text import plain_text

HUGE = 1e9  # numbers beyond are shown as they are
Option = TypeVar("Option", bound=str)


@dataclass(frozen=True)
class Number:
    """A setting that is a number.

    Attributes:
        what: it is called in messages, with its article.
        lowest: it may be.
        highest: it may be.
        default: where there is one.
        whole: whether only whole numbers are meant; a float without a fraction is one.
        unit: that follows the numbers.
        is_share: whether it is a share, 0..1, which nodes and command take in percent.
        zero: what 0 stands for, where it is allowed below the lowest.
        automatic: what -1 stands for, where it is allowed below the lowest.
        hint: a sentence for who is refused.
    """

    what: str
    lowest: float
    highest: float
    default: Any = None
    whole: bool = False
    unit: str = ""
    is_share: bool = False
    zero: str = ""
    automatic: str = ""
    hint: str = ""

    def checked(self, value: object) -> Any:
        """The value as Python's own int (of whole numbers) or float.

        Raises:
            InvalidSettingError: what is no number (True and False are none), not finite, or out of range.
        """
        number: Any = _plain(value)
        special = (0,) * bool(self.zero) + (-1,) * bool(self.automatic)
        in_range = _is_number(number) and (self.lowest <= number <= self.highest or number in special)
        if not in_range or (self.whole and number != int(number)):
            hint = f" {self.hint}" if self.hint else ""
            kind = " as a whole number" if self.whole and not (_is_number(number) and number % 1 == 0) else ""
            raise InvalidSettingError(
                f"Expected {self.what}{kind} {self.range}, got {self._got(number)}.{hint}"
            )
        return int(number) if self.whole else float(number)

    def checked_percent(self, value: object) -> float:
        """A share that is given in percent: as the share.

        Raises:
            InvalidSettingError: see `checked`.
        """
        number: Any = _plain(value)
        return float(
            self.checked(float(number) / 100.0 if _is_number(number) and abs(number) < HUGE else number)
        )

    @property
    def range(self) -> str:
        """The range in words."""
        lowest, highest = (
            f"{end:g}" if isinstance(end, float) else str(end) for end in (self.lowest, self.highest)
        )
        ends = f"from {lowest} to {highest}{f' {self.unit}' if self.unit else ''}"
        if self.is_share:
            ends += f" ({self.lowest * 100:g} to {self.highest * 100:g} %)"
        if self.automatic:
            return f"of -1 ({self.automatic}) or {ends}"
        return f"of 0 ({self.zero}) or {ends}" if self.zero and self.lowest > 0 else ends

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest as nodes and command have them: shares in percent, and 0 where it is allowed."""
        lowest = -1 if self.automatic else 0 if self.zero else self.lowest
        return self._as_entered(lowest), self._as_entered(self.highest)

    @property
    def entered_default(self) -> Any:
        """The default as nodes and command have it: shares in percent."""
        return None if self.default is None else self._as_entered(self.default)

    def _as_entered(self, value: float) -> Any:
        if self.is_share:
            return float(f"{value * 100:.12g}")
        return int(value) if self.whole else float(value)

    def _got(self, value: Any) -> str:
        if not _is_number(value):
            return f"{value!r:.60}"
        if isinstance(value, int) and abs(value) >= HUGE**4:
            return f"a number of {value.bit_length()} bits"
        got = f"{value:g}" if isinstance(value, float) else f"{value!r:.60}"
        return f"{got} ({value * 100:g} %)" if self.is_share and abs(value) < HUGE else got


@dataclass(frozen=True)
class Choice(Generic[Option]):
    """A setting that is one of some texts.

    Attributes:
        what: it is called in messages.
        options: that there are.
        default: one of them.
    """

    what: str
    options: tuple[Option, ...]
    default: Option

    def checked(self, value: object) -> Option:
        """The value, which is one of the options.

        Raises:
            InvalidSettingError: it is none; the message has them all.
        """
        if not isinstance(value, str) or value not in self.options:
            raise unexpected(f"{self.what} to be {either(self.options)}", value)
        return value


@dataclass(frozen=True)
class Switch:
    """A setting that is on or off.

    Attributes:
        what: it is called in messages.
        default: on or off.
    """

    what: str
    default: bool

    def checked(self, value: object) -> bool:
        """The value as Python's own bool; 0 and 1 are taken too.

        Raises:
            InvalidSettingError: anything else, such as a text, which Python takes for true whatever it says.
        """
        plain = _plain(value)
        if not isinstance(plain, int) or plain not in (0, 1):
            raise unexpected(f"{self.what} to be True or False", plain)
        return bool(plain)


Setting = Number | Choice[Any] | Switch


def unexpected(expected: str, got: object, advice: str = "") -> InvalidSettingError:
    """The refusal of a value, in the form of all: what was expected, what came, and what to do."""
    return InvalidSettingError(f"Expected {expected}, got {got!r:.60}.{f' {advice}' if advice else ''}")


def either(options: Iterable[str]) -> str:
    """Texts as they stand in a message: ``'a', 'b' or 'c'``."""
    *first, last = map(repr, options)
    return f"{', '.join(first)} or {last}" if first else last


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _plain(value: object) -> object:
    """Python's own value for a single one of NumPy or PyTorch; anything else as it is."""
    single = isinstance(value, np.generic) or (
        isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0
    )
    return cast(Any, value).item() if single else value


def text(value: object, what: str) -> str:
    """A text of a person, as `plain_text` has it.

    Args:
        value: wanted.
        what: it is called in messages.

    Raises:
        InvalidSettingError: anything else, None too.
    """
    if not isinstance(value, str):
        raise unexpected(f"{what} as text", value)
    return plain_text(value)


def position(index: object, count: int, what: str, of: str) -> int:
    """A place in a list, counted from 0; none is counted from the end.

    Args:
        index: wanted.
        count: of what there is.
        what: it is called in messages, with its article.
        of: what there is ``count`` of, in the plural, for the message.

    Raises:
        InvalidSettingError: no whole number, or none that the list has.
    """
    if count < 1:
        raise InvalidSettingError(f"Expected no {what.removeprefix('an ')}, got {index!r:.60}: no {of}.")
    there_are = f"{of[0].upper()}{of[1:]}: {count}."
    return int(Number(what, 0, count - 1, whole=True, hint=there_are).checked(index))


def size(value: object, what: str) -> GridSize:
    """Height and width, from 1.

    Args:
        value: a pair of whole numbers.
        what: it is the size of, with its article.

    Raises:
        InvalidSettingError: no pair, or sides that are no whole numbers from 1.
    """
    sides = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
    if len(sides) != 2:
        raise unexpected(f"the height and width of {what}", value)
    side = Number(f"a height and width of {what}", 1, 2**31 - 1, whole=True, unit="pixels")
    return GridSize(*map(side.checked, sides))
