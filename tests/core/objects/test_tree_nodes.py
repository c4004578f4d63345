"""The nodes of a tree, and which of them a click means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import Hierarchy
from diffseg_core.objects.tree_nodes import TreeNodes

# Leaves of 10, 20, 30 and 140 pixels; 0 and 1 join at 1, 2 comes to them at 5, and 3 at 6.
LEAVES = torch.tensor([0] * 10 + [1] * 20 + [2] * 30 + [3] * 140, dtype=torch.int32)[None]
TREE = Hierarchy(
    LEAVES,
    torch.tensor([[0, 1], [0, 2], [0, 3]]),
    torch.tensor([1.0, 5.0, 6.0], dtype=torch.float64),
    torch.ones(4, 1, 1),
)
FREE = np.zeros(4, dtype=bool)


@pytest.fixture
def nodes() -> TreeNodes:
    return TreeNodes.of(TREE)


def test_the_nodes_are_the_leaves_and_the_joins_in_order(nodes):
    assert nodes.parents.tolist() == [4, 4, 5, 6, 5, 6, -1]
    assert nodes.areas.tolist() == [10, 20, 30, 140, 30, 60, 200]
    assert nodes.heights.tolist() == [0, 0, 0, 0, 1, 5, 6]
    assert [sorted(nodes.leaves(node).tolist()) for node in (0, 4, 5, 6)] == [
        [0],
        [0, 1],
        [0, 1, 2],
        [0, 1, 2, 3],
    ]
    assert nodes.upwards(1) == [1, 4, 5, 6]


def test_a_click_takes_what_stays_together_longest_for_its_size(nodes):
    # Leaf 0: (1 - 0)·10 = 10; node 4: (5 - 1)·30 = 120; node 5: (6 - 5)·60 = 60.
    assert nodes.part(0, FREE) == 4
    assert nodes.part(2, FREE) == 2  # 5·30 = 150 against 60
    assert nodes.part(3, FREE) == 3  # of more than a third of the image: the leaf alone


def sized(nodes: TreeNodes, before: list[int], after: list[int], free: list[int], steps: int) -> list[int]:
    """What a click on leaf 0 takes, as leaves; so are the others."""
    masks = (np.isin(np.arange(4), leaves) for leaves in (before, after, free))
    return np.flatnonzero(nodes.resized(0, *masks, beyond=FREE, steps=steps)).tolist()


def test_a_click_goes_up_and_down_in_steps_as_far_as_there_are_nodes(nodes):
    taken = [sized(nodes, [], [0, 1], [1, 2, 3], steps) for steps in (-9, -1, 1, 2, 9)]
    assert taken == [[0], [0], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3]]


def test_a_step_up_is_never_less_and_a_step_down_never_more_than_the_click_by_itself(nodes):
    # Leaf 1 was taken before; the click by itself adds leaf 0, which it fixes, and leaf 3, but not leaf 2.
    assert sized(nodes, [1], [0, 1, 3], [1, 2, 3], 1) == [0, 1, 2, 3]
    assert sized(nodes, [1], [0, 1, 3], [1, 2, 3], -1) == [0, 1]
    assert sized(nodes, [1], [0, 1, 3], [1, 3], 1) == [0, 1, 3]  # leaf 2 is fixed against it


def test_what_lies_outside_a_box_is_added_after_all_else(nodes):
    after, free = np.array([True, False, False, False]), np.array([False, False, True, True])
    beyond = np.array([False, True, False, False])  # leaf 1, which is nearest to leaf 0
    taken = [nodes.resized(0, FREE, after, free, beyond, steps).nonzero()[0].tolist() for steps in (1, 2, 3)]
    assert taken == [[0, 2], [0, 2, 3], [0, 1, 2, 3]]


def test_a_click_takes_nothing_that_was_clicked_against(nodes):
    assert nodes.part(0, np.array([False, True, False, False])) == 0
    assert nodes.part(0, np.array([False, False, True, False])) == 4
    assert nodes.part(0, np.array([True, False, False, False])) == 0


def test_a_tree_of_one_leaf_has_one_node():
    one = Hierarchy(
        torch.zeros(1, 3, dtype=torch.int32),
        torch.zeros(0, 2, dtype=torch.int64),
        torch.zeros(0),
        torch.ones(1, 1, 1),
    )
    nodes = TreeNodes.of(one)
    assert nodes.part(0, np.array([False])) == 0
    assert nodes.resized(0, *np.array([[False], [True], [True], [False]]), 3).tolist() == [True]
