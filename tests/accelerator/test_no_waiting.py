"""The host hands over its work without waiting for the accelerator in between."""

from __future__ import annotations

import pytest
import torch
from device_use import queued_only


@pytest.fixture(params=[(48, 40), (72, 58)], ids=["all keys", "pooled keys"])
def grid(request, pack):
    return pack.diffseg_core.GridSize(*request.param)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_layer_is_gathered_without_waiting(pack, device, grid, dtype):
    accumulator = pack.diffseg_core.AttentionAccumulator()
    layer = torch.randn(3, 1, 2, grid.tokens, 40, device=device, dtype=dtype).unbind()
    accumulator.attend(*layer, grid)  # the first time libraries set themselves up
    with queued_only():
        output = accumulator.attend(*layer, grid)
    expected = torch.nn.functional.scaled_dot_product_attention(*(part.float() for part in layer))
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=2e-2 if dtype.itemsize == 2 else 1e-4)
    assert accumulator.finish().device == device


def test_resolutions_are_aggregated_without_waiting(pack, device):
    grids = [pack.diffseg_core.GridSize(side, side + 8) for side in (48, 24, 12)]
    maps = {grid: torch.rand(1, grid.tokens, grid.tokens, device=device).softmax(2) for grid in grids}
    own = {grid: grid for grid in grids}
    aggregate = pack.diffseg_core.attention.aggregation.aggregate
    with queued_only():
        found = aggregate(maps, own, grids[0])
    on_cpu = aggregate({grid: values.cpu() for grid, values in maps.items()}, own, grids[0])
    torch.testing.assert_close(found.cpu(), on_cpu, rtol=1e-4, atol=1e-8)


def test_the_first_pass_of_merging_does_not_wait(pack, device):
    if device.type == "cpu":
        pytest.skip("the CPU looks at maps to leave out what cannot be near")
    merging = pack.diffseg_core.merging.merge
    maps = (3.0 * torch.randn(1600, 1600, device=device)).softmax(1)
    anchors = merging.anchor_tokens(pack.diffseg_core.GridSize(40, 40), 16).to(device)
    merging.merge(maps, anchors, [5.0])
    with queued_only():
        found = merging.merge(maps, anchors, [5.0])
    torch.testing.assert_close(found.cpu(), merging.merge(maps.cpu(), anchors.cpu(), [5.0]))
