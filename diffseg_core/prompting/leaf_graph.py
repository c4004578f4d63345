"""Which leaves of a hierarchy belong together: a graph over common borders, and a chain over attention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..hierarchy import Hierarchy
from ..image.boundary_contrast import Contrast
from ..image.colour_histograms import colour_histograms
from ..image.smoothing import smoothed
from ..nested.tree_building import ALIKE, FLOOR, divergences

Matrix = npt.NDArray[np.float64]

SHARPNESS = 2.0  # how fast conductance falls with the divergence of two leaves, of which 1 is the usual one
CONTRAST = 0.25  # power of a border's contrast in it
TEMPERATURE = 0.65  # of the chain (M2N2)
ROUNDS = 200  # of its balancing, at most
BALANCED = 1e-4  # a round that changes no factor by more is the last


@dataclass(frozen=True, eq=False)
class LeafGraph:
    """Leaves of one image, S of them.

    Attributes:
        areas: float64 ``[S]``, pixels.
        lengths: float64 ``[S, S]``, pixels of the border between two leaves; 0 where there is none.
        steps: float64 ``[S, S]``, the image's differences of colour along it, added up.
        distances: float64 ``[S, S]``, divergences of attention and colours; 1 is the usual one of neighbours.
        conductances: float64 ``[S, S]``, symmetric: how easily a walker crosses the border.
        chain: float64 ``[S, S]``, rows sum to 1: where the attention of a leaf goes; its stationary
            distribution is the leaves' areas.
    """

    areas: Matrix
    lengths: Matrix
    steps: Matrix
    distances: Matrix
    conductances: Matrix
    chain: Matrix

    @classmethod
    def of(cls, tree: Hierarchy, image: torch.Tensor, attention: bool = True) -> LeafGraph:
        """The graph of a hierarchy's leaves.

        Args:
            tree: of the image.
            image: float32 ``[H, W, 3]`` in 0..1.
            attention: with False colours alone count, as a control.
        """
        smooth = smoothed(image.cpu())
        leaves = tree.leaves.cpu()
        borders = Contrast(smooth, leaves, CONTRAST)
        areas = tree.areas.cpu().double().numpy()
        colours = colour_histograms(smooth, leaves).double().numpy()
        features = [colours]
        if attention:
            features.append(tree.maps.flatten(1).cpu().double().numpy())
        distances = np.mean([_usual(each, borders.touching) for each in features], axis=0)
        factors = np.where(borders.touching, borders.factors(), 1.0)
        conductances = np.sqrt(borders.lengths) * np.exp(-SHARPNESS * distances * factors)
        conductances[~borders.touching] = 0.0
        return cls(
            areas,
            borders.lengths,
            borders.steps,
            distances,
            conductances,
            _chain(tree, areas, colours, attention),
        )

    @property
    def typical_degree(self) -> float:
        """The mean conductance of all of a leaf's borders."""
        return float(self.conductances.sum(1).mean())


def _usual(features: Matrix, touching: npt.NDArray[np.bool_]) -> Matrix:
    """Divergences between all rows, of which 1 is the median between neighbours."""
    floored = np.maximum(features, FLOOR)
    found = divergences(floored, np.log(floored))
    usual = float(np.median(found[touching])) if touching.any() else 0.0
    return found / usual if usual > ALIKE else np.zeros_like(found)


def _chain(tree: Hierarchy, areas: Matrix, colours: Matrix, attention: bool) -> Matrix:
    """Attention lumped to leaves, sharpened, and balanced so that the areas are stationary."""
    if attention:
        height, width = tree.leaves.shape
        keys = tree.maps.shape[1:]
        rows = torch.arange(height) * keys[0] // height
        columns = torch.arange(width) * keys[1] // width
        cells = (rows[:, None] * keys[1] + columns).flatten().numpy()
        pairs = cells * len(areas) + tree.leaves.cpu().flatten().numpy()
        shares = (
            np.bincount(pairs, minlength=keys.numel() * len(areas)).reshape(-1, len(areas)).astype(np.float64)
        )
        shares /= np.maximum(shares.sum(1, keepdims=True), 1.0)
        moved = tree.maps.flatten(1).cpu().double().numpy() @ shares
    else:
        moved = np.exp(-_usual(colours, ~np.eye(len(colours), dtype=bool))) * areas
    densities = np.maximum(moved / areas, FLOOR) ** (1.0 / TEMPERATURE) * areas
    flow = densities / densities.sum(1, keepdims=True) * areas[:, None]
    factors = np.ones(len(areas))
    for _ in range(ROUNDS):
        row_factors = areas / (flow @ factors)
        balanced = areas / (flow.T @ row_factors)
        done = np.abs(balanced / factors - 1.0).max() < BALANCED
        factors = balanced
        if done:
            break
    flow = flow * row_factors[:, None] * factors
    return flow / flow.sum(1, keepdims=True)
