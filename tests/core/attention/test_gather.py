"""The accumulator beside a layer that computes its own output, and the features that it keeps."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import AttentionAccumulator, AttentionMaps, CaptureError, GridSize, InvalidAttentionError

GRID = GridSize(3, 4)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def gathered(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    accumulator = AttentionAccumulator()
    accumulator.gather(query, key, GRID)
    return accumulator.finish()[GRID]


def test_it_is_what_attend_gathers():
    query, key, value = drawn(2, 5, 12, 4), drawn(2, 5, 12, 4) * 2, drawn(2, 5, 12, 4)
    accumulator = AttentionAccumulator()
    accumulator.attend(query, key, value, GRID)
    assert torch.equal(gathered(query, key), accumulator.finish()[GRID])


def test_fewer_keys_heads_serve_several_queries_each():
    query, key = drawn(1, 6, 12, 4), drawn(1, 2, 12, 4)
    expected = gathered(query, key[:, [0, 0, 0, 1, 1, 1]])
    assert torch.equal(gathered(query, key), expected)


def test_layers_are_averaged():
    layers = [(drawn(1, 2, 12, 4), drawn(1, 2, 12, 4)), (drawn(1, 2, 12, 4) * 3, drawn(1, 2, 12, 4) * 2)]
    accumulator = AttentionAccumulator()
    for query, key in layers:
        accumulator.gather(query, key, GRID)
    assert accumulator.layers == 2
    mean = torch.stack([gathered(*layer) for layer in layers]).mean(0)
    torch.testing.assert_close(accumulator.finish()[GRID], mean)


def test_other_tokens_than_the_grids_are_refused():
    with pytest.raises(CaptureError, match="Expected 12 query and key tokens for the 3×4 grid, got 10"):
        gathered(drawn(1, 2, 10, 4), drawn(1, 2, 10, 4))


def with_features(tokens: torch.Tensor) -> AttentionMaps:
    accumulator = AttentionAccumulator()
    accumulator.gather(drawn(len(tokens), 2, 12, 4), drawn(len(tokens), 2, 12, 4), GRID)
    accumulator.keep_features(tokens, GRID)
    return accumulator.finish(evidence="features")


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        (torch.float32, torch.float16),
        (torch.float16, torch.float16),
        (torch.bfloat16, torch.bfloat16),
    ],
)
def test_features_are_kept_in_half_precision(dtype, kept):
    tokens = drawn(2, 12, 7).to(dtype)
    maps = with_features(tokens)
    assert maps.features.dtype == kept
    assert maps.evidence == "features"
    expected = tokens.transpose(1, 2).reshape(2, 7, 3, 4).to(kept)
    assert torch.equal(maps.features, expected)
    assert maps.tensors[-1] is maps.features


def test_features_are_a_copy():
    tokens = drawn(1, 12, 7).half()
    maps = with_features(tokens)
    before = maps.features.clone()
    tokens.zero_()
    assert torch.equal(maps.features, before)


def test_features_beyond_float16_are_the_largest_it_knows():
    maps = with_features(torch.full((1, 12, 2), 1e6))
    assert maps.features.max() == torch.finfo(torch.float16).max


def test_features_of_other_tokens_are_refused():
    with pytest.raises(CaptureError, match=r"12 tokens \(3×4\), got 11"):
        with_features(drawn(1, 11, 2))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.ones(2, 5, 3, 4), r"\[1, channels, height, width\] on cpu, as the maps are, got 2×5×3×4"),
        (torch.ones(5, 3, 4), "got 5×3×4"),
        (torch.ones(1, 0, 3, 4), "got 1×0×3×4"),
        (torch.full((1, 5, 3, 4), torch.nan), "finite floating-point numbers"),
        (torch.ones(1, 5, 3, 4, dtype=torch.int32), "finite floating-point numbers"),
    ],
)
def test_maps_refuse_features_that_do_not_fit(features, message):
    attention = torch.full((1, 12, 12), 1 / 12)
    with pytest.raises(InvalidAttentionError, match=message):
        AttentionMaps({GRID: attention}, features)
