"""Names that folders of runs from before version 0.2 hold, and what they are called now."""

from __future__ import annotations

from typing import Any, Final

from .types import Measure

METHODS: Final = {
    "people": "human",
    "refined": "diffseg-refined",
    "refined-hierarchy": "hierarchy-refined",
    "kmeans-true": "kmeans-oracle",
    "colour-kmeans-true": "colour-kmeans-oracle",
}
MEASURES: Final[dict[str, Measure]] = {"people": "annotators"}


def method_today(name: str) -> str:
    """The name of a method, or of it with its numbers, as it is written now.

    >>> method_today("refined-hierarchy:5,10"), method_today("slic:8")
    ('hierarchy-refined:5,10', 'slic:8')
    """
    kind, colon, numbers = name.partition(":")
    return METHODS.get(kind, kind) + colon + numbers


def measure_today(name: Any) -> Measure:
    """The name of a group of measures as it is written now."""
    today: Measure = MEASURES.get(name, name)
    return today
