"""Colours for segments: distinct within a picture, and the same for the same segment."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .poles import Pole

HUES = 16
TONES = ((0.95, 0.85), (0.60, 1.00), (0.90, 0.55), (0.45, 0.75))  # saturation, value
CELL = 8  # pixels: a pole may move this much and keep its colour


def _palette() -> npt.NDArray[np.float32]:
    colours = [
        colorsys.hsv_to_rgb((hue + 0.5 * (tone % 2)) / HUES, *TONES[tone])
        for tone in range(len(TONES))
        for hue in range(HUES)
    ]
    return np.array(colours, dtype=np.float32)


PALETTE = _palette()  # [64, 3] in 0..1, vivid tones first


def segment_colours(poles: Sequence[Pole]) -> npt.NDArray[np.float32]:
    """A colour for every segment: float32 ``[K, 3]``, RGB in 0..1.

    A segment's colour follows from the place of its pole, so the same segment keeps its colour when
    other settings split or merge the rest of the picture. Where a larger segment holds the colour
    already, the next one of a sequence that likewise follows from the place is taken; colours repeat
    only in pictures of more than 64 segments.

    Args:
        poles: poles of inaccessibility, in descending order of the segments' area.
    """
    taken: set[int] = set()
    chosen = []
    for pole in poles:
        preferences = _preferences(pole)
        colour = next((index for index in preferences if index not in taken), preferences[0])
        taken.add(colour)
        chosen.append(colour)
    return PALETTE[chosen]


def _preferences(pole: Pole) -> list[int]:
    """All palette indices in the order in which a segment with this pole would like to have them."""
    cell = (pole.y // CELL) * 2_654_435_761 + (pole.x // CELL) * 40_503
    hashed = (cell ^ (cell >> 15)) * 2_246_822_519 % 2**32
    hashed ^= hashed >> 13
    start, step = hashed % len(PALETTE), (hashed >> 8) % (len(PALETTE) // 2) * 2 + 1
    return [(start + step * index) % len(PALETTE) for index in range(len(PALETTE))]
