"""Large grids: rows keep their resolution, their keys are added up."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import AttentionAccumulator, AttentionMaps, GridSize, InvalidAttentionError, segment
from diffseg_core.attention import key_pooling
from diffseg_core.attention.key_pooling import key_grid_for, key_grid_of, pool_keys, pooled_grid


def test_probabilities_are_added_up_by_cells():
    attention = torch.rand(5, 8 * 12).softmax(1)
    pooled = pool_keys(attention, GridSize(8, 12), GridSize(4, 6))
    expected = attention.view(5, 4, 2, 6, 2).sum((2, 4)).view(5, 24)
    torch.testing.assert_close(pooled, expected)


@pytest.mark.parametrize("grid", [(9, 7), (5, 5), (100, 3), (1, 1)])
def test_what_does_not_divide_is_shared_evenly(grid):
    grid = GridSize(*grid)
    keys = pooled_grid(grid, 2)
    pooled = pool_keys(torch.full((3, grid.tokens), 1 / grid.tokens), grid, keys)
    torch.testing.assert_close(pooled, torch.full((3, keys.tokens), 1 / keys.tokens))
    attention = torch.rand(3, grid.tokens).softmax(1)
    torch.testing.assert_close(pool_keys(attention, grid, keys).sum(1), torch.ones(3))


def test_up_to_64_by_64_nothing_is_pooled():
    for grid in (GridSize(64, 64), GridSize(88, 46), GridSize(4096, 1), GridSize(1, 1)):
        assert key_grid_for(grid) == grid
        attention = torch.rand(2, grid.tokens)
        assert pool_keys(attention, grid, grid) is attention


@pytest.mark.parametrize("grid", [(65, 64), (128, 128), (96, 96), (256, 256), (300, 20), (129, 127)])
def test_larger_grids_have_at_most_4096_keys_of_a_whole_factor(grid):
    grid = GridSize(*grid)
    keys = key_grid_for(grid)
    assert 900 <= keys.tokens <= 4096
    assert any(keys == pooled_grid(grid, factor) for factor in range(2, 8))
    assert key_grid_of(grid, keys.tokens) == keys


@pytest.fixture
def few_keys(monkeypatch):
    """Pooling that begins at 8×8, so that small grids show it."""
    monkeypatch.setattr(key_pooling, "MAX_KEYS", 64)


@pytest.mark.parametrize("grid", [(16, 16), (20, 12), (13, 9)])
def test_a_captured_large_grid_is_the_pooled_one(few_keys, grid):
    grid = GridSize(*grid)
    query, key, value = torch.randn(3, 2, 4, grid.tokens, 8)
    accumulator = AttentionAccumulator()
    output = accumulator.attend(query, key, value, grid)
    maps = accumulator.finish()
    probabilities = (query @ key.transpose(2, 3) / 8**0.5).softmax(-1)
    torch.testing.assert_close(output, probabilities @ value)
    keys = key_grid_for(grid)
    assert maps[grid].shape == (2, grid.tokens, keys.tokens)
    expected = torch.stack([pool_keys(image, grid, keys) for image in probabilities.mean(1)])
    torch.testing.assert_close(maps[grid].float(), expected, rtol=2e-3, atol=1e-5)  # kept in float16
    assert maps.grid == grid
    assert maps.key_grid == keys
    torch.testing.assert_close(maps.aggregate().sum(2), torch.ones(2, grid.tokens))


def test_segments_of_pooled_keys_are_nearly_those_of_all_keys(attention):
    scene = attention((32, 32))
    keys = GridSize(16, 16)
    pooled = pool_keys(scene[0], GridSize(32, 32), keys)[None]
    whole = segment(AttentionMaps({(32, 32): scene}), (128, 128), merge_threshold=0.5).labels
    less = segment(AttentionMaps({(32, 32): pooled}), (128, 128), merge_threshold=0.5)
    assert less.proposals[0].shape[1:] == (16, 16)
    assert (whole == less.labels).float().mean() > 0.9


def test_coarser_resolutions_join_a_pooled_one(attention):
    fine, coarse = GridSize(16, 16), GridSize(8, 8)
    scene = attention((16, 16))
    maps = AttentionMaps({fine: pool_keys(scene[0], fine, coarse)[None], coarse: attention((8, 8))})
    whole = AttentionMaps({fine: scene, coarse: attention((8, 8))}).aggregate()
    expected = pool_keys(whole[0], fine, coarse)
    torch.testing.assert_close(maps.aggregate().sum(2), torch.ones(1, 256))
    torch.testing.assert_close(maps.aggregate()[0], expected, rtol=0, atol=0.03)  # upsampling blurs keys


@pytest.mark.parametrize("keys", [255, 65, 128])
def test_other_numbers_of_keys_are_refused(keys):
    with pytest.raises(InvalidAttentionError, match="16×16 grid"):
        AttentionMaps({(16, 16): torch.full((1, 256, keys), 1 / keys)})
