"""Capture of attention layers against a plain softmax(QKᵀ/√d)."""

from __future__ import annotations

import math

import pytest
import torch

from diffseg_core import AttentionAccumulator, CaptureError, GridSize
from diffseg_core.attention import accumulator

GRID = GridSize(3, 5)
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def layer(
    grid: GridSize = GRID, batch: int = 2, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query, key and value of three heads, `[B, 3, n, 4]`."""
    generator = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, batch, 3, grid.tokens, 4, generator=generator).to(dtype) * 2
    return query, key, value


def plain(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Probabilities in float64, `[B, heads, n, n]`."""
    scores = query.double() @ key.double().transpose(2, 3) / math.sqrt(query.shape[3])
    return torch.softmax(scores, dim=3)


@pytest.mark.parametrize("rows", [1, 4, 15, 1000])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_output_and_maps_equal_plain_attention(dtype, rows, monkeypatch):
    monkeypatch.setattr(accumulator, "CHUNK_VALUES_CPU", rows * 3 * GRID.tokens)
    query, key, value = layer(dtype=dtype)
    gathered = AttentionAccumulator()
    output = gathered.attend(query, key, value, GRID)
    expected = plain(query, key)
    assert output.dtype == dtype
    torch.testing.assert_close(
        output.double(), expected @ value.double(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
    )
    maps = gathered.finish()[GRID]
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps.double(), expected.mean(1), rtol=1e-5, atol=1e-6)


def test_a_chunk_smaller_than_one_row_of_all_heads_still_works(monkeypatch):
    monkeypatch.setattr(accumulator, "CHUNK_VALUES_CPU", 1)
    query, key, value = layer()
    gathered = AttentionAccumulator()
    gathered.attend(query, key, value, GRID)
    torch.testing.assert_close(gathered.finish()[GRID], plain(query, key).mean(1).float())


def test_scores_beyond_half_precision_do_not_overflow():
    query, key, value = layer(dtype=torch.float16)
    gathered = AttentionAccumulator()
    output = gathered.attend(query * 200, key * 200, value, GRID)
    assert (query.double() @ key.double().transpose(2, 3)).abs().max() * 200**2 > torch.finfo(
        torch.float16
    ).max
    assert output.isfinite().all()
    expected = plain(query * 200, key * 200).mean(1).float()
    torch.testing.assert_close(gathered.finish()[GRID], expected, rtol=1e-4, atol=1e-6)


def test_layers_of_one_resolution_are_averaged_and_resolutions_kept_apart():
    small = GridSize(2, 2)
    gathered = AttentionAccumulator()
    layers = [layer(seed=seed) for seed in range(3)]
    for inputs in layers:
        gathered.attend(*inputs, GRID)
    coarse = layer(small)
    gathered.attend(*coarse, small)
    assert gathered.layers == 4
    maps = gathered.finish()
    assert maps.grids == (GRID, small)
    expected = torch.stack([plain(query, key).mean(1) for query, key, _ in layers]).mean(0)
    torch.testing.assert_close(maps[GRID], expected.float())
    torch.testing.assert_close(maps[small], plain(*coarse[:2]).mean(1).float())


def test_large_maps_are_kept_in_half_precision(monkeypatch):
    monkeypatch.setattr(accumulator, "HALF_ABOVE_BYTES", 4 * 2 * GRID.tokens**2 - 1)
    query, key, value = layer()
    gathered = AttentionAccumulator()
    gathered.attend(query, key, value, GRID)
    maps = gathered.finish()[GRID]
    assert maps.dtype == torch.float16
    torch.testing.assert_close(maps.double(), plain(query, key).mean(1), rtol=1e-3, atol=1e-6)


def test_tokens_that_are_not_the_grid_s_are_refused():
    merged = layer(GridSize(2, 5))
    with pytest.raises(
        CaptureError, match="Expected 15 query and key tokens for the 3×5 grid, got 10 and 10"
    ):
        AttentionAccumulator().attend(*merged, GRID)


def test_fewer_keys_than_queries_are_refused():
    query, key, value = layer()
    with pytest.raises(CaptureError, match=r"Expected 15 .* got 15 and 9"):
        AttentionAccumulator().attend(query, key[:, :, :9], value[:, :, :9], GRID)


def test_a_batch_that_changes_between_layers_is_refused():
    gathered = AttentionAccumulator()
    gathered.attend(*layer(), GRID)
    with pytest.raises(CaptureError, match="Expected a batch of 2 in every layer, got 1 at 3×5"):
        gathered.attend(*layer(batch=1), GRID)


def test_a_capture_without_layers_is_refused():
    with pytest.raises(CaptureError, match="at least one captured self-attention layer, got none"):
        AttentionAccumulator().finish()
