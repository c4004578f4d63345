"""Growing over an image: who gets a pixel, and that it is reached over pixels of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core.image.watershed import Forest, watershed
from diffseg_core.merging.small_regions import connected_components


def greys(values: list[list[float]]) -> torch.Tensor:
    return torch.tensor(values)[..., None].expand(-1, -1, 3).contiguous()


def seeds_of(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, dtype=np.int32)


def greatest_on_the_way(image: np.ndarray, start: np.ndarray) -> np.ndarray:
    """For every pixel the least greatest difference on a way from ``start``, by brute force."""
    best = np.where(start, 0.0, np.inf)
    while True:
        before = best.copy()
        for axis in (0, 1):
            difference = np.linalg.norm(np.diff(image, axis=axis), axis=-1)
            first, last = [slice(None)] * 2, [slice(None)] * 2
            first[axis], last[axis] = slice(None, -1), slice(1, None)
            for here, there in ((tuple(first), tuple(last)), (tuple(last), tuple(first))):
                best[here] = np.minimum(best[here], np.maximum(best[there], difference))
        if np.array_equal(before, best):
            return best


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [3, 1000])
def test_every_pixel_goes_to_a_seed_that_is_reached_over_the_least_greatest_difference(seed, levels):
    generator = np.random.default_rng(seed)
    image = (generator.integers(0, levels, (12, 17, 3)) / levels).astype(np.float32)
    seeds = np.full((12, 17), -1, dtype=np.int32)
    places = generator.choice(12 * 17, 9, replace=False)
    seeds.ravel()[places] = np.arange(9) // 2  # most have two places
    grown = watershed(seeds, torch.from_numpy(image))
    reached = np.stack([greatest_on_the_way(image, seeds == number) for number in range(5)])
    own = np.take_along_axis(reached, grown[None].astype(int), 0)[0]
    np.testing.assert_allclose(own, reached.min(0), rtol=1e-6)
    assert np.array_equal(grown.ravel()[places], seeds.ravel()[places])
    for number in range(5):
        parts = connected_components((grown == number).astype(np.int32))
        of_number = np.unique(parts[grown == number])
        assert set(of_number) == set(np.unique(parts[seeds == number]))  # each part holds a seed


def test_borders_lie_at_the_greatest_step_though_the_sum_of_small_ones_is_greater():
    image = greys([[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.65]])
    assert watershed(seeds_of([[0, -1, -1, -1, -1, -1, -1, 1]]), image).tolist() == [[0, 0, 0, 0, 0, 0, 1, 1]]


def test_a_seed_reaches_around_a_corner_and_not_across_one():
    image = greys([[0.0, 0.0, 0.9], [0.9, 0.0, 0.9], [0.9, 0.9, 0.0]])
    seeds = seeds_of([[0, -1, -1], [1, -1, 2], [-1, -1, 3]])
    assert watershed(seeds, image).tolist() == [[0, 0, 2], [1, 0, 2], [1, 1, 3]]


def test_a_step_in_any_one_colour_is_seen():
    for channel in range(3):
        image = torch.full((1, 4, 3), 0.5)
        image[0, 2:, channel] = 0.6
        assert watershed(seeds_of([[0, -1, -1, 1]]), image).tolist() == [[0, 0, 1, 1]]
        assert watershed(seeds_of([[0], [-1], [-1], [1]]), image.transpose(0, 1)).tolist() == [
            [0],
            [0],
            [1],
            [1],
        ]


def test_seeds_stay_as_they_are():
    seeds = seeds_of([[3, 3], [0, 3]])
    grown = watershed(seeds, torch.rand(2, 2, 3))
    assert np.array_equal(grown, seeds)
    grown[0, 0] = 9
    assert seeds[0, 0] == 3


def test_one_seed_fills_the_image():
    seeds = np.full((9, 11), -1, dtype=np.int32)
    seeds[4, 4] = 6
    assert (watershed(seeds, torch.rand(9, 11, 3)) == 6).all()


@pytest.mark.parametrize(("weight", "joined"), [(0.25, True), (0.2500001, False)])
def test_two_pixels_that_differ_by_the_allowance_join_and_no_others(weight, joined):
    forest = Forest(np.array([0]), np.array([1]), np.array([weight], dtype=np.float32), np.ones(2, dtype=int))
    forest.join_similar(0.25)
    first, second = forest.piece_of(np.arange(2))
    assert (first == second) == joined
