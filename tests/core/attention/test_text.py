"""Attention to a text, from kept queries and from joint layers, against its definition in float64."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from device_use import queued_only

from diffseg_core import CaptureError, GridSize
from diffseg_core.attention import text
from diffseg_core.attention.query_keeping import MOST_BYTES, QueryLayer, layers_to_keep, worth_keeping
from diffseg_core.attention.text import (
    LayerQueries,
    TextAccumulator,
    attention_to_text,
)

COARSE, FINE, FINEST = GridSize(3, 4), GridSize(6, 8), GridSize(12, 16)
HEADS, WIDTH, TOKENS = 3, 5, 7


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer(name: str, grid: GridSize, batch: int = 2, seed: int = 0) -> LayerQueries:
    return LayerQueries(name, grid, HEADS, drawn(batch, grid.tokens, HEADS * WIDTH, seed=seed))


def keys_of(*layers: LayerQueries, batch: int = 1) -> dict[str, torch.Tensor]:
    return {each.layer: drawn(batch, TOKENS, HEADS * WIDTH, seed=9 + i) for i, each in enumerate(layers)}


def by_definition(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Head by head, image by image, in float64."""
    images = []
    for image, query in enumerate(queries.double()):
        key = keys.double()[image if len(keys) > 1 else 0]
        per_head = [
            torch.softmax(query[:, part] @ key[:, part].T / math.sqrt(WIDTH), dim=1)
            for part in (slice(start, start + WIDTH) for start in range(0, HEADS * WIDTH, WIDTH))
        ]
        images.append(sum(per_head) / HEADS)
    return torch.stack(images)


def enlarged(maps: torch.Tensor, grid: GridSize, target: GridSize) -> torch.Tensor:
    images = maps.movedim(2, 1).reshape(len(maps), -1, *grid)
    larger = F.interpolate(images, size=tuple(target), mode="bilinear", align_corners=False)
    return larger.flatten(2).movedim(1, 2)


@pytest.mark.parametrize("keys_batch", [1, 2], ids=["one text", "a text for each image"])
def test_it_is_the_softmax_over_all_tokens_of_the_text(keys_batch):
    one = layer("one", COARSE)
    keys = keys_of(one, batch=keys_batch)
    found = attention_to_text([one], keys)
    assert (found.grid, found.batch_size, found.tokens) == (COARSE, 2, TOKENS)
    expected = by_definition(one.queries, keys["one"])
    torch.testing.assert_close(found.maps.double(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.maps.sum(2), torch.ones(2, COARSE.tokens))


def test_layers_of_one_resolution_count_the_same():
    layers = [layer("a", COARSE, seed=1), layer("b", COARSE, seed=2), layer("c", COARSE, seed=3)]
    keys = keys_of(*layers)
    mean = sum(by_definition(each.queries, keys[each.layer]) for each in layers) / 3
    torch.testing.assert_close(attention_to_text(layers, keys).maps.double(), mean, atol=1e-6, rtol=1e-5)


def test_of_two_resolutions_the_coarser_counts_seven_tenths():
    layers = [layer("fine", FINE, seed=1), layer("coarse", COARSE, seed=2)]
    keys = keys_of(*layers)
    fine, coarse = (by_definition(each.queries, keys[each.layer]) for each in layers)
    found = attention_to_text(layers, keys)
    assert found.grid == FINE
    expected = 0.3 * fine + 0.7 * enlarged(coarse, COARSE, FINE)
    torch.testing.assert_close(found.maps.double(), expected, atol=1e-6, rtol=1e-5)


def test_of_more_resolutions_all_but_the_finest_share_seven_tenths_by_their_layers():
    layers = [layer("a", FINEST, seed=3), layer("b", FINE, seed=1), layer("c", FINE, seed=4)]
    layers.append(layer("d", COARSE, seed=2))
    keys = keys_of(*layers)
    found = attention_to_text(layers, keys)
    finest, one, two, coarse = (by_definition(each.queries, keys[each.layer]) for each in layers)
    expected = 0.3 * finest + 0.7 * 2 / 3 * enlarged((one + two) / 2, FINE, FINEST)
    expected += 0.7 / 3 * enlarged(coarse, COARSE, FINEST)
    assert found.grid == FINEST
    torch.testing.assert_close(found.maps.double(), expected.double(), atol=1e-6, rtol=1e-5)


def test_chunks_change_nothing(monkeypatch):
    one = layer("one", FINE)
    whole = attention_to_text([one], keys_of(one)).maps
    monkeypatch.setattr(text, "CHUNK_VALUES", 5 * HEADS * TOKENS)
    torch.testing.assert_close(attention_to_text([one], keys_of(one)).maps, whole)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_worked_out_in_float32(dtype):
    one = layer("one", COARSE)
    halved = LayerQueries("one", COARSE, HEADS, one.queries.to(dtype))
    keys = {"one": keys_of(one)["one"].to(dtype)}
    found = attention_to_text([halved], keys).maps
    assert found.dtype == torch.float32
    expected = by_definition(halved.queries, keys["one"])
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-5)


def test_large_half_precision_numbers_do_not_overflow():
    queries = torch.full((1, COARSE.tokens, HEADS * WIDTH), 300.0, dtype=torch.float16)
    keys = drawn(1, TOKENS, HEADS * WIDTH).half() * 60
    found = attention_to_text([LayerQueries("one", COARSE, HEADS, queries)], {"one": keys}).maps
    torch.testing.assert_close(found.double(), by_definition(queries, keys), atol=1e-5, rtol=1e-4)


def test_the_host_waits_for_nothing():
    one = layer("one", COARSE)
    keys, (query, key) = keys_of(one), joint(1)
    with queued_only():
        attention_to_text([one], keys)
        gathered = TextAccumulator()
        gathered.gather(query, key, COARSE, slice(0, TOKENS))
        gathered.finish()


def test_attention_without_queries_says_how_to_get_them():
    with pytest.raises(CaptureError, match="capture again without them"):
        attention_to_text([], {})


def test_a_layer_without_keys_is_named():
    with pytest.raises(CaptureError, match="a model with the layer one, whose queries were kept"):
        attention_to_text([layer("one", COARSE)], {})


@pytest.mark.parametrize("shape", [(1, TOKENS, 16), (3, TOKENS, 15), (TOKENS, 15)], ids=str)
def test_keys_of_another_model_are_refused(shape):
    got = "×".join(map(str, shape))
    with pytest.raises(CaptureError, match=rf"\[1, tokens, 15\] at one, got {got}. Connect the model"):
        attention_to_text([layer("one", COARSE)], {"one": torch.zeros(shape)})


@pytest.mark.parametrize(
    ("levels", "is_sdxl", "chosen"),
    [
        ([0, 1, 2, 3], False, [1, 2]),
        ([0, 1, 2], False, [1, 2]),
        ([0, 1], False, [0, 1]),
        ([0, 2, 3], False, [2, 3]),
        ([1], False, [1]),
        ([1, 2], True, [2]),
    ],
)
def test_queries_are_kept_at_the_levels_that_tell_most(levels, is_sdxl, chosen):
    places = [("down", level) for level in levels] + [("middle", max(levels))]
    places += [("up", level) for level in reversed(levels)]
    module = torch.nn.Identity()
    layers = [QueryLayer("", part, level, 1, 1, module, module) for part, level in places]
    parts = {"up"} if is_sdxl else {"down", "up"}
    expected = [layer for layer in layers if layer.part in parts and layer.level in chosen]
    assert layers_to_keep(layers, is_sdxl, GridSize(64, 64)) == expected


def test_all_queries_are_kept_where_they_are_small():
    assert worth_keeping([]) == []
    assert worth_keeping([1000] * 5) == [0, 1, 2, 3, 4]


def test_of_large_queries_evenly_spread_layers_are_kept():
    quarter = MOST_BYTES // 4
    assert worth_keeping([quarter] * 4) == [0, 1, 2, 3]
    assert worth_keeping([quarter] * 8) == [1, 3, 5, 7]
    assert worth_keeping([quarter] * 12) == [1, 4, 7, 10]


def test_one_layer_is_kept_however_large():
    assert worth_keeping([2 * MOST_BYTES] * 3) == [1]


def test_what_is_kept_is_in_order_and_within_bounds():
    for length, share in product(range(1, 40), (1, 3, 10)):
        kept = worth_keeping([MOST_BYTES // share] * length)
        assert kept == sorted(set(kept))
        assert len(kept) == min(length, share)
        assert set(kept) <= set(range(length))


def joint(seed: int, key_heads: int = HEADS) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries of an image and keys of a text before it."""
    query = drawn(2, HEADS, COARSE.tokens, WIDTH, seed=seed)
    return query, drawn(2, key_heads, TOKENS + COARSE.tokens, WIDTH, seed=seed + 50)


def whole_softmax(
    query: torch.Tensor, key: torch.Tensor, scale: float = 1 / math.sqrt(WIDTH)
) -> torch.Tensor:
    return torch.softmax(query.double() @ key.double().mT * scale, dim=3).mean(1)


@pytest.mark.parametrize("at", [slice(0, TOKENS), slice(COARSE.tokens, None)], ids=["before", "behind"])
def test_joint_attention_gathers_the_texts_columns_of_the_whole_softmax(at):
    query, key = joint(1)
    gathered = TextAccumulator()
    gathered.gather(query, key, COARSE, at)
    found = gathered.finish()
    assert (found.grid, found.tokens) == (COARSE, TOKENS)
    torch.testing.assert_close(found.maps.double(), whole_softmax(query, key)[:, :, at], atol=1e-6, rtol=1e-5)
    assert (found.maps.sum(2) < 1).all()


def test_joint_layers_are_averaged():
    gathered = TextAccumulator()
    for seed in (1, 2, 3):
        gathered.gather(*joint(seed), COARSE, slice(0, TOKENS))
    mean = sum(whole_softmax(*joint(seed))[:, :, :TOKENS] for seed in (1, 2, 3)) / 3
    torch.testing.assert_close(gathered.finish().maps.double(), mean, atol=1e-6, rtol=1e-5)


def test_a_head_of_keys_serves_several_of_the_queries_in_a_row():
    query, _ = joint(1)
    _, key = joint(1, key_heads=1)
    gathered = TextAccumulator()
    gathered.gather(query, key, COARSE, slice(0, TOKENS))
    expected = whole_softmax(query, key.expand(-1, HEADS, -1, -1))[:, :, :TOKENS]
    torch.testing.assert_close(gathered.finish().maps.double(), expected, atol=1e-6, rtol=1e-5)


def test_chunks_and_half_precision_change_little_in_joint_attention(monkeypatch):
    query, key = (tensor.half() for tensor in joint(1))
    monkeypatch.setattr(text, "CHUNK_VALUES", 5 * HEADS * key.shape[2])
    gathered = TextAccumulator()
    gathered.gather(query, key, COARSE, slice(0, TOKENS))
    found = gathered.finish().maps
    torch.testing.assert_close(found.double(), whole_softmax(query, key)[:, :, :TOKENS], atol=1e-6, rtol=1e-5)


def test_queries_of_another_grid_are_refused():
    gathered = TextAccumulator()
    with pytest.raises(CaptureError, match="Expected queries of 48 tokens .6×8., got 12"):
        gathered.gather(*joint(1), FINE, slice(0, TOKENS))
    gathered.gather(*joint(1), COARSE, slice(0, TOKENS))
    with pytest.raises(CaptureError, match="on the 3×4 grid, as in the layers before, got 2 and 7 on 4×3"):
        gathered.gather(*joint(2), GridSize(4, 3), slice(0, TOKENS))


@pytest.mark.parametrize("at", [slice(0, TOKENS - 1), slice(0, 1)], ids=["fewer", "one"])
def test_layers_with_texts_of_other_lengths_are_refused(at):
    gathered = TextAccumulator()
    gathered.gather(*joint(1), COARSE, slice(0, TOKENS))
    with pytest.raises(CaptureError, match=f"Expected 2 image.s. and {TOKENS} tokens of text .* got 2 and"):
        gathered.gather(*joint(2), COARSE, at)


def test_nothing_gathered_is_an_error():
    with pytest.raises(CaptureError, match="at least one layer of attention to the text, got none"):
        TextAccumulator().finish()
