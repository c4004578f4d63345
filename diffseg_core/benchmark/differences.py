"""Whether differences are more than chance makes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEVEL = 0.975
"""How much of Student's distribution lies below `student_errors`."""


def clearly_above(differences: Sequence[float], margin: float, errors: float) -> bool:
    """Whether the mean is above a margin, and above so many of its standard errors.

    Args:
        differences: at least one; of a single one the error is unknown, and only the margin counts.
        margin: that the mean must exceed.
        errors: how many standard errors it must exceed.
    """
    values = np.asarray(differences, dtype=np.float64)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return bool(values.mean() > max(margin, errors * error))


def student_errors(count: int) -> float:
    """How many standard errors a mean of chance differences exceeds in 2.5 of 100 cases, by Student's t.

    Args:
        count: of the differences; at least two.
    """
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, LEVEL))
