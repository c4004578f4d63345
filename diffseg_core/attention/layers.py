"""Which of a model's attention layers to capture: of a UNet by resolution, of a transformer by block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .. import checks
from ..errors import InvalidSettingError

RECOMMENDED, ALL, MIDDLE_THIRD = "recommended", "all", "middle third"
FINEST = ("finest", "finest two", "all but finest")
UNET_LAYERS = (RECOMMENDED, ALL, *FINEST)
NUMBERS = re.compile(r"(\d{1,4})(?:\s*-\s*(\d{1,4}))?")
OF_A_UNET = f"of a UNet to be {checks.either(UNET_LAYERS)}"
OF_A_TRANSFORMER = (
    f"of a transformer to be {checks.either((RECOMMENDED, ALL, MIDDLE_THIRD))}, or blocks as in '7-9, 12'"
)


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


def checked_layers(choice: object) -> str:
    """A choice of layers in small letters and plain text, once some model could be asked for it.

    Raises:
        InvalidSettingError: another text.
    """
    text = checks.text(choice, "layers").strip().lower()
    if text not in UNET_LAYERS:
        choose_blocks(text, [10_000], expected=f"{OF_A_UNET}, {OF_A_TRANSFORMER}")
    return text


def choose_resolutions(choice: str, levels: Iterable[int]) -> set[int]:
    """Choose among the levels at which a UNet has self-attention.

    Args:
        choice: one of `UNET_LAYERS`; "recommended" and "all" are the paper's. The finest maps take sixteen
            times the memory of the next.
        levels: how often the latent was halved at each of the UNet's self-attention layers; 0 is the
            finest, repeats allowed.

    Raises:
        InvalidSettingError: a choice for transformers, or one that leaves no level.

    >>> sorted(choose_resolutions("finest two", [1, 2, 2, 3]))
    [1, 2]
    """
    ordered = sorted(set(levels))
    choices = {
        "finest": ordered[:1],
        "finest two": ordered[:2],
        "all but finest": ordered[1:],
    }
    if choice not in UNET_LAYERS:
        raise InvalidSettingError(f"Expected layers {OF_A_UNET}, got {choice!r:.60}.")
    chosen = set(choices.get(choice, ordered))
    if not chosen:
        raise InvalidSettingError(
            f"Expected {choice!r} to leave a resolution, but the model has self-attention at "
            f"{len(ordered)} resolution(s)."
        )
    return chosen


def choose_blocks(
    choice: str,
    counts: Sequence[int],
    recommended: Recommended | None = None,
    expected: str = OF_A_TRANSFORMER,
) -> set[int]:
    """Choose among a transformer's blocks.

    Args:
        choice: "recommended", "middle third", "all", or numbers from 0 as in "7-9, 12", in running order over
            all kinds of blocks.
        counts: of the model's blocks of each kind, in running order.
        recommended: among those of the first kind; the middle third of all if None.
        expected: what is allowed, for the message.

    Raises:
        InvalidSettingError: a choice for UNets, another text, or a block that the model does not have.

    >>> sorted(choose_blocks("7-9, 12", [24]))
    [7, 8, 9, 12]
    """
    count = sum(counts)
    middle = range(count // 3, max(count // 3 + 1, -(-2 * count // 3)))
    named = {
        RECOMMENDED: recommended.scaled(counts[0]) if recommended else middle,
        MIDDLE_THIRD: middle,
        ALL: range(count),
    }
    if choice in named:
        return set(named[choice])
    chosen: set[int] = set()
    for part in choice.split(","):
        match = NUMBERS.fullmatch(part.strip())
        if match is None:
            raise InvalidSettingError(f"Expected layers {expected}, got {choice!r:.60}.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= count:
            raise InvalidSettingError(
                f"Expected layers from 0 to {count - 1}, the blocks that the model has, got {part.strip()!r}."
            )
        chosen.update(range(first, last + 1))
    return chosen
