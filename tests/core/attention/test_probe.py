"""One watched forward pass: each layer once, on the image's tokens, or a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from diffseg_core import AttentionAccumulator, CaptureError, GridSize
from diffseg_core.attention.probe import AttentionProbe, ImageTokens, Layer
from diffseg_core.attention.text import TextAccumulator

GRID = GridSize(2, 3)
FIRST, SECOND = Layer(0, "first", has_text=True), Layer(1, "second", has_text=True)
ALONE = Layer(1, "alone")
TOKENS = ImageTokens(GRID, "last", others=4)


def queries(tokens: int = 10, images: int = 1) -> torch.Tensor:
    return torch.randn(images, 2, tokens, 4, generator=torch.Generator().manual_seed(tokens))


def probe_of(*layers: Layer, **settings: Any) -> tuple[AttentionProbe, AttentionAccumulator]:
    accumulator = AttentionAccumulator()
    settings |= {"feature_layer": layers[0]}
    return AttentionProbe(layers, 1, accumulator, "take it away.", **settings), accumulator


def run(probe: AttentionProbe, *layers: Layer, query: Any = None, key: Any = None) -> None:
    with probe.forward():
        for layer in layers:
            q = queries() if query is None else query
            image = probe.gather(layer, q, q if key is None else key, TOKENS)
            probe.finished(layer, torch.ones(1, image.stop - image.start, 8), GRID)


def test_the_images_tokens_are_gathered_and_one_layers_output_is_kept():
    probe, accumulator = probe_of(FIRST, SECOND)
    run(probe, FIRST, SECOND)
    maps = accumulator.finish()
    image = queries()[:, :, 4:]
    expected = torch.softmax(image @ image.transpose(2, 3) / 2, -1).mean(1)
    torch.testing.assert_close(maps[GRID], expected)
    assert maps.features.shape == (1, 8, 2, 3)


def test_attention_to_the_text_is_of_all_tokens_that_are_not_the_images():
    for side, text in (("last", slice(0, 4)), ("first", slice(6, 10))):
        accumulator = TextAccumulator()
        probe = AttentionProbe([FIRST], 1, accumulator, "take it away.")
        tokens = ImageTokens(GRID, side, others=None)
        with probe.forward():
            image = probe.gather(FIRST, queries(), queries(), tokens)
            probe.finished(FIRST, queries()[:, 0, image], GRID)
        whole = torch.softmax(queries() @ queries().transpose(2, 3) / 2, -1).mean(1)
        torch.testing.assert_close(accumulator.finish().maps, whole[:, image, text])


def test_a_pass_may_end_with_the_last_layer_and_another_may_follow():
    done: list[tuple[int, int]] = []
    probe, accumulator = probe_of(FIRST, stop_early=True, on_layer=lambda *layers: done.append(layers))
    for _ in range(2):
        with probe.forward():
            image = probe.gather(FIRST, queries(), queries(), TOKENS)
            probe.finished(FIRST, torch.ones(1, image.stop - image.start, 8), GRID)
            pytest.fail("the pass went on")
    assert done == [(1, 1)] * 2
    assert accumulator.layers == 2


def test_a_computed_layer_gives_its_output_and_ends_no_pass():
    probe, accumulator = probe_of(ALONE)
    query = queries(6)
    with probe.forward():
        output = probe.attend(ALONE, query, query, query, GRID)
        probe.keep_output(ALONE, torch.ones(1, 6, 8), GRID)
    expected = torch.nn.functional.scaled_dot_product_attention(query, query, query)
    torch.testing.assert_close(output, expected)
    assert accumulator.finish().features is not None


def test_padding_lies_behind_the_image():
    tokens = ImageTokens(GRID, "last", padded=8, others=None)
    assert tokens.locate(FIRST, 11) == slice(3, 9)
    assert ImageTokens(GRID, "last").locate(ALONE, 6) == slice(0, 6)


@pytest.mark.parametrize(
    ("met", "message"),
    [
        ({"layers": (FIRST,)}, r"all 2 attention layers to run once, but second did not \(1 missing\)"),
        ({"layers": (FIRST, FIRST)}, "first to run once, but it ran again"),
        ({"key": queries(12)}, "as many keys as queries at first, got 12 and 10"),
        ({"query": queries(10, 2)}, r"1 image\(s\) at first, got 2"),
        ({"query": queries(9)}, "6 tokens of an image of 2×3 and 4 others at first, got 9"),
        ({"query": queries(11)}, "6 tokens of an image of 2×3 and 4 others at first, got 11"),
    ],
)
def test_what_is_in_the_way_is_refused_with_what_to_do(met, message):
    probe, _ = probe_of(FIRST, SECOND)
    layers = met.pop("layers", (FIRST, SECOND))
    with pytest.raises(CaptureError, match=f"{message}.* does this: take it away."):
        run(probe, *layers, **met)
