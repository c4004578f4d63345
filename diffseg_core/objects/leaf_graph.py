"""Which leaves of a hierarchy belong together: a graph over common borders, and how soon attention arrives.

All that decides is kept in whole numbers, so that the picker in the browser, which gets this graph, decides
alike (`web/PROTOCOL.md`); conductances alone are fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from ..grid import GridSize
from ..hierarchy.closest_pairs import divergences
from ..hierarchy.tree_building import ALIKE, FLOOR
from ..image.boundary_contrast import Contrast
from ..image.colour_histograms import colour_histograms
from ..image.pyramid import reduced, sampled, shown_size
from ..image.smoothing import smoothed
from ..tree import Hierarchy
from .attention_chain import arrivals, attention_between, balanced_chain

Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Table = npt.NDArray[np.uint16]

SHARPNESS = 2.0  # how fast conductance falls with the divergence of two leaves, of which 1 is the usual one
CONTRAST = 0.25  # power of a border's contrast in it
MAX_PIXELS = 2**20  # that borders and colours are measured on; larger images are measured smaller
STEP = 4096  # units of a difference of colour of 1
DECIMALS = 9  # of potentials: more are the solver's, and the picker has another
HIGHEST = 65535  # of a table of 16 bits


@dataclass(frozen=True, eq=False)
class LeafGraph:
    """Leaves of one image, S of them, with E borders in common.

    Attributes:
        areas: int64 ``[S]``, pixels.
        borders: int64 ``[E, 2]``, the leaves on both sides, the smaller number first, in ascending order.
        lengths: int64 ``[E]``, pixels.
        steps: int64 ``[E]``, the image's differences of colour along the border, added up, in units of
            1/4096; without an image the length.
        conductances: float64 ``[E]``: how easily a walker crosses.
        distances: uint16 ``[S, S]``, symmetric: divergence of attention and colours, the highest is 65535.
        arrivals: uint16 ``[S, S]``: how soon attention that starts in a row's leaf arrives at a column's;
            the latest of a row is 65535.
    """

    areas: Integers
    borders: Integers
    lengths: Integers
    steps: Integers
    conductances: Matrix
    distances: Table
    arrivals: Table

    @classmethod
    def of(
        cls,
        tree: Hierarchy,
        image: torch.Tensor | None,
        attention: bool = True,
    ) -> LeafGraph:
        """The graph of a hierarchy's leaves.

        Args:
            tree: of the image.
            image: float32 ``[H, W, 3]`` in 0..1; without one attention alone counts.
            attention: with False colours alone count, as a control; it takes an image.
        """
        areas = tree.areas.cpu().numpy()
        if not tree.count:
            none, table = np.zeros(0, np.int64), np.zeros((0, 0), np.uint16)
            return cls(areas, none.reshape(0, 2), none, none, none.astype(float), table, table)
        leaves, smooth, scale = _measured(tree, image)
        contrast = Contrast(smooth, leaves, CONTRAST)
        inner = np.flatnonzero(contrast.pairs[:, 1] < tree.count)  # the first number is smaller
        borders = contrast.pairs[inner]
        first, second = borders.T
        lengths = scale * contrast.lengths[inner]
        steps = lengths if image is None else scale * STEP * contrast.steps[inner]
        features = [tree.maps.flatten(1).cpu().double().numpy()] if attention else []
        if image is not None:
            features.append(colour_histograms(smooth, leaves).double().numpy()[: tree.count])
        distances = np.mean([_usual(each, borders) for each in features], axis=0)
        if attention:
            spread = attention_between(tree)
        else:
            spread = np.exp(-_usual(features[0], borders[:0])) * areas
        moments = arrivals(balanced_chain(spread, areas), areas)
        apart = distances[first, second] * contrast.factors(inner)
        return cls(
            areas,
            borders,
            np.rint(lengths).astype(np.int64),
            np.rint(steps).astype(np.int64),
            np.sqrt(lengths) * np.exp(-SHARPNESS * apart),
            _table(distances, distances.max()),
            _table(moments, moments.max(1, keepdims=True)),
        )

    @cached_property
    def degrees(self) -> Matrix:
        """The conductance of all of each leaf's borders: ``[S]``."""
        found = np.zeros(len(self.areas))
        for side in (0, 1):
            np.add.at(found, self.borders[:, side], self.conductances)
        return found

    @property
    def typical_degree(self) -> float:
        """The mean of them, 1 where no leaf has a border."""
        return float(self.degrees.sum()) / max(len(self.areas), 1) or 1.0

    def potentials(self, ties: Matrix, drive: Matrix, fixed: Matrix) -> Matrix:
        """What a random walker's chances are (Grady, 2006): a network of the conductances.

        Solves ``(diag(degree + ties) − W) x = W x_fixed + drive``, W the conductances between leaves.

        Args:
            ties: ``[S]``, conductance of each leaf to sources.
            drive: ``[S]``, current from those sources: tie times potential.
            fixed: ``[S]``, potentials that are given; NaN where they are not.

        Returns:
            all potentials, ``[S]``, rounded to 9 decimals.
        """
        from scipy.sparse import csc_matrix, diags
        from scipy.sparse.linalg import spsolve

        free = np.isnan(fixed)
        potentials = np.where(free, 0.0, fixed)
        if free.any():
            ends = tuple(np.concatenate((self.borders, self.borders[:, ::-1])).T)
            weights = csc_matrix((np.tile(self.conductances, 2), ends), shape=(len(fixed), len(fixed)))
            degrees = np.asarray(weights.sum(1)).ravel()
            network = diags((degrees + ties)[free]) - weights[free][:, free]
            potentials[free] = spsolve(csc_matrix(network), weights[free] @ potentials + drive[free])
        return np.round(potentials, DECIMALS).astype(np.float64)


def _measured(tree: Hierarchy, image: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Leaves int ``[h, w]``, an image without its grain ``[h, w, 3]``, and how much larger the image is.

    Pixels of no leaf are one more of them, the last. A large image is measured smaller, unless a leaf would
    be missed.
    """
    leaves = torch.where(tree.leaves < 0, tree.count, tree.leaves).cpu()
    full = GridSize(*leaves.shape)
    size = shown_size(full, MAX_PIXELS)
    if size != full:
        fewer = torch.from_numpy(sampled(leaves.numpy(), size))
        if len(fewer.unique()) < len(leaves.unique()):
            size = full
        else:
            leaves = fewer
    pixels = torch.zeros(*size, 3) if image is None else reduced(image, size)
    return leaves, smoothed(pixels), full.side / size.side


def _usual(features: Matrix, borders: Integers) -> Matrix:
    """Divergences between all rows, of which 1 is the median between neighbours; between all without any."""
    floored = np.maximum(features, FLOOR)
    found = divergences(floored)
    compared = found[tuple(borders.T)] if len(borders) else found[~np.eye(len(found), dtype=bool)]
    usual = float(np.median(compared)) if compared.size else 0.0
    return found / usual if usual > ALIKE else np.zeros_like(found)


def _table(values: Matrix, highest: Matrix | float) -> Table:
    """Values from 0 to the highest in 16 bits."""
    shares = np.divide(values, highest, out=np.zeros_like(values), where=np.asarray(highest) > 0)
    return np.rint(HIGHEST * np.clip(shares, 0.0, 1.0)).astype(np.uint16)
