"""What is refused as attention, and what the message then says."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import AttentionMaps, DiffSegError, GridSize, InvalidAttentionError


def uniform(tokens: int, batch: int = 1) -> torch.Tensor:
    return torch.full((batch, tokens, tokens), 1 / tokens)


def with_entry(value: float) -> torch.Tensor:
    maps = uniform(16)
    maps[0, 3, 5] = value
    return maps


BAD = {
    "no map": ({}, ["at least one resolution", "none"]),
    "grid and map differ": ({(4, 4): uniform(15)}, ["[batch, 16, 16], for the 4×4 grid", "got 1×15×15"]),
    "not square": ({(4, 4): torch.full((1, 16, 15), 1 / 15)}, ["[batch, 16, 16]", "got 1×16×15"]),
    "no batch": ({(4, 4): uniform(16)[0]}, ["[batch, 16, 16]", "got 16×16"]),
    "heads left in": ({(4, 4): uniform(16)[None]}, ["got 1×1×16×16", "Average over heads"]),
    "empty batch": ({(4, 4): uniform(16, 0)}, ["one or more images", "4×4", "got 0×16×16"]),
    "batches differ": (
        {(4, 4): uniform(16, 2), (2, 2): uniform(4, 3)},
        ["hold 2 image(s)", "got 3", "2×2"],
    ),
    "devices differ": (
        {(4, 4): uniform(16), (2, 2): uniform(4).to("meta")},
        ["on cpu", "on meta", "2×2"],
    ),
    "integers": ({(4, 4): torch.ones(1, 16, 16, dtype=torch.int32)}, ["floating-point", "torch.int32"]),
    "not a tensor": ({(4, 4): [[1.0]]}, ["floating-point tensor", "list"]),
    "empty grid": ({(0, 4): uniform(16)}, ["at least 1×1", "got 0×4"]),
    "NaN": ({(4, 4): with_entry(float("nan"))}, ["finite", "4×4", "NaN"]),
    "infinite": ({(4, 4): with_entry(float("inf"))}, ["finite", "4×4", "infinite"]),
    "negative": ({(4, 4): with_entry(-0.01)}, ["from 0 to 1", "4×4", "-0.01"]),
    "rows sum to less": (
        {(4, 4): uniform(16) * 0.9},
        ["row of the 4×4 grid to sum to 1", "from 0.9 to 0.9"],
    ),
    "one row sums to more": ({(4, 4): with_entry(0.125)}, ["sum to 1", "from 1 to 1.062"]),
    "heads summed": ({(4, 4): uniform(16) * 8}, ["from 8 to 8", "averaged over heads, not summed"]),
    "the second is bad": ({(4, 4): uniform(16), (2, 2): uniform(4) * 3}, ["2×2 grid", "from 3 to 3"]),
}


@pytest.mark.parametrize(("maps", "words"), BAD.values(), ids=BAD)
def test_bad_attention_is_refused_with_the_numbers(maps, words):
    with pytest.raises(InvalidAttentionError) as caught:
        AttentionMaps(maps)
    assert isinstance(caught.value, DiffSegError)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_rounding_to_half_precision_is_not_taken_for_an_error(dtype, attention):
    AttentionMaps({(32, 32): attention((32, 32)).to(dtype)})


def test_maps_know_their_grids_largest_first_batch_and_device():
    maps = AttentionMaps({(2, 3): uniform(6, 2), (4, 6): uniform(24, 2)})
    assert list(maps) == [(4, 6), (2, 3)]
    assert (maps.grid, maps.batch_size, maps.device) == (GridSize(4, 6), 2, torch.device("cpu"))
    assert maps[2, 3].shape == (2, 6, 6)
    assert repr(maps) == "AttentionMaps(2 image(s), grids 4×6, 2×3, float32, cpu)"
