"""Potentials of a network of conductances: what a random walker's chances are (Grady, 2006)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

DECIMALS = 9  # of potentials: more are the solver's, and the picker has another


def potentials(
    borders: Integers, conductances: Numbers, ties: Numbers, drive: Numbers, fixed: Numbers
) -> Numbers:
    """Solve ``(diag(degree + ties) − W) x = W x_fixed + drive``.

    Args:
        borders: ``[E, 2]``, pairs of nodes, each once.
        conductances: between them, ``[E]``: W.
        ties: ``[S]``, conductance of each node to sources.
        drive: ``[S]``, current from those sources: tie times potential.
        fixed: ``[S]``, potentials that are given; NaN where they are not.

    Returns:
        all potentials, ``[S]``, rounded to 9 decimals.
    """
    from scipy.sparse import csc_matrix, diags
    from scipy.sparse.linalg import spsolve

    free = np.isnan(fixed)
    found = np.where(free, 0.0, fixed)
    if free.any():
        first, second = borders.T
        ends = np.concatenate((first, second)), np.concatenate((second, first))
        weights = csc_matrix((np.tile(conductances, 2), ends), shape=(len(fixed), len(fixed)))
        degrees = np.asarray(weights.sum(1)).ravel()
        network = diags((degrees + ties)[free]) - weights[free][:, free]
        found[free] = spsolve(csc_matrix(network), weights[free] @ found + drive[free])
    return np.round(found, DECIMALS).astype(np.float64)
