"""Which node of a tree a click means, and what it takes in another size."""

from __future__ import annotations

import numpy as np
import torch

from diffseg_core import Hierarchy
from diffseg_core.objects.click_nodes import clicked_node, resized_click

# Leaves of 10, 20, 30 and 140 pixels; 0 and 1 join at 1, 2 comes to them at 5, and 3 at 6.
LEAVES = torch.tensor([0] * 10 + [1] * 20 + [2] * 30 + [3] * 140, dtype=torch.int32)[None]
TREE = Hierarchy(
    LEAVES,
    torch.tensor([[0, 1], [0, 2], [0, 3]]),
    torch.tensor([1.0, 5.0, 6.0], dtype=torch.float64),
    torch.ones(4, 1, 1),
)
FREE = np.zeros(4, dtype=bool)


def test_a_click_takes_what_stays_together_longest_for_its_size():
    # Leaf 0: (1 - 0)·10 = 10; node 4: (5 - 1)·30 = 120; node 5: (6 - 5)·60 = 60.
    assert clicked_node(TREE, 0, FREE) == 4
    assert clicked_node(TREE, 2, FREE) == 2  # 5·30 = 150 against 60
    assert clicked_node(TREE, 3, FREE) == 3  # of more than a third of the image: the leaf alone


def sized(before: list[int], after: list[int], free: list[int], steps: int) -> list[int]:
    """What a click on leaf 0 takes, as leaves; so are the others."""
    masks = (np.isin(np.arange(4), leaves) for leaves in (before, after, free))
    return np.flatnonzero(resized_click(TREE.nodes, 0, *masks, beyond=FREE, steps=steps)).tolist()


def test_a_click_goes_up_and_down_in_steps_as_far_as_there_are_nodes():
    taken = [sized([], [0, 1], [1, 2, 3], steps) for steps in (-9, -1, 1, 2, 9)]
    assert taken == [[0], [0], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3]]


def test_a_step_up_is_never_less_and_a_step_down_never_more_than_the_click_by_itself():
    # Leaf 1 was taken before; the click by itself adds leaf 0, which it fixes, and leaf 3, but not leaf 2.
    assert sized([1], [0, 1, 3], [1, 2, 3], 1) == [0, 1, 2, 3]
    assert sized([1], [0, 1, 3], [1, 2, 3], -1) == [0, 1]
    assert sized([1], [0, 1, 3], [1, 3], 1) == [0, 1, 3]  # leaf 2 is fixed against it


def test_what_lies_outside_a_box_is_added_after_all_else():
    after, free = np.array([True, False, False, False]), np.array([False, False, True, True])
    beyond = np.array([False, True, False, False])  # leaf 1, which is nearest to leaf 0
    taken = [
        resized_click(TREE.nodes, 0, FREE, after, free, beyond, steps).nonzero()[0].tolist()
        for steps in (1, 2, 3)
    ]
    assert taken == [[0, 2], [0, 2, 3], [0, 1, 2, 3]]


def test_a_click_takes_nothing_that_was_clicked_against():
    assert clicked_node(TREE, 0, np.array([False, True, False, False])) == 0
    assert clicked_node(TREE, 0, np.array([False, False, True, False])) == 4
    assert clicked_node(TREE, 0, np.array([True, False, False, False])) == 0


def test_a_tree_of_one_leaf_has_one_node():
    one = Hierarchy(
        torch.zeros(1, 3, dtype=torch.int32),
        torch.zeros(0, 2, dtype=torch.int64),
        torch.zeros(0),
        torch.ones(1, 1, 1),
    )
    assert clicked_node(one, 0, np.array([False])) == 0
    assert resized_click(one.nodes, 0, *np.array([[False], [True], [True], [False]]), 3).tolist() == [True]
