"""The same weights and image give the same attention of a transformer in both hosts, and it is its own."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from cases import exhaustive_but
from comfyui_capture import capture_in_comfyui
from transformer_pairs import FLUX_DIFFUSERS, MODELS, ODD_SIDE, ODD_SIZE, SIDE, Pair, make_pair


@pytest.fixture(scope="module")
def pairs() -> Callable[[str], Pair]:
    """The small models by name, each built once. Tests must leave them as they were."""
    made: dict[str, Pair] = {}

    def pair(name: str) -> Pair:
        if name not in made:
            with torch.inference_mode(False):
                made[name] = make_pair(name)
        return made[name]

    return pair


@pytest.fixture(params=list(MODELS))
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    """Each of the small models in turn."""
    return pairs(request.param)


@pytest.fixture(params=exhaustive_but(["SD3", "Flux dev", "Qwen-Image, masked text"], MODELS))
def kind_of_pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    """One of each kind, for what does not depend on the variant; exhaustively all of them."""
    return pairs(request.param)


@pytest.fixture
def captured(pack, images) -> Callable[..., Any]:
    """Capture a pair's pipeline, with its usual settings unless told otherwise."""

    def run(pair: Pair, given: Any = None, **settings: Any) -> Any:
        settings = {"working_size": SIDE, **pair.embeds, **settings}
        return pack.diffseg_core.capture_diffusers(
            pair.pipeline, images if given is None else given, **settings
        )

    return run


def assert_same(one: Any, other: Any, atol: float = 1e-5) -> None:
    assert one.grids == other.grids
    torch.testing.assert_close(one[one.grid], other[other.grid], rtol=0, atol=atol)


@pytest.mark.parametrize(("blocks", "noise_seed"), [("recommended", None), ("all", 7)])
def test_both_captures_agree(pack, pair, captured, images, blocks, noise_seed):
    ours = capture_in_comfyui(
        pack,
        pair.model,
        pair.latents(images),
        pair.conditioning,
        noise_level=300,
        noise_seed=noise_seed,
        layers=blocks,
    )
    theirs = captured(pair, layers=blocks, noise_seed=noise_seed)
    assert ours.grid == (8, 12)
    assert ours.batch_size == 2
    assert_same(ours, theirs)
    # Features are kept in float16, whose last digit may differ; their values are about 1.
    torch.testing.assert_close(ours.features, theirs.features, rtol=2e-3, atol=2e-5)
    assert ours.evidence == theirs.evidence == "attention"
    assert ours[ours.grid].amax() > 1.5 / 96  # uneven enough for a mistake to show


def test_both_captures_agree_on_odd_sides(pack, pair, captured, images):
    """In the first block: ComfyUI's Qwen-Image has the middle of an odd side one place before diffusers'."""
    ours = capture_in_comfyui(
        pack,
        pair.model,
        pair.latents(images, ODD_SIZE),
        pair.conditioning,
        noise_level=300,
        noise_seed=None,
        layers="0",
    )
    theirs = captured(pair, layers="0", working_size=ODD_SIDE)
    assert ours.grid == (7, 10)
    assert_same(ours, theirs)


@pytest.mark.parametrize("noise_seed", [None, 7])
def test_the_features_of_a_unet_agree(pack, host, capture, images, noise_seed):
    """And are those of the encoder's last self-attention, whatever resolutions are captured."""
    images = torch.nn.functional.interpolate(images, size=(128, 192), mode="bilinear", antialias=True)
    latent = host.pipeline.vae.encode(images * 2 - 1).latent_dist.mode()
    ours = capture(host, latent=latent, noise_seed=noise_seed, layers="finest")
    theirs = pack.diffseg_core.capture_diffusers(
        host.pipeline, images, working_size=157, noise_seed=noise_seed, layers="finest", **host.embeds
    )
    assert theirs.features.shape[0] == 2
    torch.testing.assert_close(ours.features, theirs.features, rtol=2e-3, atol=2e-4)
    assert ours.evidence == theirs.evidence


@contextmanager
def seen_by(model: torch.nn.Module) -> Iterator[list[dict[str, Any]]]:
    """The keyword arguments of every call."""
    calls: list[dict[str, Any]] = []
    hook = model.register_forward_pre_hook(lambda _, __, named: calls.append(named), with_kwargs=True)
    try:
        yield calls
    finally:
        hook.remove()


@contextmanager
def outputs_of(modules: list[torch.nn.Module]) -> Iterator[list[Any]]:
    found: list[Any] = []
    hooks = [module.register_forward_hook(lambda _, __, output: found.append(output)) for module in modules]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@pytest.fixture
def to_the_end(pack, monkeypatch) -> None:
    """Captures go on after the last wanted block."""
    module = sys.modules[pack.diffseg_core.capture_diffusers.__module__]
    chosen = module.backbone_of
    monkeypatch.setattr(module, "backbone_of", lambda *given: replace(chosen(*given), stop_early=False))


def test_the_models_output_is_its_own_to_the_bit(kind_of_pair, captured, to_the_end):
    pair = kind_of_pair
    with seen_by(pair.transformer) as calls, outputs_of([pair.transformer]) as outputs:
        captured(pair, layers="all", noise_seed=1)
    ((named,), (output,)) = calls, outputs
    assert torch.equal(output[0], pair.transformer(**named)[0])


def test_the_step_ends_with_the_last_wanted_block(kind_of_pair, captured):
    pair = kind_of_pair
    with outputs_of(pair.attentions) as outputs:
        captured(pair, layers="0")
    second = getattr(pair.transformer.transformer_blocks[0], "attn2", None)
    assert len(outputs) == (0 if second is None else 1)  # the last itself is left at its attention
    with outputs_of([pair.transformer]) as outputs:
        captured(pair, layers="all")
    assert not outputs


def state(pair: Pair) -> Any:
    modules = pair.transformer.modules()
    hooks = [(len(each._forward_hooks), len(each._forward_pre_hooks)) for each in modules]
    return dict(pair.transformer.attn_processors), hooks, torch.random.get_rng_state().tolist()


def test_the_pipeline_is_as_before(kind_of_pair, captured):
    pair = kind_of_pair
    before = state(pair)
    captured(pair, noise_seed=3)
    assert state(pair) == before


def test_the_pipeline_is_as_before_after_an_error(kind_of_pair, captured):
    pair = kind_of_pair

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory, say")

    expected = captured(pair)
    before = state(pair)
    hook = pair.attentions[-1].register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="out of memory, say"):
            captured(pair, layers="all")
    finally:
        hook.remove()
    assert state(pair) == before
    assert_same(captured(pair), expected, atol=0)


@pytest.mark.parametrize("noise_seed", [None, 7])
@pytest.mark.parametrize("level", [0, 300, 1000])
def test_the_noise_level_is_the_share_of_noise(pairs, captured, images, level, noise_seed):
    pair = pairs("SD3")
    with seen_by(pair.transformer) as calls:
        captured(pair, noise_level=level, noise_seed=noise_seed)
    (named,) = calls
    assert named["timestep"].tolist() == [level, level]
    expected = (pair.latents(images) - 0.0609) * 1.5305
    if noise_seed is not None:
        noise = torch.randn(expected.shape, generator=torch.Generator().manual_seed(noise_seed))
        expected = expected * (1 - level / 1000) + noise * level / 1000
    torch.testing.assert_close(named["hidden_states"], expected, rtol=0, atol=1e-5)


def test_noise_levels_out_of_range_are_refused(pack, pairs, captured):
    for level in (-2, 1001):
        with pytest.raises(pack.diffseg_core.InvalidSettingError, match=f"from 0 to 1000, got {level}"):
            captured(pairs("SD3"), noise_level=level)


@pytest.mark.parametrize("level", [999, 1000])
def test_a_unet_knows_999_timesteps(pack, sd1, images, level):
    with outputs_of([sd1.pipeline.unet.time_proj]) as outputs:
        pack.diffseg_core.capture_diffusers(
            sd1.pipeline, images, working_size=128, noise_level=level, noise_seed=1, **sd1.embeds
        )
    torch.testing.assert_close(outputs[0], sd1.pipeline.unet.time_proj(torch.tensor([999, 999])))


def test_blocks_that_the_model_does_not_have_are_refused(pack, pairs, captured):
    for blocks in ("some", "3-4", "", "finest"):
        with pytest.raises(pack.diffseg_core.InvalidSettingError, match="Expected layers"):
            captured(pairs("SD3"), layers=blocks)


def test_a_pipeline_without_text_encoder_needs_embeddings(pack, pair, images):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="capture with prompt_embeds"):
        pack.diffseg_core.capture_diffusers(pair.pipeline, images, working_size=SIDE)
    if "pooled_prompt_embeds" in pair.embeds:
        embeds = {"prompt_embeds": pair.embeds["prompt_embeds"]}
        with pytest.raises(pack.diffseg_core.InvalidSettingError, match="capture with prompt_embeds"):
            pack.diffseg_core.capture_diffusers(pair.pipeline, images, working_size=SIDE, **embeds)


def test_the_pipeline_encodes_the_empty_prompt(pack, pair, captured, images, monkeypatch):
    """What its own ``encode_prompt`` returns is taken apart as it is meant."""
    encode = type(pair.pipeline).encode_prompt
    given: list[dict[str, Any]] = []

    def encode_prompt(self: Any, *, prompt: str, prompt_2: str | None = None, **settings: Any) -> Any:
        given.append({"prompt": prompt, **settings})
        named = {"prompt_3": settings["prompt_3"]} if "prompt_3" in settings else {}
        named |= {"do_classifier_free_guidance": False} if "prompt_3" in settings else {}
        if not pair.name.startswith("Qwen"):
            named["prompt_2"] = prompt_2
        return encode(self, prompt=prompt, **named, **pair.embeds)

    encode_prompt.__signature__ = inspect.signature(encode)
    monkeypatch.setattr(type(pair.pipeline), "encode_prompt", encode_prompt)
    for name in ("text_encoder", "text_encoder_2"):
        monkeypatch.setitem(pair.pipeline.__dict__, name, SimpleNamespace(dtype=torch.float32))
    found = pack.diffseg_core.capture_diffusers(pair.pipeline, images, working_size=SIDE)
    assert given[0]["prompt"] == ""
    assert_same(found, captured(pair), atol=0)


@pytest.mark.parametrize("name", ["SD3", "Flux schnell", "Qwen-Image"])
def test_a_model_that_takes_further_images_is_refused(pack, pairs, captured, name, monkeypatch):
    pair = pairs(name)
    kind = type(pair.transformer)
    channels = pair.transformer.config.in_channels
    _, config = MODELS[name]
    other = replace_transformer(pair, kind(**{**config, "in_channels": channels * 2}))
    message = rf"takes a latent of {channels} channels and no more, got {channels * 2}"
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
        captured(other)


def replace_transformer(pair: Pair, transformer: Any) -> Pair:
    return replace(
        pair, pipeline=type(pair.pipeline)(**{**pair.pipeline.components, "transformer": transformer})
    )


def test_another_transformer_is_refused_by_its_name(pack, pairs, captured):
    pair = pairs("Flux schnell")

    class Faster(diffusers.FluxTransformer2DModel):
        pass

    for transformer in (Faster(**FLUX_DIFFUSERS), torch.nn.Linear(1, 1)):
        pipeline = SimpleNamespace(transformer=transformer, vae=pair.pipeline.vae)
        message = rf"SD 1\.x.*SD3 and SD3\.5, Flux\.1, Qwen-Image.*with {type(transformer).__name__}"
        with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
            captured(replace(pair, pipeline=pipeline))


def test_a_size_beyond_the_models_positions_is_refused(pack, pairs, captured):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="sides of at most 256 pixels"):
        captured(pairs("SD3"), working_size=256)


def test_a_layer_that_does_not_run_is_named(pack, pairs, captured, monkeypatch):
    pair = pairs("Flux dev")
    block = pair.transformer.transformer_blocks[1]
    monkeypatch.setattr(
        block,
        "forward",
        lambda hidden_states, encoder_hidden_states, **_: (encoder_hidden_states, hidden_states),
    )
    message = r"4 attention layers to run once, but block 1 \(transformer_blocks\) did not \(1 missing\)"
    with pytest.raises(pack.diffseg_core.CaptureError, match=message):
        captured(pair, layers="all")


def test_an_attention_backend_that_is_not_pytorchs_is_refused(pack, pairs, captured, monkeypatch):
    pair = pairs("Flux dev")
    module = sys.modules[type(pair.transformer).__module__]
    monkeypatch.setattr(module, "dispatch_attention_fn", lambda query, key, value, **_: value)
    with pytest.raises(pack.diffseg_core.CaptureError, match=r"set_attention_backend\(\"native\"\)"):
        captured(pair)


@pytest.mark.parametrize("part", ["whole", "blocks"])
def test_a_compiled_transformer_is_captured(pairs, captured, part):
    pair = pairs("Flux dev")
    expected = captured(pair)

    def fails(*_: Any) -> Any:
        raise RuntimeError("compiled after all")

    compiled = [pair.transformer] if part == "whole" else list(pair.transformer.transformer_blocks)
    try:
        for module in compiled:
            module.compile(backend=fails)
        assert_same(captured(pair), expected, atol=0)
    finally:
        for module in compiled:
            module._compiled_call_impl = None
        torch.compiler.reset()


def test_half_precision_is_captured(kind_of_pair, captured):
    pair = kind_of_pair
    half = replace_transformer(pair, copy.deepcopy(pair.transformer).to(torch.bfloat16))
    rough, exact = captured(half, layers="0", noise_level=500), captured(pair, layers="0", noise_level=500)
    assert rough[rough.grid].dtype == torch.float32
    assert rough.features.dtype == torch.bfloat16
    # 0..2 per row; Flux's timestep and guidance are themselves rounded to three digits.
    assert (rough[rough.grid] - exact[exact.grid]).abs().sum(-1).mean() < 0.3


def test_a_pipeline_of_the_same_transformer_is_captured_alike(pairs, captured):
    pair = pairs("Flux dev")
    for kind in (diffusers.FluxImg2ImgPipeline, diffusers.FluxInpaintPipeline, diffusers.FluxKontextPipeline):
        other = replace(pair, pipeline=kind(**pair.pipeline.components))
        assert_same(captured(other), captured(pair), atol=0)
