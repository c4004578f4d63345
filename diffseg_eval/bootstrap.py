"""Intervals by bootstrap: how much a figure depends on which images it is of.

As many images as there are, are drawn with replacement, 10,000 times (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, section 13.3), the same for all figures; metrics of sums over images
(accuracy, mean IoU, boundary F, covering over people) are computed anew from the sums over each such set.
An interval holds the middle 95 % of what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from .metrics import Values

RESAMPLES, SEED = 10_000, 0
LEVELS = (2.5, 97.5)  # percent
BLOCK = 500  # resampled sets at a time: some MB of weights for thousands of images

Statistic = Callable[[npt.NDArray[np.int64]], Values]
"""From how often each image is in each of S sets, ``[S, N]``, to a figure of each set, ``[S]``; NaN where
there is none."""


def intervals(statistics: Mapping[str, Statistic], images: int) -> dict[str, tuple[float, float]]:
    """The interval of each statistic, by its name.

    Args:
        statistics: each with a figure for the images as they are.
        images: how many there are.
    """
    random = np.random.default_rng(SEED)
    drawn: dict[str, list[Values]] = {name: [] for name in statistics}
    for _ in range(0, RESAMPLES, BLOCK):
        weights = random.multinomial(images, np.full(images, 1 / images), size=BLOCK)
        for name, statistic in statistics.items():
            drawn[name].append(statistic(weights))
    # A set that drew no image of which there is a figure says nothing.
    levels = {name: np.nanpercentile(np.concatenate(values), LEVELS) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in levels.items()}
