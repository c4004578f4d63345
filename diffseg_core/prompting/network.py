"""Potentials of a network of conductances: what a random walker's chances are (Grady, 2006)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def potentials(conductances: Numbers, ties: Numbers, drive: Numbers, fixed: Numbers) -> Numbers:
    """Solve ``(diag(degree + ties) − W) x = W x_fixed + drive``.

    Args:
        conductances: W, symmetric ``[S, S]``, 0 on the diagonal.
        ties: ``[S]``, conductance of each node to sources.
        drive: ``[S]``, current from those sources: tie times potential.
        fixed: ``[S]``, potentials that are given; NaN where they are not.

    Returns:
        all potentials, ``[S]``.
    """
    from scipy.sparse import csc_matrix, diags
    from scipy.sparse.linalg import spsolve

    free = np.isnan(fixed)
    found = np.where(free, 0.0, fixed)
    if free.any():
        network = diags((conductances.sum(1) + ties)[free]) - csc_matrix(conductances[np.ix_(free, free)])
        found[free] = spsolve(csc_matrix(network), conductances[free] @ found + drive[free])
    return found
