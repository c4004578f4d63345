"""Which leaves a word takes: worked out by hand, and against trying every choice there is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from diffseg_core.words.scores import (
    FOUND_RATIO,
    NODE_COST,
    LeafScores,
    _upper_part,
    best_nodes,
    choose_leaves,
    is_present,
    normalised,
)

QUARTERS = np.full(4, 0.25)


def column(*scores: float) -> np.ndarray:
    return np.array(scores)[:, None]


def leaf_scores(
    shares: np.ndarray,
    attention: np.ndarray | None = None,
    areas: np.ndarray = QUARTERS,
    distractors: Sequence[int] = (),
) -> LeafScores:
    """Leaves by their shares ``[S, lines + 1]``, the background's last; self-attention spreads none."""
    attention = 0.1 * shares if attention is None else attention
    lines = shares.shape[1] - 1
    is_distractor = np.isin(np.arange(lines), distractors)
    return LeafScores(shares, shares, attention, attention * shares, areas, is_distractor, lines + 2)


def present(shares: np.ndarray, attention: np.ndarray | None = None, areas: np.ndarray = QUARTERS) -> bool:
    """Whether the only line, which has these shares and this attention, is there."""
    nothing = np.zeros_like(shares)
    mass = None if attention is None else np.hstack([attention, nothing])
    return bool(is_present(leaf_scores(np.hstack([shares, nothing]), mass, areas))[0])


def test_a_word_is_there_if_it_stands_out_from_the_rest_however_much_of_the_image_it_has():
    for area in (0.02, 0.05, 0.3, 0.45, 0.5, 0.55, 0.7, 0.9, 0.98):
        areas = np.array([area / 2, area / 2, (1 - area) / 2, (1 - area) / 2])
        assert present(column(0.4, 0.3, 0.1, 0.1), areas=areas), area
        assert not present(column(0.12, 0.11, 0.1, 0.1), areas=areas), area


def test_a_word_stands_out_by_its_joint_score_from_a_ratio_on():
    # Attention is a tenth of the share, so the joint score has the square of its ratio.
    ratio = FOUND_RATIO**0.5
    assert present(column(0.1 * ratio + 0.001, 0.1, 0.1, 0.1))
    assert not present(column(0.1 * ratio - 0.001, 0.1, 0.1, 0.1))


def test_a_large_share_where_nothing_has_attention_is_not_a_word():
    shares = column(0.9, 0.1, 0.1, 0.1)
    assert not present(shares, column(0.0119, 0.01, 0.01, 0.01))
    assert present(shares, column(0.0121, 0.01, 0.01, 0.01))


def test_attention_that_all_words_have_alike_is_not_a_word():
    assert not present(column(0.05, 0.2, 0.2, 0.2), column(0.03, 0.01, 0.01, 0.01))


def test_what_fills_the_image_must_have_most_of_what_is_named():
    assert present(column(0.51, 0.51, 0.51, 0.51))
    assert not present(column(0.49, 0.49, 0.49, 0.49))
    assert present(column(0.52, 0.52, 0.52, 0.49))
    assert not present(column(0.0, 0.0, 0.0, 0.0))


def test_the_parts_are_those_between_which_most_variance_lies():
    random = np.random.default_rng(3)
    for _ in range(30):
        values, areas = random.random(7) ** 3, random.random(7)
        best = max(
            (part for size in range(1, 7) for part in combinations(range(7), size)),
            key=lambda part: variance_between(values, areas, list(part)),
        )
        high = (
            list(best) if values[list(best)].min() > values.min() else [i for i in range(7) if i not in best]
        )
        assert np.flatnonzero(_upper_part(values[:, None], areas)[:, 0]).tolist() == sorted(high)


def variance_between(values: np.ndarray, areas: np.ndarray, part: list[int]) -> float:
    rest = [place for place in range(len(values)) if place not in part]
    means = [np.average(values[some], weights=areas[some]) for some in (part, rest)]
    return areas[part].sum() * areas[rest].sum() * (means[0] - means[1]) ** 2


def test_each_word_is_present_or_absent_by_itself():
    shares = np.array([[0.9, 0.2, 0], [0.1, 0.2, 0], [0.1, 0.2, 0], [0.1, 0.2, 0]])
    assert is_present(leaf_scores(shares)).tolist() == [True, False, False]


def test_scores_go_from_the_lowest_leaf_to_the_highest():
    np.testing.assert_allclose(normalised(column(0.1, 0.2, 0.3), 2)[:, 0], [0, 0.5, 1])


def test_small_differences_in_what_fills_the_image_stay_small():
    np.testing.assert_allclose(normalised(column(0.8, 0.7, 0.75), 4)[:, 0], [1, 9 / 11, 10 / 11])
    np.testing.assert_allclose(normalised(column(0.8, 0.8), 4)[:, 0], [1, 1])


def random_joins(count: int, random: np.random.Generator) -> np.ndarray:
    roots, joins = list(range(count)), []
    while len(roots) > 1:
        first, second = sorted(random.choice(roots, 2, replace=False).tolist())
        joins.append((first, second))
        roots.remove(second)
    return np.array(joins, dtype=np.int64).reshape(-1, 2)


def all_nodes(count: int, joins: np.ndarray) -> list[frozenset[int]]:
    now = {leaf: frozenset([leaf]) for leaf in range(count)}
    nodes = list(now.values())
    for first, second in joins.tolist():
        now[first] |= now.pop(second)
        nodes.append(now[first])
    return nodes


def best_by_trying(worth: np.ndarray, joins: np.ndarray) -> set[int]:
    """Every set of nodes of which none holds another; the leaves of the one that is worth most."""
    nodes = all_nodes(len(worth), joins)
    best: tuple[float, set[int]] = (0.0, set())
    for number in range(1, len(worth) + 1):
        for chosen in combinations(nodes, number):
            leaves = set().union(*chosen)
            if len(leaves) == sum(map(len, chosen)):
                value = sum(worth[leaf] for leaf in leaves) - NODE_COST * number
                best = max(best, (value, leaves), key=lambda each: each[0])
    return best[1]


def test_no_other_nodes_are_worth_more():
    for seed in range(40):
        random = np.random.default_rng(seed)
        joins = random_joins(6, random)
        worth = random.normal(0.0, 3 * NODE_COST, 6)
        chosen = set(np.flatnonzero(best_nodes(worth, joins)).tolist())
        assert chosen == best_by_trying(worth, joins), seed


def test_a_whole_is_taken_although_a_small_leaf_falls_short():
    joins = np.array([[1, 2], [0, 1], [0, 3]])
    short = -0.9 * NODE_COST
    assert best_nodes(np.array([0.05, short, 0.03, -0.2]), joins).tolist() == [True, True, True, False]
    short = -1.1 * NODE_COST
    assert best_nodes(np.array([0.05, short, 0.03, -0.2]), joins).tolist() == [True, False, True, False]


def test_all_leaves_count_whichever_number_the_last_join_has():
    worth = np.array([0.05, -0.2, 0.04])
    assert best_nodes(worth, np.array([[2, 1], [2, 0]])).tolist() == [True, False, True]
    assert best_nodes(np.full(3, 0.05), np.array([[1, 0], [2, 1]])).tolist() == [True] * 3


def test_specks_are_left_out():
    joins = np.array([[0, 1], [0, 2]])
    worth = np.array([0.05, -0.2, 0.9 * NODE_COST])
    assert best_nodes(worth, joins).tolist() == [True, False, False]
    assert best_nodes(np.array([0.05, -0.2, 1.1 * NODE_COST]), joins).tolist() == [True, False, True]


def test_a_single_leaf_is_a_tree():
    none = np.zeros((0, 2), dtype=np.int64)
    assert best_nodes(np.array([0.5]), none).tolist() == [True]
    assert best_nodes(np.array([-0.5]), none).tolist() == [False]


def choice(scores, background=0.0, distractors=(), joins=None, threshold=0.5, offset=0.0) -> list[int]:
    scores = np.array(scores, dtype=float)
    background = np.broadcast_to(np.array(background, dtype=float), len(scores))
    areas = np.full(len(scores), 1 / max(len(scores), 1))
    leaves = leaf_scores(np.column_stack([scores, background]), areas=areas, distractors=distractors)
    return choose_leaves(leaves, None if joins is None else np.array(joins), threshold, offset).tolist()


def test_each_leaf_is_the_highest_words():
    scores = [[0.8, 0.1], [0.6, 0.2], [0.1, 0.9], [0.1, 0.1], [0.1, 0.1]]
    assert choice(scores) == [0, 0, 1, -1, -1]


def test_words_of_little_attention_are_as_good_as_those_of_much():
    scores = [[0.9, 0.01], [0.3, 0.08], [0.1, 0.01], [0.1, 0.01], [0.1, 0.01]]
    assert choice(scores) == [0, 1, -1, -1, -1]


def test_a_lower_threshold_takes_more():
    scores = [[0.81], [0.51], [0.31], [0.01], [0.01], [0.01], [0.01]]
    for threshold, taken in ((0.2, 3), (0.4, 2), (0.8, 1), (1.0, 0)):
        assert choice(scores, threshold=threshold) == [0] * taken + [-1] * (7 - taken)


def test_a_distractor_takes_its_leaves_and_is_never_chosen():
    scores = [[0.6, 0.1], [0.5, 0.9], [0.1, 0.1], [0.1, 0.1]]
    assert choice(scores) == [0, 1, -1, -1]
    assert choice(scores, distractors=[1]) == [0, -1, -1, -1]


def test_a_distractor_that_is_not_there_takes_nothing():
    scores = [[0.6, 0.11], [0.5, 0.12], [0.1, 0.1], [0.1, 0.1]]
    assert choice(scores, distractors=[1]) == [0, 0, -1, -1]


@pytest.mark.parametrize(("offset", "expected"), [(-0.5, [0, 0]), (0.0, [0, -1]), (0.7, [-1, -1])])
def test_the_background_takes_what_it_is_higher_in(offset, expected):
    scores = [[0.9], [0.7], [0.1], [0.1], [0.1]]
    background = [0.42, 0.9, 0.1, 0.1, 0.1]  # 0.4 and 1 of its own range, of which the word has 1 and 0.75
    assert choice(scores, background, offset=offset) == [*expected, -1, -1, -1]


def test_a_leaf_that_is_the_highest_of_two_words_is_that_of_the_larger_share():
    scores = np.array([[0.5, 0.4], [0.1, 0.05], [0.1, 0.05], [0.1, 0.05]])
    assert choice(scores) == [0, -1, -1, -1]
    assert choice(scores[:, ::-1]) == [1, -1, -1, -1]
    scores[1, 1] = 0.5  # where the second word is higher still
    assert choice(scores) == [0, 1, -1, -1]


def between_parts(area: float, parts: int, swapped: bool = False) -> list[int]:
    """Leaf 1 is a little more the second word's, and lies in a node with some leaves of the first word."""
    first_word = [[0.9, 0.0]] * (parts - 1)
    scores = np.array([[0.9, 0.0], [0.6, 0.7], [0.0, 1.0], *first_word, *[[0.0, 0.0]] * 4])
    scores = scores[:, ::-1] if swapped else scores
    areas = np.array([0.1, area, 0.1, *[0.1] * (parts - 1), *[0.15] * 4])
    joins = np.array([[0, 1], *[[0, leaf] for leaf in range(3, 2 + parts)], [0, 2]])
    joins = np.concatenate([joins, [[0, leaf] for leaf in range(2 + parts, 6 + parts)]])
    nothing = np.zeros(len(areas))
    leaves = leaf_scores(np.column_stack([scores, nothing]), areas=areas)
    return choose_leaves(leaves, joins, 0.5, 0.0)[: 2 + parts].tolist()


def test_a_leaf_between_parts_goes_with_them_where_it_is_too_small_for_another_word():
    assert between_parts(0.004, parts=2) == [0, 0, 1, 0]
    assert between_parts(0.04, parts=2) == [0, 1, 1, 0]  # which is worth a node to the second word


def test_what_two_words_take_is_the_higher_ones():
    # The first word takes all in one node, which spares it two; the second word takes leaf 1.
    assert between_parts(0.04, parts=3) == [0, 1, 1, 0, 0]
    assert between_parts(0.04, parts=3, swapped=True) == [1, 0, 0, 1, 1]


def test_an_image_without_leaves_gives_none():
    assert choice(np.zeros((0, 2))) == []
