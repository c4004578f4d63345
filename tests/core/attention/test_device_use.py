"""Attention is gathered and aggregated without the host waiting for a value, and without float64."""

from __future__ import annotations

import pytest
import torch
from device_use import queued_only

from diffseg_core import GridSize
from diffseg_core.attention.accumulator import AttentionAccumulator
from diffseg_core.attention.aggregation import aggregate
from diffseg_core.attention.key_pooling import key_grid_for, pool_keys


@pytest.mark.parametrize("grid", [GridSize(8, 6), GridSize(72, 66)], ids=["all keys", "pooled keys"])
def test_a_layer_is_queued_without_waiting(grid):
    accumulator = AttentionAccumulator()
    layer = [torch.randn(1, 2, grid.tokens, 8) for _ in range(3)]
    with queued_only():
        accumulator.attend(*layer, grid)
    assert accumulator.finish().key_grid == key_grid_for(grid)


def test_aggregation_is_queued_without_waiting():
    grids = [GridSize(12, 9), GridSize(6, 5), GridSize(3, 2)]
    maps = {grid: torch.rand(2, grid.tokens, grid.tokens).softmax(2) for grid in grids}
    with queued_only():
        out = aggregate(maps, {grid: grid for grid in grids}, grids[0])
    torch.testing.assert_close(out.sum(2), torch.ones(2, grids[0].tokens))


@pytest.mark.parametrize("sides", [(5, 3), (130, 65), (257, 65), (333, 56)])
def test_a_token_is_shared_out_exactly(sides):
    length, cells = sides
    shares = pool_keys(torch.eye(length), GridSize(1, length), GridSize(1, cells)).double()
    borders = torch.arange(cells + 1, dtype=torch.float64) * length / cells
    tokens = torch.arange(length, dtype=torch.float64)[:, None]
    expected = torch.minimum(borders[1:], tokens + 1) - torch.maximum(borders[:-1], tokens)
    torch.testing.assert_close(shares, expected.clamp_min(0), rtol=0, atol=1e-6)


def test_the_watch_sees_what_makes_a_host_wait():
    values = torch.rand(4)
    for wait in (lambda: values.nonzero(), lambda: values[values > 0.5], lambda: float(values[0])):
        with pytest.raises(AssertionError, match="makes the host wait"), queued_only():
            wait()
    with pytest.raises(AssertionError, match="gives float64"), queued_only():
        values.double()
