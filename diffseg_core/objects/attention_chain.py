"""Where attention goes from leaf to leaf, and how soon it arrives."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from .. import progress
from ..hierarchy.tree_building import FLOOR
from ..tree import Hierarchy

Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Number = TypeVar("Number", np.float32, np.float64)

TEMPERATURE = 0.65  # of the chain (M2N2)
ROUNDS = 200  # of its balancing, at most
BALANCED = 1e-4  # a round that changes no factor by more is the last
REACHED = 0.3  # share of the highest density (M2N2)
LAST = 300  # step after which a leaf that is not reached counts as reached
BAND = 256  # rows of a product of matrices
SINGLE = 32  # steps before strides of two, four, … of which there are half as many each


def attention_between(tree: Hierarchy) -> Matrix:
    """The attention of every leaf to every leaf: float64 ``[S, S]``."""
    leaves = tree.leaves.cpu().flatten().numpy()
    height, width = tree.leaves.shape
    keys = tree.maps.shape[1:]
    rows = torch.arange(height) * keys[0] // height
    columns = torch.arange(width) * keys[1] // width
    cells = (rows[:, None] * keys[1] + columns).flatten().numpy()
    pairs = (cells * tree.count + leaves)[leaves >= 0]
    shares = np.bincount(pairs, minlength=keys.numel() * tree.count).reshape(-1, tree.count).astype(float)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1.0)
    return _product(tree.maps.flatten(1).cpu().double().numpy(), shares)


def balanced_chain(attention: Matrix, areas: Integers) -> Matrix:
    """A chain over leaves: attention, sharpened, and balanced so that the areas are stationary.

    Args:
        attention: ``[S, S]``, how much goes from row to column.
        areas: pixels, ``[S]``.

    Returns:
        float64 ``[S, S]``, rows sum to 1.
    """
    densities = np.maximum(attention / areas, FLOOR) ** (1.0 / TEMPERATURE) * areas
    flow = densities / densities.sum(1, keepdims=True) * areas[:, None]
    factors = np.ones(len(areas))
    for _ in range(ROUNDS):
        progress.step()
        row_factors = areas / (flow @ factors)
        balanced = areas / (flow.T @ row_factors)
        done = np.abs(balanced / factors - 1.0).max() < BALANCED
        factors = balanced
        if done:
            break
    flow = flow * row_factors[:, None] * factors
    chain: Matrix = flow / flow.sum(1, keepdims=True)
    return chain


def arrivals(chain: Matrix, areas: Integers) -> Matrix:
    """The step at which a walk from each leaf arrives at each other one (M2N2's Markov maps, all at once).

    It has arrived where its density first passes a share of the highest one, between whole steps by
    interpolation. Strides grow, so that attention that hardly spreads costs little more.

    Args:
        chain: ``[S, S]``, rows sum to 1.
        areas: pixels, ``[S]``.

    Returns:
        float64 ``[S, S]``: a walk's start in rows, steps from 0 to `LAST`.
    """
    count = len(areas)
    shares = (areas / areas.sum()).astype(np.float32)
    found = np.full((count, count), float(LAST))
    np.fill_diagonal(found, 0.0)
    power = chain.astype(np.float32)
    walks = np.eye(count, dtype=np.float32)
    before = np.zeros_like(walks)
    waiting = found > 0.0
    rows = np.flatnonzero(waiting.any(1))  # of the walks that have not arrived everywhere
    walks, before, waiting = walks[rows], before[rows], waiting[rows]
    step = taken = 0
    stride = 1
    while len(rows) and step < LAST:
        walks = _product(walks, power)
        step, taken = step + stride, taken + 1
        density = walks / shares
        density /= density.max(1, keepdims=True)
        now = waiting & (density > REACHED)
        gained = np.maximum(density - before, 1e-6) if step > 1 else np.float32(1.0 - REACHED)
        early = np.minimum((density - REACHED) / gained, 1.0) * stride
        at = np.nonzero(now)
        found[rows[at[0]], at[1]] = np.minimum(step - early[at], LAST)
        waiting &= ~now
        left = waiting.any(1)
        rows, walks, before, waiting = rows[left], walks[left], density[left], waiting[left]
        if taken == SINGLE or (taken > SINGLE and (taken - SINGLE) % (SINGLE // 2) == 0):
            power, stride = _product(power, power), 2 * stride
    return found


def _product(one: npt.NDArray[Number], other: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The product of two matrices, some rows at a time: of thousands of leaves it takes seconds."""
    found = np.empty((len(one), other.shape[1]), dtype=one.dtype)
    for start in range(0, len(one), BAND):
        progress.step()
        np.matmul(one[start : start + BAND], other, out=found[start : start + BAND])
    return found
