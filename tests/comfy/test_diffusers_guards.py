"""What diffusers puts around a model, and what one takes beside an image: captured, or refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from diffusers import hooks
from diffusers.models import attention_processor
from model_shapes import CONTEXT, SHAPES, bare_model
from test_two_hosts import assert_same_maps
from transformer_pairs import SIDE, Pair, make_pair

EVERY_STEP = {"spatial_attention_block_skip_range": 2, "spatial_attention_timestep_skip_range": (0, 1000)}
CACHES: dict[str, Callable[[torch.nn.Module], Any]] = {
    "first block": lambda net: hooks.apply_first_block_cache(net, hooks.FirstBlockCacheConfig()),
    "pyramid": lambda net: hooks.apply_pyramid_attention_broadcast(
        net, hooks.PyramidAttentionBroadcastConfig(**EVERY_STEP, current_timestep_callback=lambda: 500)
    ),
    "faster": lambda net: hooks.apply_faster_cache(
        net, hooks.FasterCacheConfig(**EVERY_STEP, current_timestep_callback=lambda: 500)
    ),
    "magnitudes": lambda net: hooks.apply_mag_cache(
        net, hooks.MagCacheConfig(num_inference_steps=4, mag_ratios=[1.0] * 4)
    ),
    "Taylor": lambda net: hooks.apply_taylorseer_cache(net, hooks.TaylorSeerCacheConfig()),
    "skipped layer": lambda net: hooks.apply_layer_skip(
        net, hooks.LayerSkipConfig(indices=[0], fqn=blocks_of(net))
    ),
    # No cache: what moves the weights goes on, and must come to its end.
    "offloading": lambda net: net.enable_group_offload(
        onload_device=torch.device("cpu"), offload_device=torch.device("cpu"), offload_type="leaf_level"
    ),
}


@cache
def pair_of(name: str) -> Pair:
    """Tests must leave it as it was."""
    with torch.inference_mode(False):
        return make_pair(name)


def blocks_of(net: torch.nn.Module) -> str:
    is_unet = isinstance(net, diffusers.UNet2DConditionModel)
    return "mid_block.attentions.0.transformer_blocks" if is_unet else "transformer_blocks"


@pytest.mark.parametrize("name", ["UNet", "SD3"])
def test_a_cache_or_guidance_is_refused_and_offloading_is_captured(pack, hosts, images, name):
    made = hosts("sd1") if name == "UNet" else pair_of(name)

    def captured(pipeline: Any) -> Any:
        return pack.diffseg_core.capture_diffusers(pipeline, images[:1], working_size=64, **made.embeds)

    expected = captured(made.pipeline)
    for kind, apply in CACHES.items():
        if name == "UNet" and kind in ("first block", "magnitudes", "Taylor"):
            continue  # diffusers does nothing with these in a UNet
        pipeline = copy.copy(made.pipeline)
        part = "unet" if name == "UNet" else "transformer"
        setattr(pipeline, part, copy.deepcopy(getattr(pipeline, part)))
        apply(getattr(pipeline, part))
        if kind == "offloading":
            assert_same_maps(captured(pipeline), expected, atol=0)
        else:
            with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="disable_cache"):
                captured(pipeline)


def with_unet(host: Any, **changes: Any) -> Any:
    pipeline = copy.copy(host.pipeline)
    torch.manual_seed(1)
    own = {key: value for key, value in host.pipeline.unet.config.items() if not key.startswith("_")}
    config = {**own, **changes}
    pipeline.unet = diffusers.UNet2DConditionModel.from_config(config).eval()
    return pipeline


def test_a_unet_for_inpainting_is_shown_a_mask_over_everything_in_both_hosts(pack, capture, sd1, images):
    import comfy.utils

    pipeline = with_unet(sd1, in_channels=9)
    shape = replace(SHAPES["sd1"], unet_config={**SHAPES["sd1"].unet_config, "in_channels": 9})
    model = bare_model(shape, torch.float32, torch.device("cpu"), torch.device("cpu"))
    names = comfy.utils.unet_to_diffusers(shape.unet_config)
    weights = {names[key]: weight.clone() for key, weight in pipeline.unet.state_dict().items()}
    model.model.load_model_weights(weights, "")
    pixels = torch.nn.functional.interpolate(images, size=(64, 128), mode="bilinear", antialias=True) * 2 - 1
    latent = pipeline.vae.encode(pixels).latent_dist.mode()
    for noise_seed in (None, 7):
        ours = capture(sd1, model, latent, noise_seed=noise_seed)
        theirs = pack.diffseg_core.capture_diffusers(
            pipeline, images, working_size=92, noise_seed=noise_seed, **sd1.embeds
        )
        assert_same_maps(ours, theirs, atol=1e-5)


def test_a_unet_that_takes_more_than_a_latent_and_a_text_is_refused_by_it(pack, sd1, images):
    cases: list[tuple[dict[str, Any], str]] = [
        ({"in_channels": 8}, r"a latent of 4 channels .*, got 8: models for instructions"),
        ({"in_channels": 5}, "got 5"),
        ({"num_class_embeds": 10}, "class labels too"),
        ({"encoder_hid_dim_type": "image_proj", "encoder_hid_dim": 24}, "image_proj embeddings too"),
        ({"addition_embed_type": "image", "encoder_hid_dim": 32}, "image embeddings too"),
        ({"only_cross_attention": (True, False, False, False)}, "the text in place of self-attention"),
    ]
    for changes, message in cases:
        with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
            pack.diffseg_core.capture_diffusers(
                with_unet(sd1, **changes), images, working_size=64, **sd1.embeds
            )


def test_an_ip_adapter_is_refused_by_its_name(pack, sd1, images):
    pipeline = with_unet(sd1)
    for module in pipeline.unet.modules():
        if isinstance(module, attention_processor.Attention) and module.is_cross_attention:
            module.set_processor(
                attention_processor.IPAdapterAttnProcessor2_0(module.inner_dim, CONTEXT, num_tokens=(4,))
            )
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="unload_ip_adapter"):
        pack.diffseg_core.capture_diffusers(pipeline, images, working_size=64, **sd1.embeds)


@pytest.mark.parametrize("name", ["sd1", "sdxl", "SD3", "Flux dev", "Qwen-Image"])
def test_embeddings_that_do_not_fit_are_refused_before_the_model_runs(pack, hosts, images, name):
    made: Any = hosts(name) if name in SHAPES else pair_of(name)
    whole = made.embeds["prompt_embeds"]
    width = whole.shape[2]
    of_prompt = rf"Expected prompt_embeds of one prompt, \[1, tokens, {width}\] as the model has, got "
    cases: list[tuple[dict[str, Any], str]] = [
        ({"prompt_embeds": torch.zeros(1, 7, width + 8)}, of_prompt + rf"\[1, 7, {width + 8}\]"),
        ({"prompt_embeds": whole.repeat(2, 1, 1)}, of_prompt + r"\[2, 7"),
        ({"prompt_embeds": whole[0]}, of_prompt + rf"\[7, {width}\]"),
        ({"prompt_embeds": whole[:, :0]}, of_prompt + r"\[1, 0"),
        ({"prompt_embeds": whole.numpy()}, of_prompt + "ndarray"),
        ({"prompt_embeds_mask": torch.ones(2, 7)}, r"mask of \[1, 7\].* got \[2, 7\]"),
        ({"prompt_embeds_mask": torch.ones(7)}, r"got \[7\]. Give one of that shape"),
        ({"prompt_embeds_mask": [[1] * 7]}, "got list"),
    ]
    pooled = made.embeds.get("pooled_prompt_embeds")
    if pooled is not None:
        message = (
            rf"Expected pooled_prompt_embeds of one prompt, \[1, {pooled.shape[1]}\] as the model has, got "
        )
        wide = torch.zeros(1, pooled.shape[1] + 8)
        cases += [
            ({"pooled_prompt_embeds": wide}, message + rf"\[1, {wide.shape[1]}\]"),
            ({"pooled_prompt_embeds": pooled.repeat(2, 1)}, message + r"\[2"),
            ({"pooled_prompt_embeds": pooled[0]}, message),
        ]
    if name != "Qwen-Image":
        hiding = torch.tensor([[1, 1, 1, 1, 1, 0, 0]])
        cases += [
            ({"prompt_embeds_mask": hiding}, "no prompt_embeds_mask for this model.* over 2 of 7 tokens")
        ]
    for given, message in cases:
        with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
            pack.diffseg_core.capture_diffusers(
                made.pipeline, images, working_size=SIDE, **{**made.embeds, **given}
            )


def test_what_of_a_prompt_is_not_given_is_that_of_the_empty_one(pack, images, monkeypatch):
    """And what is given is not thrown away for it."""
    pair = pair_of("Flux dev")
    empty = {"prompt_embeds": torch.ones(1, 7, 8), "pooled_prompt_embeds": torch.full((1, 8), 2.0)}
    for name in ("text_encoder", "text_encoder_2"):
        monkeypatch.setitem(pair.pipeline.__dict__, name, SimpleNamespace(dtype=torch.float32))
    monkeypatch.setattr(
        type(pair.pipeline), "encode_prompt", lambda self, prompt=None, **_: (*empty.values(), None)
    )

    def captured(**given: torch.Tensor) -> Any:
        return pack.diffseg_core.capture_diffusers(pair.pipeline, images, working_size=SIDE, **given)

    assert_same_maps(captured(), captured(**empty), atol=0)
    for name, given in pair.embeds.items():
        assert_same_maps(captured(**{name: given}), captured(**{**empty, name: given}), atol=0)


def test_words_are_not_read_through_a_mask_that_hides_some_of_them(pack, images):
    pair = pair_of("Qwen-Image")
    core = pack.diffseg_core.diffusers.capture
    embeds = pair.embeds["prompt_embeds"]
    maps = core.capture_diffusers(pair.pipeline, images, working_size=SIDE, **pair.embeds)
    tokens = embeds.shape[1]

    def read(mask: torch.Tensor | None) -> Any:
        return core.read_text(pair.pipeline, maps, core.Prompt(embeds, None, mask))

    assert torch.equal(read(torch.ones(1, tokens, dtype=torch.long)).maps, read(None).maps)
    padded = torch.arange(tokens)[None] < tokens - 2
    with pytest.raises(pack.diffseg_core.CaptureError, match="to see every word, got a mask"):
        read(padded)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=r"Expected prompt_embeds of one prompt"):
        core.read_text(pair.pipeline, maps, core.Prompt(embeds[:, :, :5]))
