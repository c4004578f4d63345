"""Cuts through trees that are written out: which segments are left, their maps, and which number suits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import InvalidSettingError
from diffseg_core.hierarchy.segment_hierarchy import colour_tree
from diffseg_core.tree import EFFECTIVE_NUMBER, Hierarchy


def tree(areas: list[int], joins: list[tuple[int, int]], heights: list[float] | None = None) -> Hierarchy:
    """Leaves side by side in one row; their maps are one-hot."""
    count = len(areas)
    heights = [float(step) for step in range(count - 1)] if heights is None else heights
    leaves = torch.arange(count, dtype=torch.int32).repeat_interleave(torch.tensor(areas))[None]
    return Hierarchy(
        leaves,
        torch.tensor(joins, dtype=torch.int64).view(-1, 2),
        torch.tensor(heights, dtype=torch.float64),
        torch.eye(count).view(count, 1, count),
    )


def effective_number(areas: torch.Tensor) -> float:
    shares = areas.double() / areas.sum()
    return float((-(shares * shares.log()).sum()).exp())


PAIRS = [(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (4, 6), (0, 4)]
"""Eight leaves join in pairs, the pairs in pairs, and so on."""


def test_eight_equal_leaves_are_cut_into_four():
    assert tree([3] * 8, PAIRS).automatic_number() == 4


def test_small_leaves_hardly_count():
    # The smallest join the largest first: exp(H) is 4.44, 4.25, 4.06 of five, 3.50, 2.73, …
    growing = [(0, 6), (0, 5), (0, 4), (0, 3), (0, 2), (0, 1)]
    assert tree([40, 30, 20, 10, 5, 1, 1], growing).automatic_number() == 5
    # Of ten equal leaves one grows: 10, 8.71, 7.19, 5.74, 4.47 of six, 3.41, …
    assert tree([1] * 10, [(0, other) for other in range(1, 10)]).automatic_number() == 6
    # They join in twos: 10, 8.71, 7.58, 6.60, 5.74, 5.00, 3.79 of four, 2.87, …
    pairs = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (0, 2), (4, 6), (0, 4), (0, 8)]
    assert tree([1] * 10, pairs).automatic_number() == 4


def test_a_tree_of_colours_alone_is_one_whose_heights_never_fall():
    """Two ends join, and their mean is right beside what lies between: the next distance is smaller."""
    generator = torch.Generator().manual_seed(0)
    found = colour_tree(torch.rand(48, 48, 3, generator=generator))
    assert found.count > 20
    assert (found.heights.diff() >= 0).all()
    assert (found.heights.diff() == 0).any()


def test_fewer_than_four_leaves_all_stay():
    assert tree([5], []).automatic_number() == 1
    assert tree([5, 1], [(0, 1)]).automatic_number() == 2
    assert tree([5, 1, 3], [(0, 1), (0, 2)]).automatic_number() == 3
    assert tree([5, 5, 5, 5], [(0, 1), (0, 2), (0, 3)]).automatic_number() == 4


@pytest.mark.parametrize("seed", range(8))
def test_the_automatic_number_is_that_whose_effective_number_is_nearest_to_four(seed):
    generator = np.random.default_rng(seed)
    areas = np.ceil(generator.pareto(0.8, 30) * 3 + 1).clip(max=400).astype(int).tolist()
    left, joins = list(range(30)), []
    while len(left) > 1:
        first, second = sorted(generator.choice(len(left), 2, replace=False))
        joins.append((left[first], left.pop(second)))
    found = tree(areas, joins)
    away = {
        number: abs(effective_number(found.cut(number)[0].flatten().bincount()) - 4)
        for number in range(1, 31)
    }
    assert found.automatic_number() == min(away, key=lambda number: away[number])
    assert EFFECTIVE_NUMBER == 4


def test_a_join_exactly_at_the_height_has_happened():
    heights = [0.1, 0.25, 0.25, 0.5]
    found = tree([1] * 5, [(0, 1), (2, 3), (0, 2), (0, 4)], heights)
    assert [found.number_at(height) for height in (0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 9.0)] == [
        5,
        4,
        4,
        2,
        2,
        1,
        1,
    ]


def test_the_nodes_are_the_leaves_and_the_joins_in_order():
    found = tree([10, 20, 30, 140], [(0, 1), (0, 2), (0, 3)], [1.0, 5.0, 6.0])
    nodes = found.nodes
    assert nodes.children == [(0, 1), (4, 2), (5, 3)]
    assert nodes.parents.tolist() == [4, 4, 5, 6, 5, 6, -1]
    assert found.node_areas.tolist() == [10, 20, 30, 140, 30, 60, 200]
    leaves = [sorted(nodes.leaves(node).tolist()) for node in (0, 4, 5, 6)]
    assert leaves == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    assert nodes.upwards(1) == [1, 4, 5, 6]
    assert nodes.folded([3, 1, 2, 0], min) == [3, 1, 2, 0, 1, 1, 0]
    for number, left in enumerate([[6], [5, 3], [4, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]], start=1):
        assert nodes.cut(number)[0].tolist() == left


def test_the_segments_of_a_cut_go_by_their_first_leaves():
    found = tree([1] * 6, [(2, 4), (1, 5), (1, 2), (0, 3), (0, 1)])
    expected = {
        6: [0, 1, 2, 3, 4, 5],
        5: [0, 1, 2, 3, 2, 4],
        4: [0, 1, 2, 3, 2, 1],
        3: [0, 1, 1, 2, 1, 1],
        2: [0, 1, 1, 0, 1, 1],
        1: [0, 0, 0, 0, 0, 0],
    }
    assert {number: found.nodes.cut(number)[1].tolist() for number in expected} == expected
    assert found.nodes.cut(7)[1].tolist() == expected[6]


def test_a_cut_numbers_segments_by_first_leaves_and_averages_maps_by_pixels():
    found = tree([1, 2, 3, 4], [(1, 3), (0, 2), (0, 1)])
    labels, maps = found.cut(2)
    assert labels.tolist() == [[0, 1, 1, 0, 0, 0, 1, 1, 1, 1]]
    assert labels.dtype == torch.int32
    torch.testing.assert_close(maps[:, 0], torch.tensor([[1 / 4, 0, 3 / 4, 0], [0, 2 / 6, 0, 4 / 6]]))
    assert found.areas.tolist() == [1, 2, 3, 4]
    assert found.count == 4
    everything, whole = found.cut(1)
    assert everything.unique().tolist() == [0]
    torch.testing.assert_close(whole[0, 0], torch.tensor([0.1, 0.2, 0.3, 0.4]))
    assert torch.equal(found.cut(9)[0], found.leaves)


def test_a_cut_into_less_than_one_segment_is_refused():
    for number in (0, -3):
        with pytest.raises(InvalidSettingError, match=f"at least 1 segment, got {number}"):
            tree([1, 1], [(0, 1)]).cut(number)
