"""Reading the clock, and making ratios of what was read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median


def clock(device: str) -> Callable[[], float]:
    """What reads the time in seconds, once the device has done all it was given.

    Args:
        device: as PyTorch writes it; "cpu" does at once what it is given.
    """
    if device == "cpu":
        return time.perf_counter
    import torch

    def read() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return read


@dataclass(frozen=True)
class Spread:
    """Median and range of what was measured several times.

    >>> Spread.of([3.0, 1.0, 2.0])
    Spread(median=2.0, least=1.0, most=3.0, count=3)
    """

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        ordered = sorted(values)
        return cls(median(ordered), ordered[0], ordered[-1], len(ordered))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Of values that were measured in pairs, one directly after the other."""
    return Spread.of(one / other for one, other in zip(numerators, denominators, strict=True))
