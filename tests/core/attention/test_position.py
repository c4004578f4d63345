"""Position bias is taken out of attention: on attention whose content and bias are known."""

from __future__ import annotations

import pytest
import torch

from diffseg_core.attention.accumulator import AttentionAccumulator
from diffseg_core.attention.key_pooling import pool_keys
from diffseg_core.attention.position import without_position
from diffseg_core.grid import GridSize

GRID = GridSize(16, 16)


def things() -> torch.Tensor:
    """Which of three things each place belongs to: scattered, so that what is near says nothing: ``[n]``."""
    return torch.randint(0, 3, (GRID.tokens,), generator=torch.Generator().manual_seed(1))


def content() -> torch.Tensor:
    """Attention by what a place is alone: five times as much to its like."""
    labels = things()
    same = (labels[:, None] == labels[None]).double()
    return normalised(1.0 + 4.0 * same)


def bias(kind: str) -> torch.Tensor:
    """A factor for each displacement."""
    lines, columns = torch.meshgrid(torch.arange(GRID.height), torch.arange(GRID.width), indexing="ij")
    places = torch.stack((lines.flatten(), columns.flatten()), 1).double()
    down, across = (places[None] - places[:, None]).unbind(-1)
    return {
        "near": torch.exp(-(down**2 + across**2) / 18.0) + 0.05,
        "own line": torch.where(down == 0, 8.0, 1.0),
        "up and to the left": torch.where((down == -2) & (across == -3), 80.0, 1.0),
    }[kind]


def normalised(attention: torch.Tensor) -> torch.Tensor:
    return attention / attention.sum(-1, keepdim=True)


def contrast(attention: torch.Tensor) -> float:
    """How much more a place attends to its like than to others."""
    labels = things()
    same = labels[:, None] == labels[None]
    return float(attention[same].mean() / attention[~same].mean())


@pytest.mark.parametrize("kind", ["near", "own line", "up and to the left"])
def test_the_content_is_left(kind):
    biased = normalised(content() * bias(kind))
    found = without_position(biased[None].float(), GRID, GRID)[0].double()
    torch.testing.assert_close(found.sum(1), torch.ones(GRID.tokens, dtype=torch.double), rtol=0, atol=1e-5)
    before, after = ((each - content()).abs().sum(1).mean() for each in (biased, found))
    assert before > 0.2
    assert after < 0.45 * before
    assert contrast(found) == pytest.approx(5.0, rel=0.15)


def test_attention_without_bias_stays_nearly_as_it_is():
    found = without_position(content()[None].float(), GRID, GRID)[0].double()
    assert (found - content()).abs().sum(1).mean() < 0.15


def test_each_image_is_its_own_measure():
    both = torch.stack([normalised(content() * bias(kind)).float() for kind in ("near", "own line")])
    together = without_position(both, GRID, GRID)
    for image in range(2):
        torch.testing.assert_close(together[image], without_position(both[image : image + 1], GRID, GRID)[0])


@pytest.mark.parametrize("key_grid", [GridSize(8, 8), GridSize(6, 6)])
def test_pooled_keys_and_half_precision(key_grid):
    biased = normalised(content() * bias("near")).float()
    pooled = pool_keys(biased, GRID, key_grid)
    exact = pool_keys(content().float(), GRID, key_grid)
    found = without_position(pooled[None].half(), GRID, key_grid)[0]
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float().sum(1), torch.ones(GRID.tokens), rtol=0, atol=2e-3)
    before, after = ((each.float() - exact).abs().sum(1).mean() for each in (pooled, found))
    assert after < 0.6 * before


@pytest.mark.parametrize("values", [1, 5000])
def test_chunks_make_no_difference(monkeypatch, values):
    biased = normalised(content() * bias("near"))[None].float()
    whole = without_position(biased, GRID, GRID)
    monkeypatch.setattr("diffseg_core.attention.position.CHUNK_VALUES", values)
    torch.testing.assert_close(without_position(biased, GRID, GRID), whole)


def test_the_accumulator_takes_it_out_when_asked():
    query, key = torch.randn(2, 1, 2, GRID.tokens, 4, generator=torch.Generator().manual_seed(2))
    found = []
    for remove in (False, True):
        accumulator = AttentionAccumulator()
        accumulator.gather(query, key, GRID)
        found.append(accumulator.finish(remove_position=remove)[GRID])
    torch.testing.assert_close(found[1], without_position(found[0], GRID, GRID))
    assert not torch.allclose(found[0], found[1])
