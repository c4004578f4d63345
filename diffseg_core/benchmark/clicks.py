"""How many clicks an object takes, by simulated clicks on the objects that were drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..objects.object_finder import ObjectFinder
from ..objects.prompts import Click
from .click_protocol import Bitmap, click_ious, clicks_needed
from .photographs import Photograph

WANTED = (0.85, 0.9)
"""The IoUs that are to be reached."""


@dataclass(frozen=True, eq=False)
class ObjectTruth:
    """One object; all that is not it counts, annotated or not, as it does for a person who wants it.

    Attributes:
        mask: bool ``[H, W]``.
        ignored: bool ``[H, W]``, all False.
    """

    mask: Bitmap
    ignored: Bitmap


@dataclass
class ClickCounts:
    """How many clicks each object took.

    Attributes:
        most: after which no more were made; an object that would take more counts as this many.
        counts: by the photograph's name, for each object the clicks to each of `WANTED`.
    """

    most: int
    counts: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)

    @property
    def means(self) -> tuple[float, ...]:
        """Over all objects, for each of `WANTED`; not a number where there is none yet."""
        every = [each for counts in self.counts.values() for each in counts]
        return tuple(np.mean(every, axis=0).tolist()) if every else (float("nan"),) * len(WANTED)


def count_clicks(
    finder: ObjectFinder, photograph: Photograph, most: int, on_click: Callable[[], None] = lambda: None
) -> list[tuple[int, ...]]:
    """Click every object of a photograph until it is found.

    Args:
        finder: of this photograph.
        photograph: with its objects.
        most: clicks for each.
        on_click: called before each click; what it raises ends the call.

    Returns:
        for each object the clicks to each of `WANTED`, at most ``most``.
    """

    def found(clicks: Sequence[Click]) -> Bitmap:
        on_click()
        return finder.find(clicks).mask

    counts = []
    for index in range(len(photograph.objects)):
        mask = photograph.mask(index)
        ious = click_ious(found, ObjectTruth(mask, np.zeros_like(mask)), most, max(WANTED))
        counts.append(tuple(clicks_needed(ious, wanted, most) for wanted in WANTED))
    return counts
