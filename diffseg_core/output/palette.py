"""Colours for segments: distinct within a picture, and the same for the same segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .poles import Pole

COLOURS = 64
FIRST = 24  # these differ most from each other; pictures of up to 24 segments need no others
CELL = 8  # pixels: a pole may move this much and keep its colour


def _palette() -> npt.NDArray[np.float32]:
    """Colours chosen one after the other, each as far as can be from those before it in RGB."""
    steps = np.linspace(0.0, 1.0, 9, dtype=np.float32)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    vivid = cube[(np.ptp(cube, axis=1) >= 0.45) & (cube.max(1) >= 0.6)]
    chosen = [int(np.argmax(vivid @ np.array([1.0, -0.5, -1.0])))]  # red
    distance = np.full(len(vivid), np.inf)
    while len(chosen) < COLOURS:
        distance = np.minimum(distance, np.linalg.norm(vivid - vivid[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return vivid[chosen]


PALETTE = _palette()  # [64, 3] in 0..1


def segment_colours(poles: Sequence[Pole]) -> npt.NDArray[np.float32]:
    """A colour for every segment: float32 ``[K, 3]``, RGB in 0..1.

    A segment's colour follows from the place of its pole, so the same segment keeps its colour when
    other settings split or merge the rest of the picture. Where a larger segment holds the colour
    already, the next one of a sequence that likewise follows from the place is taken; colours repeat
    only in pictures of more than 64 segments.

    Args:
        poles: poles of inaccessibility, in descending order of the segments' area.
    """
    return PALETTE[choose_colours(poles, COLOURS, FIRST)]


def choose_colours(
    poles: Sequence[Pole], colours: int, first: int, given: Mapping[int, int] | None = None
) -> list[int]:
    """An index into a palette for every segment, from the place of its pole as in `segment_colours`.

    Args:
        poles: poles of inaccessibility, in descending order of the segments' area.
        colours: size of the palette.
        first: the palette's first so many colours are chosen before the others.
        given: palette index by segment, where it is set already; other segments take other colours.
    """
    given = given or {}
    taken = set(given.values())
    chosen = []
    for segment, pole in enumerate(poles):
        preferences = _preferences(pole, colours, first)
        free = next((index for index in preferences if index not in taken), preferences[0])
        colour = given.get(segment, free)
        taken.add(colour)
        chosen.append(colour)
    return chosen


def _preferences(pole: Pole, colours: int, first: int) -> list[int]:
    """All palette indices in the order in which a segment with this pole would like to have them."""
    place = np.random.default_rng((pole.y // CELL, pole.x // CELL))
    return [*place.permutation(first).tolist(), *(first + place.permutation(colours - first)).tolist()]
