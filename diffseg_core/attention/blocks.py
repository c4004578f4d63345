"""Which of a transformer's blocks to capture."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .. import checks
from ..errors import InvalidSettingError

RECOMMENDED, MIDDLE_THIRD, ALL = "recommended", "middle third", "all"
NUMBERS = re.compile(r"(\d{1,4})(?:\s*-\s*(\d{1,4}))?")


@dataclass(frozen=True)
class Recommended:
    """Blocks that the literature names, in a model of known depth: ``first`` to before ``stop`` of ``of``."""

    first: int
    stop: int
    of: int

    def scaled(self, depth: int) -> range:
        """The blocks that lie as deep in a model of another depth."""
        first = min(round(self.first * depth / self.of), depth - 1)
        return range(first, max(first + 1, round(self.stop * depth / self.of)))


def choose_blocks(choice: str, count: int, recommended: range | None = None) -> set[int]:
    """Read a choice of blocks.

    Args:
        choice: "recommended", "middle third", "all", or numbers from 0 as in "7-9, 12".
        count: of the model's blocks.
        recommended: those for this model; its middle third if None.

    Raises:
        InvalidSettingError: another text, or a block that the model does not have.

    >>> sorted(choose_blocks("7-9, 12", 24))
    [7, 8, 9, 12]
    """
    text = checks.text(choice, "blocks").strip().lower()
    middle = range(count // 3, max(count // 3 + 1, -(-2 * count // 3)))
    named = {RECOMMENDED: recommended or middle, MIDDLE_THIRD: middle, ALL: range(count)}
    if text in named:
        return set(named[text])
    chosen: set[int] = set()
    for part in text.split(","):
        match = NUMBERS.fullmatch(part.strip())
        if match is None:
            raise InvalidSettingError(
                f"Expected blocks to be '{RECOMMENDED}', '{MIDDLE_THIRD}', '{ALL}', or numbers as in "
                f"'7-9, 12', got {choice!r}."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= count:
            raise InvalidSettingError(
                f"Expected blocks from 0 to {count - 1}, which the model has, got {part.strip()!r}."
            )
        chosen.update(range(first, last + 1))
    return chosen


def checked_blocks(choice: object) -> str:
    """A choice of blocks as `plain_text` has it, once some model could be asked for it; see `choose_blocks`.

    Raises:
        InvalidSettingError: another text.
    """
    text = checks.text(choice, "blocks")
    choose_blocks(text, 10_000)
    return text
