"""Words read with diffusers: queries that a capture keeps, keys of a text, a transformer's second step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from diffusers.configuration_utils import FrozenDict
from model_shapes import CONTEXT
from torch.overrides import TorchFunctionMode
from transformer_pairs import MODELS, SIDE, TOKENS, Pair, make_pair

# By hand: halved once and twice, without the middle; of SDXL's class, of the up blocks the coarsest.
KEPT = {
    "sd1": [f"down_blocks.{block}.attentions.0.transformer_blocks.0" for block in (1, 2)]
    + [f"up_blocks.{block}.attentions.{place}.transformer_blocks.0" for block in (1, 2) for place in (0, 1)],
    "sdxl": [
        f"up_blocks.0.attentions.{place}.transformer_blocks.{depth}"
        for place in (0, 1)
        for depth in (0, 1, 2)
    ],
}
KEPT["sd2-v"] = KEPT["sd1"]


@pytest.fixture
def captured(pack, images) -> Callable[..., Any]:
    """Capture a host's pipeline at a size of 16×16 places of the latent."""

    def run(host: Any, **settings: Any) -> Any:
        settings = {"working_size": 128, **host.embeds, **settings}
        return pack.diffseg_core.capture_diffusers(host.pipeline, images, **settings)

    return run


@pytest.fixture
def read(pack) -> Callable[..., Any]:
    """Read a text's embeddings, ``[1, T, d]``."""
    core = pack.diffseg_core

    def run(host: Any, maps: Any, embeds: torch.Tensor, pooled: torch.Tensor | None = None) -> Any:
        return core.diffusers.capture.read_text(
            host.pipeline, maps, core.diffusers.prompts.Prompt(embeds, pooled)
        )

    return run


def text(seed: int, tokens: int = 9) -> torch.Tensor:
    return torch.randn(1, tokens, CONTEXT, generator=torch.Generator().manual_seed(seed)) * 3


def expected_of_unet(unet: torch.nn.Module, names: list[str], run: Callable[[], Any]) -> Any:
    """softmax(QKᵀ/√d) in float64 of what layers are given in a pass; 0.7 of the coarser, 0.3 of the finer."""
    inputs: dict[torch.nn.Module, torch.Tensor] = {}
    with ExitStack() as hooks:
        for name in names:
            attention = unet.get_submodule(f"{name}.attn2")
            for part in (attention.to_q, attention.to_k):

                def remember(module: torch.nn.Module, arguments: Any) -> None:
                    inputs[module] = arguments[0].clone()

                hooks.callback(part.register_forward_pre_hook(remember).remove)
        result = run()
    by_tokens: dict[int, list[torch.Tensor]] = defaultdict(list)
    for name in names:
        attention = unet.get_submodule(f"{name}.attn2")
        q, k = (
            (inputs[part].double() @ part.weight.double().T).unflatten(2, (attention.heads, -1))
            for part in (attention.to_q, attention.to_k)
        )
        weights = torch.einsum("bqhd,bkhd->bhqk", q, k).div(q.shape[-1] ** 0.5).softmax(-1).mean(1)
        by_tokens[weights.shape[1]].append(weights)
    means = {tokens: torch.stack(maps).mean(0) for tokens, maps in sorted(by_tokens.items())}
    if len(means) == 1:
        return next(iter(means.values())).float(), result
    (coarse, fine), side = means.values(), {tokens: round(tokens**0.5) for tokens in means}
    square = coarse.transpose(1, 2).unflatten(2, (side[min(means)],) * 2)
    larger = torch.nn.functional.interpolate(
        square, size=(side[max(means)],) * 2, mode="bilinear", align_corners=False
    )
    return (0.7 * larger.flatten(2).transpose(1, 2) + 0.3 * fine).float(), result


def kept_names(host: Any) -> list[str]:
    config = host.pipeline.unet.config
    return KEPT["sdxl" if config.addition_embed_type else "sd1"]


def test_words_read_of_the_same_text_are_the_pass_own_attention(captured, read, host):
    """Queries are kept in half precision, three digits, which changes weights by a few ten-thousandths."""
    expected, maps = expected_of_unet(
        host.pipeline.unet, kept_names(host), lambda: captured(host, prompt_embeds=text(1))
    )
    found = read(host, maps, text(1))
    assert [each.layer for each in maps.queries] == [f"{name}.attn2" for name in kept_names(host)]
    assert found.maps.shape == (2, found.grid.tokens, 9)
    torch.testing.assert_close(found.maps, expected, rtol=0, atol=1e-3)
    assert expected.std(dim=1).max() > 5e-3  # uneven enough for a mistake to show


def test_queries_of_another_text_are_what_is_said_to_be_near(captured, read, sd1):
    """Layers behind the first cross-attention see a picture that the text has changed already."""
    expected, _ = expected_of_unet(
        sd1.pipeline.unet, kept_names(sd1), lambda: captured(sd1, prompt_embeds=text(1))
    )
    found = read(sd1, captured(sd1), text(1))
    assert 2e-3 < (found.maps - expected).abs().max() < 0.5


def test_a_text_changes_the_attention_to_it_and_not_the_segments_maps(captured, read, sd1):
    maps = captured(sd1)
    before = maps[maps.grid].clone()
    one, other = read(sd1, maps, text(1)), read(sd1, maps, text(2))
    assert (one.maps - other.maps).abs().max() > 0.05
    assert torch.equal(maps[maps.grid], before)
    torch.testing.assert_close(one.maps.sum(-1), torch.ones(2, one.grid.tokens), rtol=0, atol=1e-5)


def test_the_unet_is_not_run_for_words(captured, read, sd1):
    maps = captured(sd1)
    runs: list[Any] = []
    hook = sd1.pipeline.unet.register_forward_pre_hook(lambda *_: runs.append(1))
    try:
        read(sd1, maps, text(1))
    finally:
        hook.remove()
    assert not runs


def test_what_is_attached_to_the_projection_of_keys_counts(captured, read, sd1):
    """As LoRA of PEFT is."""
    maps = captured(sd1)
    layers = [sd1.pipeline.unet.get_submodule(f"{name}.attn2") for name in kept_names(sd1)]
    plain = read(sd1, maps, text(1))
    hooks = [each.to_k.register_forward_hook(lambda _, __, keys: keys * 0) for each in layers]
    try:
        even = read(sd1, maps, text(1))
    finally:
        for hook in hooks:
            hook.remove()
    torch.testing.assert_close(even.maps, torch.full_like(even.maps, 1 / 9))
    assert (plain.maps - even.maps).abs().max() > 0.05


def outputs(host: Any, run: Callable[[], Any]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    hook = host.pipeline.unet.register_forward_hook(lambda _, __, output: found.append(output[0]))
    try:
        run()
    finally:
        hook.remove()
    return found


def test_the_models_output_is_the_same_to_the_bit_with_queries_kept(pack, captured, host, monkeypatch):
    (kept,) = outputs(host, lambda: captured(host))
    module = pack.diffseg_core.attention.query_keeping
    monkeypatch.setattr(module, "layers_to_keep", lambda *_: [])
    (plain,) = outputs(host, lambda: captured(host))
    assert torch.equal(kept, plain)


def hooks_of(model: torch.nn.Module) -> int:
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


def test_hooks_are_gone_after_a_capture_and_after_an_error(captured, sd1):
    unet = sd1.pipeline.unet
    captured(sd1)
    assert hooks_of(unet) == 0

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory, say")

    hook = unet.up_blocks[-1].register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="out of memory, say"):
            captured(sd1)
    finally:
        hook.remove()
    assert hooks_of(unet) == 0


def test_what_is_kept_is_bounded_and_counts_as_memory(pack, captured, sd1, monkeypatch):
    every = captured(sd1)
    assert len(every.queries) == 6
    assert all(any(each.queries is tensor for tensor in every.tensors) for each in every.queries)
    assert {each.queries.dtype for each in every.queries} == {torch.float16}
    halves = 2 * sum(each.queries[0].numel() for each in every.queries)
    monkeypatch.setattr(pack.diffseg_core.attention.query_keeping, "MOST_BYTES", halves // 2)
    fewer = captured(sd1)
    assert 0 < len(fewer.queries) < 6
    assert 2 * sum(each.queries[0].numel() for each in fewer.queries) <= halves // 2


def test_attention_without_queries_or_of_another_model_is_refused(pack, captured, read, hosts):
    sd1, sdxl = hosts("sd1"), hosts("sdxl")
    errors = pack.diffseg_core.CaptureError
    bare = pack.diffseg_core.AttentionMaps({(2, 2): torch.full((1, 4, 4), 0.25)})
    with pytest.raises(errors, match="capture again without them"):
        read(sd1, bare, text(1))
    maps = captured(sdxl)
    with pytest.raises(errors, match=r"layer up_blocks\.0.*that the attention was captured from"):
        read(sd1, maps, text(1))


def test_a_unet_that_projects_the_text_first_is_refused_by_name(pack, captured, sd1, monkeypatch):
    """As Kolors does; what an IP-Adapter projects are images, and words are read beside it."""
    maps = captured(sd1)
    backbone = pack.diffseg_core.diffusers.capture.backbone_of(sd1.pipeline)
    prompt = pack.diffseg_core.diffusers.prompts.Prompt(text(1))
    expected = backbone.read_text(maps, prompt).maps
    unet = sd1.pipeline.unet
    for kind in ("text_proj", "ip_image_proj"):
        config = FrozenDict({**unet.config, "encoder_hid_dim_type": kind})
        monkeypatch.setattr(unet, "_internal_dict", config)
        if kind == "ip_image_proj":
            assert torch.equal(backbone.read_text(maps, prompt).maps, expected)
            continue
        with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="as Kolors does"):
            backbone.read_text(maps, prompt)


def test_queries_of_a_layer_that_runs_twice_are_done_without(captured, sd1, caplog):
    unet = sd1.pipeline.unet
    block = unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2
    processor = block.processor

    def twice(attention: Any, hidden_states: Any, **named: Any) -> Any:
        attention.to_q(hidden_states)
        return processor(attention, hidden_states, **named)

    block.processor = twice
    try:
        assert captured(sd1).queries == ()
        assert "to run once" in caplog.text
    finally:
        block.processor = processor


@pytest.fixture(scope="module")
def pairs() -> Callable[[str], Pair]:
    """The small transformers by name, each built once."""
    made: dict[str, Pair] = {}

    def pair(name: str) -> Pair:
        if name not in made:
            with torch.inference_mode(False):
                made[name] = make_pair(name)
        return made[name]

    return pair


@pytest.fixture(params=[name for name in MODELS if "masked" not in name])
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    """Each of the small transformers in turn."""
    return pairs(request.param)


class Recorded(TorchFunctionMode):
    """While open, the queries and keys of every attention."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            named = kwargs or {}
            self.calls.append((args[0], args[1]) if args else (named["query"], named["key"]))
        return func(*args, **(kwargs or {}))


def blocks_of(pair: Pair) -> list[Any]:
    kinds = ("transformer_blocks", "single_transformer_blocks")
    return [block for kind in kinds for block in getattr(pair.transformer, kind, [])]


def expected_of_transformer(
    pair: Pair, named: dict[str, Any], blocks: list[int], tokens: int
) -> torch.Tensor:
    """The text's columns of the softmax over image and text, in float64, of a run that nobody reads."""
    with Recorded() as recorded:
        pair.transformer(**named)
    every = blocks_of(pair)
    joint = []
    calls = iter(recorded.calls)
    for block in every:
        joint.append(next(calls))
        if getattr(block, "attn2", None) is not None:  # of the image alone
            next(calls)
    assert next(calls, None) is None
    maps = []
    for number in blocks:
        q, k = (each.double() for each in joint[number])
        weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1).mean(1)
        image = slice(0, -tokens) if pair.name.startswith("SD3") else slice(tokens, None)
        columns = slice(-tokens, None) if pair.name.startswith("SD3") else slice(0, tokens)
        maps.append(weights[:, image, columns])
    return torch.stack(maps).mean(0).float()


def words_of(pair: Pair, tokens: int = TOKENS) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    shape = pair.embeds["prompt_embeds"].shape
    embeds = {"embeds": torch.randn(1, tokens, shape[2], generator=generator)}
    if "pooled_prompt_embeds" in pair.embeds:
        embeds["pooled"] = torch.randn(1, shape[2], generator=generator)
    return embeds


@pytest.mark.parametrize(("blocks", "numbers"), [("all", None), ("0-1", [0, 1])])
def test_a_transformer_is_shown_the_same_once_more_with_the_words(captured, read, pair, blocks, numbers):
    maps = captured(pair, working_size=SIDE, layers=blocks, noise_seed=7, noise_level=400)
    seen: list[dict[str, Any]] = []
    words = words_of(pair, tokens=11)  # of another length than the capture's prompt
    transformer = pair.transformer
    hook = transformer.register_forward_pre_hook(lambda _, __, named: seen.append(named), with_kwargs=True)
    try:
        captured(pair, working_size=SIDE, layers=blocks, noise_seed=7, noise_level=400)
        found = read(pair, maps, **words)
    finally:
        hook.remove()
    first, second = seen
    assert torch.equal(first["hidden_states"], second["hidden_states"])
    assert torch.equal(first["timestep"], second["timestep"])
    assert torch.equal(second["encoder_hidden_states"], words["embeds"].expand(2, -1, -1))
    expected = expected_of_transformer(pair, second, numbers or list(range(len(blocks_of(pair)))), 11)
    assert found.grid == maps.grid == (8, 12)
    torch.testing.assert_close(found.maps, expected, rtol=0, atol=1e-5)
    assert 0 < found.maps.sum(-1).max() < 1  # the rest is the image's


def test_the_step_with_words_ends_with_the_last_wanted_block(captured, read, pair):
    maps = captured(pair, working_size=SIDE, layers="0")
    ends: list[Any] = []
    blocks = pair.transformer.transformer_blocks
    hooks = [each.register_forward_hook(lambda *_: ends.append(1)) for each in blocks]
    try:
        read(pair, maps, **words_of(pair))
    finally:
        for hook in hooks:
            hook.remove()
    assert not ends
    assert hooks_of(pair.transformer) == 0


def test_a_capture_remembers_what_its_model_was_given(pack, captured, read, pairs, sd1):
    sd3, flux = pairs("SD3"), pairs("Flux dev")
    maps = captured(sd3, working_size=SIDE)
    assert any(maps.inputs.latents is tensor for tensor in maps.tensors)
    errors = pack.diffseg_core.CaptureError
    bare = pack.diffseg_core.AttentionMaps({(2, 2): torch.full((1, 4, 4), 0.25)})
    with pytest.raises(errors, match="with the latent that it was captured from"):
        read(sd3, bare, **words_of(sd3))
    with pytest.raises(errors, match=r"captured from Flux\.1 .* got SD3"):
        read(flux, maps, **words_of(flux))
    with pytest.raises(errors, match="got none"):
        read(sd1, maps, text(1))
