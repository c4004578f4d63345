"""Which two join: held to the plain definition, in ties too, and what it takes when there are many."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import torch

from diffseg_core.hierarchy import closest_pairs
from diffseg_core.hierarchy.closest_pairs import divergences, divergences_from
from diffseg_core.hierarchy.tree_building import build_hierarchy
from diffseg_core.image.boundary_contrast import MIN_CONTRAST, Contrast
from diffseg_core.progress import callbacks
from diffseg_core.tree import Hierarchy

EQUAL = 1e-12  # nats: distances that differ by less may join in any order


class Plain:
    """The definition, and nothing kept: all distances between segments, worked out anew when asked for."""

    def __init__(self, maps: torch.Tensor, areas: torch.Tensor, contrast: Contrast | None, weight: float):
        self.means = dict(enumerate(np.maximum(maps.double().numpy(), 1e-12)))
        self.areas = dict(enumerate(areas.double().tolist()))
        self.borders: dict[tuple[int, int], np.ndarray] | None = None
        if contrast is not None:
            measured = np.stack((contrast.lengths, contrast.steps), 1)
            self.borders = dict(zip(map(tuple, contrast.pairs.tolist()), measured.copy(), strict=True))
            self.weight = weight
            self.typical = max(MIN_CONTRAST, float(np.median(measured[:, 1] / measured[:, 0])))

    def distances(self) -> dict[tuple[int, int], float]:
        """By the pair, in reading order, so that the first of the least ones is the one that joins."""
        found = {}
        for a, b in itertools.combinations(sorted(self.means), 2) if self.borders is None else self.borders:
            p, q = self.means[a], self.means[b]
            found[a, b] = 0.5 * float(((p - q) * (np.log(p) - np.log(q))).sum())
            if self.borders is not None:
                length, steps = self.borders[a, b]
                found[a, b] *= (max(steps / length, MIN_CONTRAST) / self.typical) ** self.weight
        return dict(sorted(found.items()))

    def join(self, first: int, second: int) -> None:
        areas = self.areas[first], self.areas.pop(second)
        self.means[first] = np.average((self.means[first], self.means.pop(second)), axis=0, weights=areas)
        self.areas[first] = sum(areas)
        if self.borders is None:
            return
        before, self.borders = self.borders, {}
        for pair, measured in before.items():
            ends = tuple(sorted(first if end == second else end for end in pair))
            if ends[0] != ends[1]:
                self.borders[ends] = self.borders.get(ends, 0.0) + measured


def squares(side: int, pixels: int = 2) -> torch.Tensor:
    """Leaves side by side in rows and columns."""
    numbers = torch.arange(side * side, dtype=torch.int32).view(side, side)
    return numbers.repeat_interleave(pixels, 0).repeat_interleave(pixels, 1)


def made_maps(kind: str, count: int, keys: int, generator: torch.Generator) -> torch.Tensor:
    """Maps that sum to 1; of noise, one large segment swallows the others."""
    values = torch.rand(count, keys, generator=generator)
    if kind == "sharp":
        values = (60 * values).exp()
    elif kind == "few":
        values = (1 + values * 8).floor()[torch.arange(count) % 5]
    elif kind == "equal":
        values = torch.ones(count, keys)
    return values / values.sum(1, keepdim=True)


def contrast_of(leaves: torch.Tensor, weight: float, generator: torch.Generator) -> Contrast:
    return Contrast(torch.rand(*leaves.shape, 3, generator=generator), leaves, weight)


@pytest.mark.parametrize("kind", ["noise", "sharp", "few", "equal"])
@pytest.mark.parametrize("weight", [None, 0.0, 0.5])
def test_every_join_is_that_of_the_definition_unless_distances_are_equal_to_rounding(kind, weight):
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        leaves = squares(6)
        maps = made_maps(kind, 36, 32, generator)
        contrast, untouched = (
            None if weight is None else contrast_of(leaves, weight, generator.manual_seed(seed)) for _ in "ab"
        )
        tree = build_hierarchy(maps[:, None], leaves, contrast)
        plain = Plain(maps, leaves.flatten().bincount(), untouched, weight or 0.0)
        highest = 0.0
        for (first, second), height in zip(tree.joins.tolist(), tree.heights.tolist(), strict=True):
            distances = plain.distances()
            right = min(distances, key=lambda pair: distances[pair])
            if right != (first, second):
                assert distances[first, second] - distances[right] < EQUAL, (seed, right, (first, second))
            highest = max(highest, distances[first, second])
            assert height == pytest.approx(highest, rel=1e-9, abs=EQUAL)
            plain.join(first, second)


def test_equal_distances_join_by_the_first_number_and_then_by_the_second():
    """All maps are the same: whatever touches joins over 0, in reading order."""
    leaves = squares(7)
    maps = made_maps("equal", 49, 64, torch.Generator())
    for contrast in (None, Contrast(torch.zeros(*leaves.shape, 3), leaves, 0.5)):
        tree = build_hierarchy(maps[:, None], leaves, contrast)
        assert tree.joins[:, 0].tolist() == [0] * 48
        assert sorted(tree.joins[:, 1].tolist()) == list(range(1, 49))
        if contrast is None:
            assert tree.joins[:, 1].tolist() == list(range(1, 49))
        else:
            assert tree.joins[:4, 1].tolist() == [1, 2, 3, 4]
            assert tree.joins[-1].tolist() == [0, 48]
        assert not tree.heights.any()


def test_a_divergence_is_the_same_to_the_bit_from_both_sides():
    generator = torch.Generator().manual_seed(0)
    for kind in ("noise", "sharp"):
        features = made_maps(kind, 300, 97, generator).clamp_min(1e-12).double().numpy()
        table = divergences(features)
        assert np.array_equal(table, table.T)
        rows = np.arange(300)
        ours = np.stack([divergences_from(features, rows, row)[0] for row in rows])
        assert np.array_equal(ours, ours.T)
        np.testing.assert_allclose(ours, table, rtol=1e-9, atol=1e-12)


def test_of_neighbours_there_is_no_table_of_all_pairs_and_few_are_compared_with_a_large_segment(monkeypatch):
    """Noise is the worst case: one segment swallows the others, and has hundreds of neighbours."""
    compared = []

    def counted(features, rows, row):
        compared.append(len(rows))
        return divergences_from(features, rows, row)

    monkeypatch.setattr(closest_pairs, "divergences_from", counted)
    totals = []
    for side in (12, 24):
        generator = torch.Generator().manual_seed(0)
        leaves = squares(side, 1)
        maps = made_maps("noise", side * side, 16, generator)
        contrast = contrast_of(leaves, 0.5, generator)
        compared.clear()
        tracemalloc.start()
        build_hierarchy(maps[:, None], leaves, contrast)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        totals.append(sum(compared))
    assert totals[1] < 2.6**2 * totals[0]  # four times the leaves
    assert peak < 576**2 * 8 / 2  # a table of float64 takes twice this


@pytest.mark.parametrize("neighbours_only", [False, True])
def test_a_tree_can_be_stopped_before_any_of_its_joins(neighbours_only):
    generator = torch.Generator().manual_seed(0)
    leaves = squares(8)
    maps = made_maps("noise", 64, 16, generator)

    def tree(on_step) -> Hierarchy:
        contrast = contrast_of(leaves, 0.5, generator) if neighbours_only else None
        with callbacks(on_step):
            return build_hierarchy(maps[:, None], leaves, contrast)

    asked = itertools.count(1)
    tree(lambda: next(asked))
    times = next(asked) - 1
    assert times > 63
    for last in (1, times // 2, times):
        left = itertools.count(last, -1)

        def stop(left=left) -> None:
            if next(left) == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            tree(stop)
