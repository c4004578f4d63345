"""How well people agree with one another: what a method can hope to reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from diffseg_cli.errors import DatasetError

from .measures import measure
from .types import AnnotatedImage, Measure

HUMAN: Final = "human"


def measure_human_agreement(image: AnnotatedImage, measures: frozenset[Measure]) -> dict[str, Any]:
    """Measure every person's segmentation against those of all others, as if it were a method's.

    Args:
        image: with the segmentations of at least two people, which annotate every pixel.
        measures: of the dataset.

    Returns:
        the mean over the people of everything that `measure` gives.

    Raises:
        DatasetError: only one person, or none, has segmented the image.
    """
    if len(image.segments) < 2:
        raise DatasetError(
            f"Expected segmentations of {image.name} by at least 2 people, got {len(image.segments)}. "
            f"Leave out the method {HUMAN}."
        )
    rows = []
    for person, labels in enumerate(image.segments):
        others = replace(
            image,
            segments=_without(image.segments, person),
            boundaries=_without(image.boundaries, person),
        )
        rows.append(measure(others, labels, measures))
    return _mean(rows)


def _without(drawn: tuple[Any, ...], person: int) -> tuple[Any, ...]:
    return drawn[:person] + drawn[person + 1 :]


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of every metric over the rows that have it; null where none has."""
    means: dict[str, Any] = {}
    for key in rows[0]:
        values = [row[key] for row in rows if row[key] is not None]
        means[key] = float(np.mean(values)) if values else None
    return means
