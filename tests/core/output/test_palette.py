"""Colours of segments: apart from each other, light and dark, and the same at every granularity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import Hierarchy, Segments
from diffseg_core.output.palette import APART, FIRST, PALETTE, colours_of, oklab, tree_colours


def random_tree(leaves: int, seed: int = 0) -> Hierarchy:
    """Leaves in rows of pixels of various lengths, joined by chance."""
    generator = np.random.default_rng(seed)
    areas = generator.integers(1, 40, leaves)
    labels = np.repeat(np.arange(leaves), areas).astype(np.int32)[None]
    alive, joins = list(range(leaves)), []
    while len(alive) > 1:
        first, second = sorted(generator.choice(len(alive), 2, replace=False).tolist())
        joins.append((alive[first], alive[second]))
        del alive[second]
    return Hierarchy(
        torch.from_numpy(labels),
        torch.tensor(joins, dtype=torch.int64).view(-1, 2),
        torch.linspace(0.1, 1.0, leaves - 1, dtype=torch.float64),
        torch.full((leaves, 1, 1), 1.0),
    )


def colours_by_mask(segments: Segments) -> dict[bytes, tuple[float, ...]]:
    labels = segments.labels[0].numpy()
    colours = colours_of(segments, 0)
    return {(labels == index).tobytes(): tuple(colour) for index, colour in enumerate(colours.tolist())}


def test_oklab_of_known_colours():
    """Ottosson's own: white is (1, 0, 0); red, green and blue as his reference code gives them."""
    found = oklab(np.array([[1.0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    expected = [
        [1, 0, 0],
        [0.62796, 0.22486, 0.12585],
        [0.86644, -0.23389, 0.1795],
        [0.45201, -0.03246, -0.31153],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_first_colours_differ_in_lightness_as_well_as_in_hue():
    lightness, green_red, blue_yellow = oklab(PALETTE[:FIRST]).T
    assert lightness.max() - lightness.min() > 0.5
    assert lightness.std() > 0.15
    hues = np.sort(np.arctan2(blue_yellow, green_red))
    assert np.diff(hues).max() < 1.3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("leaves", [2, 30, 150])
def test_a_segment_has_the_same_colour_at_every_granularity(leaves, seed):
    tree = random_tree(leaves, seed)
    seen: dict[bytes, tuple[float, ...]] = {}
    for number in range(1, leaves + 1):
        found = colours_by_mask(Segments.of_hierarchies([tree], [number]))
        assert len(found) == number
        for mask, colour in found.items():
            assert seen.setdefault(mask, colour) == colour


@pytest.mark.parametrize("seed", range(5))
def test_the_larger_part_of_a_segment_keeps_its_colour(seed):
    tree = random_tree(40, seed)
    for number in range(1, 40):
        one, two = (Segments.of_hierarchies([tree], [count]) for count in (number, number + 1))
        coarse, fine = (colours_by_mask(each) for each in (one, two))
        (whole,) = coarse.keys() - fine.keys()
        parts = sorted(fine.keys() - coarse.keys(), key=lambda mask: sum(mask))
        assert sum(parts[0]) + sum(parts[1]) == sum(whole)
        if sum(parts[0]) < sum(parts[1]):
            assert fine[parts[1]] == coarse[whole]
        assert np.linalg.norm(np.subtract(*oklab(np.array([fine[part] for part in parts])))) >= APART


def test_up_to_64_segments_of_a_hierarchy_all_have_different_colours():
    tree = random_tree(64)
    assert len(set(tree_colours(tree))) == 64
    assert len(np.unique(colours_of(Segments.of_hierarchies([tree], [64]), 0), axis=0)) == 64
