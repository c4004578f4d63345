"""The aggregate against the paper's recipe, written out one resolution at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import AttentionMaps
from diffseg_core.attention import aggregation

GRIDS = {
    "square, as in the paper": [(16, 16), (8, 8), (4, 4)],
    "odd and not square": [(13, 9), (7, 5)],
    "wide": [(6, 20), (3, 10), (2, 5)],
    "one resolution": [(5, 7)],
}


def bilinear(size: int, target: int) -> np.ndarray:
    """Half-pixel-centred interpolation along one side, `[target, size]`."""
    weights = np.zeros((target, size))
    for index in range(target):
        place = np.clip((index + 0.5) * size / target - 0.5, 0, size - 1)
        low = int(place)
        weights[index, low] += 1 - (place - low)
        weights[index, min(low + 1, size - 1)] += place - low
    return weights


def written_out(maps: dict[tuple[int, int], torch.Tensor], image: int) -> np.ndarray:
    """Section 3.2 of the paper for one image, in float64."""
    height, width = max(maps, key=lambda grid: grid[0] * grid[1])
    sides = {grid: np.sqrt(grid[0] * grid[1]) for grid in maps}
    total = np.zeros((height, width, height, width))
    for (h, w), tensor in maps.items():
        attention = tensor[image].double().numpy().reshape(h, w, h, w)
        keys = np.einsum("abij,yi,xj->abyx", attention, bilinear(h, height), bilinear(w, width))
        keys /= keys.sum((2, 3), keepdims=True)
        for y in range(height):
            for x in range(width):
                query = keys[int((y + 0.5) * h / height), int((x + 0.5) * w / width)]
                total[y, x] += query * sides[h, w] / sum(sides.values())
    return total.reshape(height * width, -1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("grids", GRIDS.values(), ids=GRIDS)
def test_aggregate_follows_the_paper(grids, dtype, attention):
    maps = {grid: attention(grid, batch=2, seed=index).to(dtype) for index, grid in enumerate(grids)}
    result = AttentionMaps(maps).aggregate()
    assert result.dtype == torch.float32
    for image in range(2):
        np.testing.assert_allclose(result[image].numpy(), written_out(maps, image), rtol=1e-4, atol=3e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_rows_of_the_aggregate_sum_to_one(dtype, attention):
    maps = {grid: attention(grid).to(dtype) for grid in GRIDS["odd and not square"]}
    torch.testing.assert_close(AttentionMaps(maps).aggregate().sum(2), torch.ones(1, 117), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sides", [[3], [6, 3]], ids=["one resolution", "two"])
def test_what_underflowed_in_float16_stays_above_zero(sides):
    smallest = 2.0**-24
    maps = {(side, side): torch.eye(side * side, dtype=torch.float16)[None] for side in sides}
    result = AttentionMaps(maps).aggregate()
    assert result.min().item() >= smallest / 8  # upsampling spreads it over more tokens
    exact = AttentionMaps({grid: tensor.float() for grid, tensor in maps.items()}).aggregate()
    assert exact.min() == 0
    torch.testing.assert_close(result, exact, rtol=0, atol=1e-5)


def test_chunks_do_not_change_the_aggregate(attention, monkeypatch):
    maps = {grid: attention(grid) for grid in GRIDS["odd and not square"]}
    whole = AttentionMaps(maps).aggregate()
    monkeypatch.setattr(aggregation, "CHUNK_VALUES_CPU", 2 * 9 * 117)  # 13 lines = 6 chunks of 2 and one of 1
    torch.testing.assert_close(AttentionMaps(maps).aggregate(), whole)


def test_images_of_a_batch_do_not_touch_each_other(attention):
    maps = {grid: attention(grid, batch=3) for grid in GRIDS["odd and not square"]}
    together = AttentionMaps(maps).aggregate()
    for image in range(3):
        alone = AttentionMaps({grid: tensor[image : image + 1] for grid, tensor in maps.items()})
        torch.testing.assert_close(together[image], alone.aggregate()[0], rtol=0, atol=0)


def test_the_aggregate_is_computed_once_and_the_maps_are_left_alone(attention):
    given = {grid: attention(grid) for grid in GRIDS["odd and not square"]}
    copies = {grid: tensor.clone() for grid, tensor in given.items()}
    maps = AttentionMaps(given)
    assert maps.aggregate() is maps.aggregate()
    assert all(torch.equal(maps[grid], copies[grid]) for grid in copies)
