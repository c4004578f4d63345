"""Trees of segments: what every cut must be, and that attention decides on them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_images import mosaic

from diffseg_core import AttentionMaps, Hierarchy, InvalidSettingError, segment_hierarchy
from diffseg_core.hierarchy.tree_building import build_hierarchy
from diffseg_core.merging.small_regions import connected_components
from diffseg_core.output.palette import colours_of


@pytest.fixture
def tree(attention):
    return segment_hierarchy(AttentionMaps({(12, 16): attention((12, 16))}), mosaic(96, 128)).hierarchies[0]


def members(tree, number):
    """The segment of every leaf."""
    return torch.from_numpy(tree.nodes.cut(number)[1])


def partition(tree, number):
    return members(tree, number)[tree.leaves.long()]


def test_every_cut_has_the_number_and_coarser_ones_are_unions_of_finer_ones(tree):
    assert tree.count > 20
    for number in range(1, tree.count):
        coarse, fine = members(tree, number), members(tree, number + 1)
        assert len(coarse.unique()) == number
        assert len(torch.stack((coarse, fine)).unique(dim=1)[0]) == number + 1  # each fine one in one coarse
    assert torch.equal(members(tree, tree.count), torch.arange(tree.count))
    assert torch.equal(members(tree, 10**6), members(tree, tree.count))


def test_heights_never_fall_and_a_cut_at_a_height_is_one_by_number(tree):
    heights = tree.heights
    assert (heights.diff() >= 0).all()
    assert tree.number_at(-1.0) == tree.count
    assert tree.number_at(float(heights[-1])) == 1
    assert tree.number_at(float(heights[4])) <= tree.count - 5


def test_segments_of_neighbours_are_connected(tree):
    for number in (2, 5, 11):
        labels = partition(tree, number).numpy().astype(np.int32)
        assert connected_components(labels).max() + 1 == number


def test_the_same_input_gives_the_same_tree(attention):
    maps = AttentionMaps({(12, 16): attention((12, 16))})
    first, second = (segment_hierarchy(maps, mosaic(50, 70)).hierarchies[0] for _ in range(2))
    assert torch.equal(first.joins, second.joins)
    assert torch.equal(first.heights, second.heights)


def test_joins_are_those_of_the_definition():
    """Against a slow tree that computes every distance anew from the pixels."""
    generator = torch.Generator().manual_seed(3)
    attention = torch.rand(24, 24, generator=generator).softmax(1)
    leaves = torch.arange(24, dtype=torch.int32).view(4, 6).repeat_interleave(2, 0)  # 2 pixels each
    found = build_hierarchy(attention.view(24, 4, 6), leaves)  # a leaf is a token
    groups = {leaf: [leaf] for leaf in range(24)}
    for step in range(23):
        means = {name: attention[group].double().mean(0) for name, group in groups.items()}
        distances = {
            (a, b): float((0.5 * (means[a] - means[b]) * (means[a].log() - means[b].log())).sum())
            for a, b in itertools.combinations(sorted(groups), 2)
        }
        first, second = min(distances, key=lambda pair: distances[pair])
        assert found.joins[step].tolist() == [first, second]
        groups[first] += groups.pop(second)


def test_attention_decides_where_the_image_does_not():
    # Four quarters of different colour; attention holds left and right together.
    image = torch.zeros(1, 64, 64, 3)
    image[:, :32, :32, 0], image[:, 32:, :32, 1], image[:, :32, 32:, 2] = 1, 1, 1
    left = (torch.arange(64) % 8 < 4).float()
    attention = torch.where(left[:, None] == left, 1.0, 0.05)
    maps = AttentionMaps({(8, 8): (attention / attention.sum(1, keepdim=True))[None]})
    segments = segment_hierarchy(maps, image, number=2, contrast=0, colour=0)
    assert segments.labels[0, :, :32].unique().numel() == 1
    assert segments.labels[0, 0, 0] != segments.labels[0, 0, 63]
    assert segments.counts == [2]


def test_things_of_one_kind_are_one_segment_where_any_may_join():
    image = torch.zeros(1, 32, 96, 3)
    image[:, :, 32:64] = 1.0
    middle = (torch.arange(4 * 12) % 12 // 4 == 1).float()
    attention = torch.where(middle[:, None] == middle, 1.0, 0.05)
    maps = AttentionMaps({(4, 12): (attention / attention.sum(1, keepdim=True))[None]})
    apart = segment_hierarchy(maps, image, number=2, neighbours_only=False, colour=0).labels[0]
    assert apart[0, 0] == apart[0, 95] != apart[0, 48]
    assert len(segment_hierarchy(maps, image, number=3).labels.unique()) == 3


def test_the_automatic_number_goes_by_areas_and_not_by_the_sharpness_of_attention(attention):
    scene = attention((12, 16))
    numbers = []
    for temperature in (0.5, 1.0, 2.0):
        changed = scene ** (1 / temperature)
        maps = AttentionMaps({(12, 16): changed / changed.sum(-1, keepdim=True)})
        segments = segment_hierarchy(maps, mosaic(96, 128, cells=4))
        shares = segments.areas().double() / segments.areas().sum()
        assert 2.5 < float((-(shares * shares.log()).sum()).exp()) < 6
        numbers.append(segments.counts[0])
    assert max(numbers) <= 2 * min(numbers)


def test_another_cut_of_the_segments_is_that_of_the_tree(attention):
    maps = AttentionMaps({(8, 8): attention((8, 8), batch=2)})
    segments = segment_hierarchy(maps, torch.cat((mosaic(64, 64), mosaic(64, 64, seed=1))), number=4)
    again = segments.at_granularity(9)
    assert segments.counts == [4, 4]
    assert again.counts == [9, 9]
    for image in range(2):
        assert (again.areas(image).diff() <= 0).all()
        assert len(again.proposals[image]) == 9
        expected = partition(segments.hierarchies[image], 9)
        assert len(torch.stack((expected, again.labels[image].long())).flatten(1).unique(dim=1)[0]) == 9
    torch.testing.assert_close(again.proposals[0].sum((1, 2)), torch.ones(9))
    assert torch.equal(again.at_granularity(4).labels, segments.labels)


def test_segments_without_a_tree_have_no_other_cut(attention):
    segments = segment_hierarchy(AttentionMaps({(8, 8): attention((8, 8))}), mosaic(40, 40), number=3)
    with pytest.raises(InvalidSettingError, match="granularity of 5, got some without a hierarchy"):
        replace(segments, hierarchies=()).at_granularity(5)
    with pytest.raises(InvalidSettingError, match="number of segments from 1 to 65535, got 0"):
        segments.at_granularity(0)


def test_a_tree_goes_on_over_the_segments_that_are_kept(attention):
    segments = segment_hierarchy(AttentionMaps({(8, 8): attention((8, 8))}), mosaic(40, 40), number=6)
    kept = segments.subset([[1, 2, 4]])
    tree = kept.hierarchies[0]
    assert torch.equal(kept.at_granularity(3).labels, kept.labels)
    assert torch.equal(tree.leaves >= 0, kept.labels[0] >= 0)
    assert tree.areas.sum() == (kept.labels >= 0).sum()
    assert tree.count == len(tree.joins) + 1 == len(tree.maps)
    assert kept.at_granularity(1).counts == [1]
    finer = kept.at_granularity(tree.count).labels[0]
    before = segments.at_granularity(segments.hierarchies[0].count).labels[0]
    inside = finer >= 0
    assert len(torch.stack((finer[inside], before[inside])).unique(dim=1)[0]) == tree.count
    assert (tree.heights.diff() >= 0).all()


def test_a_tree_of_nothing_has_no_segment(attention):
    segments = segment_hierarchy(AttentionMaps({(8, 8): attention((8, 8))}), mosaic(40, 40), number=6)
    none = segments.subset([[]])
    assert none.hierarchies[0].count == 0
    assert none.at_granularity(4).counts == [0]
    assert none.subset([[]]).counts == [0]
    assert len(colours_of(none, 0)) == 0


def test_joins_of_which_one_side_is_left_fall_away():
    leaves = torch.tensor([[0, 1, 2, 3]])
    tree = Hierarchy(
        leaves, torch.tensor([[1, 2], [0, 1], [0, 3]]), torch.tensor([1.0, 2.0, 3.0]), torch.rand(4, 2, 2)
    )
    left = tree.restrict(torch.tensor([[-1, -1, 2, 3]]))
    assert left.leaves.tolist() == [[-1, -1, 0, 1]]
    assert (left.joins.tolist(), left.heights.tolist()) == ([[0, 1]], [3.0])
    assert torch.equal(left.maps, tree.maps[2:])
    assert tree.restrict(leaves).joins.tolist() == tree.joins.tolist()


def test_what_is_no_tree_is_refused_where_it_is_made():
    def made(joins, heights, count=4):
        return Hierarchy(
            torch.zeros(1, 1, dtype=torch.int32),
            torch.tensor(joins, dtype=torch.int64).view(-1, 2),
            torch.tensor(heights).double(),
            torch.rand(count, 1, 1),
        )

    right = [[1, 2], [0, 1], [0, 3]]
    assert made(right, [0, 0, 1]).count == 4
    assert made([], [], 1).count == 1
    for joins, step in (
        ([[2, 1], [0, 1], [0, 3]], 0),  # the larger number first
        ([[1, 2], [0, 2], [0, 3]], 1),  # 2 joins twice
        ([[1, 2], [0, 1], [1, 3]], 2),  # 1 is part of 0 by then
        ([[1, 1], [0, 1], [0, 3]], 0),
        ([[1, 2], [0, 1], [0, 4]], 2),
        ([[1, 2], [-1, 1], [0, 3]], 1),
    ):
        with pytest.raises(
            InvalidSettingError, match=f"first < second, got .* as join {step} of a tree of 4"
        ):
            made(joins, [0, 1, 2])
    for heights in ([0, 2, 1], [0, 1, float("nan")]):
        with pytest.raises(InvalidSettingError, match="heights that never fall"):
            made(right, heights)
    with pytest.raises(InvalidSettingError, match=r"joins \[3, 2\] .* got \[2, 2\]"):
        made(right[:2], [0, 1])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (37, 211), (200, 50)])
def test_images_of_any_size_have_a_tree(attention, size):
    segments = segment_hierarchy(AttentionMaps({(8, 8): attention((8, 8))}), mosaic(*size))
    assert segments.labels.shape == (1, *size)
    assert segments.labels.amin() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_attention_gives_nearly_the_same_segments(attention, dtype):
    scene = attention((16, 16))
    images = mosaic(96, 96, cells=5)
    full = segment_hierarchy(AttentionMaps({(16, 16): scene}), images, number=6).labels
    half = segment_hierarchy(AttentionMaps({(16, 16): scene.to(dtype)}), images, number=6).labels
    assert (full == half).float().mean() > 0.9
