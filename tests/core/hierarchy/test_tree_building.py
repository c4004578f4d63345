"""The order of joins: each term of the distance against a slow tree, and by numbers worked out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from diffseg_core.grid import GridSize
from diffseg_core.hierarchy.tree_building import build_hierarchy, mean_maps
from diffseg_core.image.boundary_contrast import MIN_CONTRAST, Contrast
from diffseg_core.tree import Hierarchy

Groups = dict[int, list[int]]


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """½ Σ (p − q)(log p − log q)."""
    p, q = np.maximum(p, 1e-12), np.maximum(q, 1e-12)
    return float(0.5 * ((p - q) * (np.log(p) - np.log(q))).sum())


class SlowTree:
    """The definition: before every join each distance is worked out anew, from pixels."""

    def __init__(self, attention, leaves, image=None, weight=0.0, colours=None, colour_weight=0.0):
        self.leaves = leaves.numpy()
        self.areas = np.bincount(self.leaves.ravel())
        height, width = self.leaves.shape
        grid = attention.double().numpy()[: height * width].reshape(height, width, -1)  # a token a pixel
        self.maps = np.stack([grid[self.leaves == leaf].mean(0) for leaf in range(len(self.areas))])
        self.image = None if image is None else image.double().numpy()
        self.weight = weight
        self.colours = None if colours is None else colours.double().numpy()
        self.groups: Groups = {leaf: [leaf] for leaf in range(len(self.areas))}
        self.group_of = np.arange(len(self.areas))
        self.touching = None if image is None else self.pixels_that_touch()
        pairs = [pair for pair in itertools.combinations(self.groups, 2) if self.may_join(*pair)]
        if self.image is not None:
            self.typical = float(np.median([self.border(*pair).mean() for pair in pairs]))
        self.colour_weight = 0.0
        if self.colours is not None:
            of_maps, of_colours = (
                np.median([divergence(table[a], table[b]) for a, b in pairs])
                for table in (self.maps, self.colours)
            )
            self.colour_weight = colour_weight * of_maps / of_colours
        self.joins, self.heights = [], []
        while len(self.groups) > 1:
            self.join()

    def border(self, first: int, second: int) -> np.ndarray:
        """The differences of colour between pixels of one and of the other that touch."""
        leaves, differences = self.touching
        groups = np.sort(self.group_of[leaves], axis=1)
        return differences[(groups == sorted((first, second))).all(1)]

    def pixels_that_touch(self) -> tuple[np.ndarray, np.ndarray]:
        """The leaves of both, and how much their colours differ."""
        beside = ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]))
        leaves = [np.stack((self.leaves[a].ravel(), self.leaves[b].ravel()), 1) for a, b in beside]
        differences = [np.linalg.norm(self.image[a] - self.image[b], axis=-1).ravel() for a, b in beside]
        return np.concatenate(leaves), np.concatenate(differences)

    def may_join(self, first: int, second: int) -> bool:
        return self.image is None or len(self.border(first, second)) > 0

    def distance(self, first: int, second: int) -> float:
        means = [
            [
                np.average(table[group], axis=0, weights=self.areas[group])
                for table in (self.maps, self.colours)
            ]
            if self.colours is not None
            else [np.average(self.maps[group], axis=0, weights=self.areas[group])]
            for group in (self.groups[first], self.groups[second])
        ]
        found = divergence(means[0][0], means[1][0])
        if self.colours is not None:
            found += self.colour_weight * divergence(means[0][1], means[1][1])
        if self.image is not None:
            found *= (max(MIN_CONTRAST, self.border(first, second).mean()) / self.typical) ** self.weight
        return found

    def join(self) -> None:
        pairs = [pair for pair in itertools.combinations(sorted(self.groups), 2) if self.may_join(*pair)]
        distances = [self.distance(*pair) for pair in pairs]
        first, second = pairs[int(np.argmin(distances))]
        self.joins.append([first, second])
        self.heights.append(min(distances))
        self.groups[first] = self.groups[first] + self.groups.pop(second)
        self.group_of[self.groups[first]] = first


def irregular_leaves(generator: torch.Generator, height: int, width: int, count: int) -> torch.Tensor:
    """Cells of random centres, of quite different sizes."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack((rows.flatten(), columns.flatten()), 1).float()
    centres = places[torch.randperm(len(places), generator=generator)[:count]]
    return torch.cdist(places, centres).argmin(1).view(height, width).int()


def strip(*widths: int) -> torch.Tensor:
    """Leaves side by side in one row."""
    return torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))[None].int()


def two_cells(*shares: float) -> torch.Tensor:
    """Maps of two cells, one for each token, of which the first has these shares."""
    first = torch.tensor(shares)
    return torch.stack((first, 1 - first), 1)


def hierarchy_of(attention, grid, key_grid, leaves, *terms, **named) -> Hierarchy:
    """The tree of the leaves' mean attention."""
    count = int(leaves.max()) + 1
    maps = mean_maps(attention, grid, leaves, count).view(count, *key_grid)
    return build_hierarchy(maps, leaves, *terms, **named)


def tree_of(shares, leaves=None, **terms) -> Hierarchy:
    leaves = strip(*[1] * len(shares)) if leaves is None else leaves
    return hierarchy_of(two_cells(*shares), GridSize(1, len(shares)), GridSize(1, 2), leaves, **terms)


def steps_of(*colours: float) -> torch.Tensor:
    """An image of one row of greys."""
    return torch.tensor(colours)[None, :, None].expand(-1, -1, 3).contiguous()


def logit(share: float) -> float:
    return math.log(share / (1 - share))


def test_a_height_is_the_symmetric_divergence_in_nats():
    # Of two cells the sum of both terms is ½ (p − q)(logit p − logit q).
    found = tree_of([0.2, 0.7])
    assert float(found.heights[0]) == pytest.approx(0.5 * 0.5 * (logit(0.7) - logit(0.2)), rel=1e-6)
    assert found.joins.tolist() == [[0, 1]]


def test_a_joined_segment_has_the_mean_by_area():
    leaves = torch.tensor([[0, 0, 0, 1, 2]], dtype=torch.int32)
    found = tree_of([0.5, 0.5, 0.5, 0.6, 0.9], leaves)
    mean = (3 * 0.5 + 0.6) / 4
    assert found.joins.tolist() == [[0, 1], [0, 2]]
    assert float(found.heights[1]) == pytest.approx(0.5 * (0.9 - mean) * (logit(0.9) - logit(mean)), rel=1e-5)


def test_heights_never_fall_though_distances_do():
    """Two ends join, and their mean lies right beside the one in the middle."""
    found = tree_of([0.4, 0.6, 0.5], contrast=Contrast(steps_of(0.2, 0.3, 0.6), strip(1, 1, 1), 2.0))
    first = 0.5 * 0.2 * 2 * logit(0.6) * (0.1 / 0.2) ** 2
    assert found.joins.tolist() == [[0, 1], [0, 2]]
    assert found.heights.tolist() == pytest.approx([first, first], rel=1e-4)


def test_of_equal_distances_the_first_in_reading_order_joins():
    assert tree_of([0.5, 0.5, 0.5, 0.5]).joins.tolist() == [[0, 1], [0, 2], [0, 3]]
    shares = [0.1, 0.9, 0.1, 0.9]
    assert tree_of(shares).joins.tolist() == [[0, 2], [1, 3], [0, 1]]


def test_neighbours_alone_join_where_there_is_a_contrast():
    flat = steps_of(0.1, 0.2, 0.3)
    found = tree_of([0.5, 0.9, 0.5], contrast=Contrast(flat, strip(1, 1, 1), 0.0))
    assert found.joins.tolist()[0] != [0, 2]
    assert tree_of([0.5, 0.9, 0.5]).joins.tolist()[0] == [0, 2]


def test_a_strong_border_keeps_apart_what_attention_would_join():
    shares = [0.4, 0.5, 0.62]  # 0 and 1 are nearer
    image = steps_of(0.0, 0.6, 0.8)
    for weight, first in ((0.0, [0, 1]), (1.0, [1, 2])):
        assert tree_of(shares, contrast=Contrast(image, strip(1, 1, 1), weight)).joins.tolist()[0] == first


def test_contrast_decides_after_a_join_by_the_mean_over_both_borders():
    """Two leaves of the first column join; then the border of the pair with the second column counts.

    Leaf 0 has a faint border with 2 and leaf 1 a strong one, so the mean of both is strong enough that 2
    joins with 3 first. Were the faint border of 0 alone to count, 2 would join with the pair.
    """
    leaves = torch.tensor([[0, 2, 3], [1, 2, 3]], dtype=torch.int32)
    values = torch.tensor([[0.50, 0.52, 0.75], [0.00, 0.52, 0.75]])
    image = values[..., None].expand(-1, -1, 3).contiguous()
    shares = [0.3, 0.5, 0.7, 0.3, 0.5, 0.7]
    attention = two_cells(*shares)
    # Before the join 0–2 is the least distance but for 0–1.
    contrast = Contrast(image, leaves, 1.0)
    factors = dict(zip(map(tuple, contrast.pairs.tolist()), contrast.factors(), strict=True))
    of_pair = 0.5 * 0.2 * (logit(0.5) - logit(0.3))
    of_others = 0.5 * 0.2 * (logit(0.7) - logit(0.5))
    mean = (factors[0, 2] + factors[1, 2]) / 2
    assert factors[0, 2] * of_pair < factors[2, 3] * of_others < mean * of_pair
    found = hierarchy_of(attention, GridSize(2, 3), GridSize(1, 2), leaves, contrast)
    assert found.joins.tolist() == [[0, 1], [2, 3], [0, 2]]
    assert float(found.heights[1]) == pytest.approx(factors[2, 3] * of_others, rel=1e-4)


def histograms(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows)


@pytest.fixture
def equally_far():
    """Three leaves whose maps are all equally far from one another."""
    return torch.eye(3) * 0.7 + 0.1


def join_first(attention: torch.Tensor, colours: torch.Tensor | None, weight: float) -> list[int]:
    count = len(attention)
    size, keys = GridSize(1, count), GridSize(1, attention.shape[1])
    found = hierarchy_of(attention, size, keys, strip(*[1] * count), None, colours, weight)
    return found.joins[0].tolist()


def test_colours_decide_between_maps_that_are_equally_far(equally_far):
    colours = histograms((0.9, 0.1), (0.1, 0.9), (0.15, 0.85))
    assert join_first(equally_far, None, 1.0) == [0, 1]
    assert join_first(equally_far, colours, 0.0) == [0, 1]
    assert join_first(equally_far, colours, 0.25) == [1, 2]


def test_colours_count_as_much_as_maps_by_the_median_of_those_that_may_join():
    """By the mean, which one odd colour pulls up, they would count less and the maps would decide."""
    shares = [0.2, 0.3, 0.5]
    colours = histograms((0.30, 0.70), (0.70, 0.30), (0.699, 0.301))
    maps = [0.5 * (q - p) * (logit(q) - logit(p)) for p, q in ((0.2, 0.3), (0.2, 0.5), (0.3, 0.5))]
    firsts = colours[:, 0].tolist()
    pairs = ((0, 1), (0, 2), (1, 2))
    others = [0.5 * (firsts[b] - firsts[a]) * (logit(firsts[b]) - logit(firsts[a])) for a, b in pairs]
    balance = np.median(maps) / np.median(others)
    heights = [0.5 * balance * other + own for own, other in zip(maps, others, strict=True)]
    found = tree_of(shares, colours=colours, colour_weight=0.5)
    assert found.joins[0].tolist() == list(pairs[int(np.argmin(heights))])
    assert float(found.heights[0]) == pytest.approx(min(heights), rel=1e-4)
    by_mean = 0.5 * np.mean(maps) / np.mean(others)
    assert min(by_mean * other + own for own, other in zip(maps, others, strict=True)) != pytest.approx(
        min(heights), rel=0.05
    )


def test_only_those_that_may_join_count_in_the_balance():
    """0 and 2 differ most, in maps and far more in colours, and do not touch."""
    shares, firsts = [0.3, 0.5, 0.8], [0.1, 0.6, 0.95]
    colours = histograms(*((first, 1 - first) for first in firsts))
    contrast = Contrast(steps_of(0.1, 0.2, 0.3), strip(1, 1, 1), 0.0)
    found = tree_of(shares, contrast=contrast, colours=colours, colour_weight=1.0)

    def between(table: list[float], a: int, b: int) -> float:
        return 0.5 * (table[b] - table[a]) * (logit(table[b]) - logit(table[a]))

    balance = (between(shares, 0, 1) + between(shares, 1, 2)) / (
        between(firsts, 0, 1) + between(firsts, 1, 2)
    )
    heights = [between(shares, a, a + 1) + balance * between(firsts, a, a + 1) for a in (0, 1)]
    assert float(found.heights[0]) == pytest.approx(min(heights), rel=1e-4)


def test_colours_that_are_all_the_same_do_not_decide():
    shares = [0.2, 0.3, 0.5]
    same = histograms(*[(0.4, 0.6)] * 3)
    plain, coloured = tree_of(shares), tree_of(shares, colours=same, colour_weight=1.0)
    assert torch.equal(plain.joins, coloured.joins)
    assert torch.equal(plain.heights, coloured.heights)


def test_a_single_leaf_is_a_tree_without_joins():
    found = tree_of([0.3], colours=histograms((1.0,)), colour_weight=1.0)
    assert found.joins.shape == (0, 2)
    assert len(found.heights) == 0
    assert found.count == 1


def test_shares_of_zero_are_as_far_as_a_floor_of_ten_to_the_minus_twelve():
    found = tree_of([0.0, 0.5])
    p, q = np.array([1e-12, 1.0]), np.array([0.5, 0.5])
    assert float(found.heights[0]) == pytest.approx(divergence(p, q), rel=1e-6)


def test_a_leaf_has_the_mean_map_of_the_tokens_that_its_pixels_lie_in():
    # Four rows of pixels on three of tokens: rows 0 and 1 lie in token row 0, row 2 in 1 and row 3 in 2.
    attention = torch.eye(6)
    leaves = torch.tensor([[0, 0, 0], [0, 1, 1], [1, 1, 1], [1, 1, 2]])
    found = mean_maps(attention, GridSize(3, 2), leaves, 3)
    tokens = torch.tensor([[0, 0, 1], [0, 0, 1], [2, 2, 3], [4, 4, 5]])
    expected = torch.stack([attention[tokens[leaves == leaf]].mean(0) for leaf in range(3)])
    torch.testing.assert_close(found, expected)
    assert found.sum(1).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("weight", "colour_weight"), [(None, 0.0), (None, 0.7), (0.0, 0.0), (1.5, 0.0), (0.5, 0.25), (1.0, 2.0)]
)
def test_joins_and_heights_are_those_of_the_definition(seed, weight, colour_weight):
    generator = torch.Generator().manual_seed(seed)
    height, width, count = 9, 11, 14
    leaves = irregular_leaves(generator, height, width, count)
    attention = (2 * torch.rand(height * width, 30, generator=generator) ** 3).softmax(1)
    image = torch.rand(height, width, 3, generator=generator) ** 3
    colours = (
        (torch.rand(count, 7, generator=generator) ** 4 + 1e-3).log().softmax(1) if colour_weight else None
    )
    found = hierarchy_of(
        attention,
        GridSize(height, width),
        GridSize(5, 6),
        leaves,
        None if weight is None else Contrast(image, leaves, weight),
        colours,
        colour_weight,
    )
    slow = SlowTree(
        attention, leaves, None if weight is None else image, weight or 0.0, colours, colour_weight
    )
    assert found.joins.tolist() == slow.joins
    np.testing.assert_allclose(found.heights.numpy(), np.maximum.accumulate(slow.heights), rtol=1e-4)
    assert found.leaves.dtype == torch.int32
    assert found.maps.shape == (count, 5, 6)
    torch.testing.assert_close(found.maps.flatten(1), torch.from_numpy(slow.maps).float())


def test_colours_do_not_count_unless_a_weight_says_so():
    shares = [0.2, 0.3, 0.5]
    colours = histograms((0.9, 0.1), (0.1, 0.9), (0.15, 0.85))
    plain, coloured = tree_of(shares), tree_of(shares, colours=colours)
    assert torch.equal(plain.joins, coloured.joins)
    assert torch.equal(plain.heights, coloured.heights)


def test_colours_do_not_count_where_maps_are_equal_to_rounding():
    """What differs by 10⁻¹² nats is no measure for how far apart maps usually are."""
    shares = [0.5, 0.500001, 0.500003]
    colours = histograms((0.9, 0.1), (0.1, 0.9), (0.15, 0.85))
    plain, coloured = tree_of(shares), tree_of(shares, colours=colours, colour_weight=1.0)
    assert torch.equal(plain.heights, coloured.heights)


def test_heights_of_nearly_equal_maps_are_not_lost_in_rounding():
    """2·10⁻⁸ nats, the difference of numbers about 0.7: more digits than float32 has."""
    p, q = (float(each) for each in torch.tensor([0.5, 0.5001]))
    found = tree_of([0.5, 0.5001])
    assert float(found.heights[0]) == pytest.approx(0.5 * (q - p) * (logit(q) - logit(p)), rel=1e-3)


def test_colours_count_between_two_leaves_too():
    colours = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    alone = tree_of((0.2, 0.6)).heights
    assert tree_of((0.2, 0.6), colours=colours, colour_weight=0.5).heights.item() == pytest.approx(
        1.5 * alone.item()
    )
    assert tree_of((0.2, 0.6), colours=colours, colour_weight=0.0).heights.tolist() == alone.tolist()
