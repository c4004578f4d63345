"""The same weights and image give the same attention in both hosts, and it is the model's own."""

from __future__ import annotations

import sys
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


def assert_same_maps(one: Any, other: Any, atol: float) -> None:
    assert one.grids == other.grids
    for grid in one:
        torch.testing.assert_close(one[grid], other[grid], rtol=0, atol=atol)


def expected_maps(attentions: list[torch.nn.Module], run: Any) -> tuple[dict[int, torch.Tensor], Any]:
    """By number of tokens: mean over layers and heads of softmax(QKᵀ/√d), from what the layers were given."""
    layers: dict[int, list[torch.Tensor]] = defaultdict(list)
    inputs: dict[torch.nn.Module, torch.Tensor] = {}

    def remember(module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        inputs[module] = arguments[0].clone()

    with ExitStack() as hooks:
        for attention in attentions:
            for projection in (attention.to_q, attention.to_k):
                hooks.callback(projection.register_forward_pre_hook(remember).remove)
        result = run()
    for attention in attentions:
        q, k = (
            (inputs[projection].double() @ projection.weight.double().T).unflatten(2, (attention.heads, -1))
            for projection in (attention.to_q, attention.to_k)
        )
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
        layers[q.shape[1]].append(scores.softmax(-1).mean(1).float())
    return {tokens: torch.stack(maps).mean(0) for tokens, maps in layers.items()}, result


@pytest.mark.parametrize("noise_seed", [None, 7])
@pytest.mark.parametrize(("size", "crop"), [(128, slice(25, 125)), (160, slice(None))], ids=["square", "3:2"])
def test_both_captures_agree(pack, host, images, size, crop, noise_seed):
    cropped = images[:, :, :, crop]
    ours = pack.nodes.capture.DiffSegCapture.execute(
        model=host.model,
        vae=host.vae,
        image=cropped.movedim(1, -1),
        conditioning=host.conditioning,
        noise_level=300,
        input_mode="clean latent" if noise_seed is None else "noised latent",
        noise_seed=noise_seed or 0,
        working_size=size,
        layers="all",
    )[0]
    theirs = pack.diffseg_core.capture_diffusers(
        host.pipeline, cropped, working_size=size, noise_seed=noise_seed, **host.embeds
    )
    assert ours.image_size == tuple(cropped.shape[2:])
    assert_same_maps(ours.maps, theirs, atol=1e-5)


def test_comfyui_capture_is_the_softmax_of_the_layers_own_inputs(capture, host):
    latent = torch.randn(2, 4, 16, 24)
    expected, maps = expected_maps(host.self_attentions(), lambda: capture(host, latent=latent))
    assert {grid.tokens for grid in maps} == expected.keys()
    for grid in maps:
        torch.testing.assert_close(maps[grid], expected[grid.tokens], rtol=0, atol=1e-5)
        assert maps[grid].amax() > 2 / grid.tokens  # uneven enough for a mistake to show


def test_diffusers_capture_is_the_softmax_of_the_layers_own_inputs(pack, host, images):
    attentions = [m for name, m in host.pipeline.unet.named_modules() if name.endswith(".attn1")]
    expected, maps = expected_maps(
        attentions,
        lambda: pack.diffseg_core.capture_diffusers(host.pipeline, images, working_size=128, **host.embeds),
    )
    assert {grid.tokens for grid in maps} == expected.keys()
    for grid in maps:
        torch.testing.assert_close(maps[grid], expected[grid.tokens], rtol=0, atol=1e-5)


def test_a_half_precision_vae_that_overflows_encodes_in_float32(pack, sd1, images):
    vae = sd1.pipeline.vae
    full = pack.diffseg_core.capture_diffusers(sd1.pipeline, images, working_size=128, **sd1.embeds)
    assert vae.config.force_upcast
    seen: list[torch.dtype] = []
    hook = vae.encoder.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].dtype))
    weights = {name: weight.clone() for name, weight in vae.state_dict().items()}
    try:
        vae.half()
        half = pack.diffseg_core.capture_diffusers(sd1.pipeline, images, working_size=128, **sd1.embeds)
        assert vae.dtype == torch.float16
    finally:
        hook.remove()
        vae.float().load_state_dict(weights)
    assert seen == [torch.float32]
    assert half.grids == full.grids


@pytest.mark.parametrize("values", [1, 1000, 70000])
def test_chunks_make_no_difference(pack, capture, host, monkeypatch, values):
    """From a single row of one head to several heads at once, with a rest in both."""
    latent = torch.randn(2, 4, 8, 24)
    whole = capture(host, latent=latent)
    accumulator = sys.modules[pack.diffseg_core.AttentionAccumulator.__module__]
    monkeypatch.setattr(accumulator, "CHUNK_VALUES_CPU", values)
    assert_same_maps(capture(host, latent=latent), whole, atol=1e-5)


def test_no_more_than_a_chunk_is_held_beside_the_accumulators(pack, monkeypatch):
    """No tensor that an attention layer makes is larger than a chunk, its own inputs, or the accumulator."""
    accumulator = sys.modules[pack.diffseg_core.AttentionAccumulator.__module__]
    monkeypatch.setattr(accumulator, "CHUNK_VALUES_CPU", 2**14)
    made: list[int] = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            made.append(result.numel() if isinstance(result, torch.Tensor) else 0)
            return result

    grid = pack.diffseg_core.GridSize(16, 16)
    query, key, value = torch.randn(3, 1, 8, 256, 4)
    attention = pack.diffseg_core.AttentionAccumulator()
    attention.attend(query, key, value, grid)  # makes the accumulator
    with Sizes():
        attention.attend(query, key, value, grid)
    inside = [size for size in made if size not in (256 * 256, 64 * 256)]  # the accumulator, and its rows
    assert max(inside) <= 2**14
    assert max(made) == 256 * 256


def test_diffusers_pipeline_is_as_before(pack, sd1, images):
    unet = sd1.pipeline.unet
    processors = dict(unet.attn_processors)
    state = torch.random.get_rng_state()
    pack.diffseg_core.capture_diffusers(sd1.pipeline, images, working_size=128, noise_seed=3, **sd1.embeds)
    assert unet.attn_processors == processors
    assert not any(module._forward_pre_hooks for module in unet.modules())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("kind", ["comfyui", "diffusers"])
def test_the_models_output_is_its_own(pack, capture, host, images, kind):
    calls: list[tuple[Any, Any]] = []
    outputs: list[Any] = []

    def before(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        calls.append((arguments, named))

    def after(_: Any, __: Any, output: Any) -> None:
        outputs.append(output)

    unet = host.unet if kind == "comfyui" else host.pipeline.unet
    with ExitStack() as hooks:
        hooks.callback(unet.register_forward_pre_hook(before, with_kwargs=True).remove)
        hooks.callback(unet.register_forward_hook(after).remove)
        if kind == "comfyui":
            capture(host)
        else:
            pack.diffseg_core.capture_diffusers(host.pipeline, images, working_size=128, **host.embeds)
    ((arguments, named),) = calls  # one forward, no more
    if kind == "comfyui":
        assert named.pop("transformer_options")["patches_replace"]["attn1"]
        captured, plain = outputs[0], unet(*arguments, **named)
    else:
        captured, plain = outputs[0][0], unet(*arguments, **named)[0]
    assert (captured - plain).abs().max() <= 1e-4 * plain.abs().max()


@pytest.mark.parametrize("noise_seed", [None, 7])
def test_the_unet_is_given_the_papers_input(capture, host, noise_seed):
    seen: list[Any] = []
    latent = torch.randn(2, 4, 16, 16)
    hook = host.unet.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[:2]))
    try:
        capture(host, latent=latent, noise_seed=noise_seed)
    finally:
        hook.remove()
    ((x, t),) = seen
    assert t.tolist() == [300, 300]
    expected = latent * host.scale
    if noise_seed is not None:
        kept = host.pipeline.scheduler.alphas_cumprod[300]
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(noise_seed))
        expected = expected * kept.sqrt() + noise * (1 - kept).sqrt()
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-5)


def test_sd2_small_model_predicts_v(hosts):
    assert hosts("sd2-v").model.model.model_type.name == "V_PREDICTION"


def test_bfloat16_model_gives_nearly_the_same_maps(capture, host, make_model, request):
    model = make_model(request.node.callspec.params["host"], torch.bfloat16)
    assert next(model.model.diffusion_model.parameters()).dtype == torch.bfloat16
    exact, rough = capture(host), capture(host, model)
    for grid in exact:
        assert rough[grid].dtype == torch.float32
        difference = (rough[grid] - exact[grid]).abs().sum(-1)  # 0..2 per row
        assert difference.mean() < 0.1
