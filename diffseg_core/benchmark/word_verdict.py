"""Whether a model finds things by words, and whether stored queries are enough for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .differences import clearly_above, student_errors
from .words import WordFigures

FEWEST = 6
"""Of fewer photographs nothing is said: models of random weights pass too often on them."""
MARGIN = 0.1
"""By this much the area under the curve of the objects' own names must be above that of others."""
ENOUGH = 0.03
"""Stored queries do where a second step's area under the curve is not clearly higher by more than this."""


class Gain(NamedTuple):
    """What a second step has over stored queries."""

    mean: float  # of the area under the curve, over photographs
    is_clear: bool  # more than `ENOUGH`, and more than chance makes


def finds_by_words(figures: Mapping[str, WordFigures]) -> bool | None:
    """Whether the objects' own names find them better than others do, by more than `MARGIN` and than chance.

    Chance is Student's, over photographs and over names, and both must be passed. Objects of one photograph
    depend on one another, as they share a prompt and the other words; objects of one name depend on one
    another in all photographs, as a random model that happens to draw "sky" to the top does it everywhere: a
    name counts once, with the mean over its objects.

    Args:
        figures: by the photograph's name.

    Returns:
        None for fewer than `FEWEST` photographs.
    """
    if len(figures) < FEWEST:
        return None
    by_photograph = [float(np.mean(list(each.gains.values()))) for each in figures.values()]
    by_name: dict[str, list[float]] = {}
    for each in figures.values():
        for name, gain in each.gains.items():
            by_name.setdefault(name, []).append(gain)
    of_names = [float(np.mean(gains)) for gains in by_name.values()]
    return all(
        clearly_above(gains, MARGIN, student_errors(len(gains))) for gains in (by_photograph, of_names)
    )


def gain_of_second_step(stored: Mapping[str, WordFigures], second: Mapping[str, WordFigures]) -> Gain | None:
    """Compare the two ways, photograph by photograph.

    Args:
        stored, second: of the same photographs, by their names.

    Returns:
        None for fewer than `FEWEST` photographs.
    """
    if len(stored) < FEWEST:
        return None
    gains = [second[name].means.auc - stored[name].means.auc for name in stored]
    return Gain(float(np.mean(gains)), clearly_above(gains, ENOUGH, student_errors(len(gains))))
