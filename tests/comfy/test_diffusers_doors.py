"""What the capture from diffusers takes: images of every kind, and a UNet that something has wrapped."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def grey(images) -> np.ndarray:
    """One grey image, uint8 ``[100, 150]``."""
    return (images[0, 0].numpy() * 255).round().astype(np.uint8)


@pytest.fixture
def captured(pack, sd1) -> Callable[[Any], Any]:
    return lambda given: pack.diffseg_core.capture_diffusers(
        sd1.pipeline, given, working_size=128, **sd1.embeds
    )


def assert_same(maps, expected, atol: float) -> None:
    assert maps.grids == expected.grids
    for grid in expected:
        torch.testing.assert_close(maps[grid], expected[grid], rtol=0, atol=atol)


def kinds(grey: np.ndarray) -> dict[str, Any]:
    planes = torch.from_numpy(grey).float()[None, None].expand(1, 3, -1, -1) / 255
    return {
        "PIL": Image.fromarray(grey),
        "PIL, 16 bits": Image.fromarray(grey.astype(np.uint16) * 257),
        "PIL, RGBA": [Image.fromarray(grey).convert("RGBA")],
        "uint8 array [H, W]": grey,
        "float array [B, 3, H, W]": planes.numpy(),
        "tensor [B, H, W, 3]": planes.movedim(1, -1),
        "tensor [B, H, W, 1]": planes.movedim(1, -1)[..., :1],
    }


def test_every_kind_of_image_is_captured_alike(captured, grey):
    given = kinds(grey)
    expected = captured(torch.from_numpy(grey).float()[None, None].expand(1, 3, -1, -1) / 255)
    white = captured(torch.ones(1, 3, 100, 150))
    finest = expected.grids[0]
    assert (expected[finest] - white[finest]).abs().max() > 1e-3  # so that a white image would be found
    for image in given.values():
        assert_same(captured(image), expected, atol=5e-5)


def test_what_could_be_either_layout_has_its_channels_first(captured):
    image = torch.rand(1, 3, 96, 3, generator=torch.Generator().manual_seed(1))
    assert_same(captured(image), captured(image.movedim(1, -1)), atol=1e-6)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.full((1, 3, 16, 16), 255.0), "from 0 to 1 in the image, got 255 to 255"),
        (torch.full((1, 3, 16, 16), torch.nan), "got 768 of 768 that are not"),
        (torch.rand(1, 2, 16, 16), r"channels in the image, as its last axis, got 16 \(1×2×16×16\)"),
        ("image.png", "got str"),
    ],
)
def test_what_is_no_image_is_refused_before_the_model_runs(pack, sd1, captured, image, message):
    calls: list[Any] = []
    hook = sd1.pipeline.vae.encoder.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
            captured(image)
    finally:
        hook.remove()
    assert not calls


def test_a_vae_that_is_not_variational_makes_latents_too(pack, capture, sd1, images):
    pipeline = copy.copy(sd1.pipeline)
    torch.manual_seed(4)
    pipeline.vae = diffusers.AutoencoderTiny().eval()
    pixels = torch.nn.functional.interpolate(images, size=(64, 128), mode="bilinear", antialias=True) * 2 - 1
    expected = capture(sd1, latent=pipeline.vae.encode(pixels).latents / sd1.scale)
    assert_same(
        pack.diffseg_core.capture_diffusers(pipeline, images, working_size=92, **sd1.embeds),
        expected,
        atol=2e-5,
    )


def test_a_pipeline_without_vae_is_refused(pack, sd1, images):
    pipeline = copy.copy(sd1.pipeline)
    pipeline.vae = None
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="a pipeline with its VAE"):
        pack.diffseg_core.capture_diffusers(pipeline, images, working_size=128, **sd1.embeds)


def test_a_vae_that_overflows_is_found_before_the_unet_runs(pack, sd1, captured, images):
    bias = sd1.pipeline.vae.quant_conv.bias
    kept = bias.data
    bias.data = torch.full_like(kept, torch.nan)
    message = r"finite numbers in the latent that the VAE made of the image, got 2,048 of 2,048"
    try:
        with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
            captured(images)
    finally:
        bias.data = kept


@pytest.mark.parametrize("which", ["prompt_embeds", "pooled_prompt_embeds"])
def test_an_embedding_that_is_not_finite_is_refused(pack, hosts, images, which):
    host = hosts("sdxl")
    embeds = {**host.embeds, which: torch.full_like(host.embeds[which], torch.inf)}
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=rf"finite numbers in the {which}"):
        pack.diffseg_core.capture_diffusers(host.pipeline, images, working_size=128, **embeds)


class Adapted(torch.nn.Module):
    """A model wrapped in the way of PEFT's PeftModel, which asks the model inside for what it has not."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def get_base_model(self) -> torch.nn.Module:
        return self.model


WRAPPERS = {
    "compiled": torch.compile,
    "adapted": Adapted,
    "compiled and adapted": lambda unet: torch.compile(Adapted(unet)),
}


@pytest.fixture
def unet(sd1) -> Iterator[torch.nn.Module]:
    """The pipeline's UNet, whatever the test puts into its place, and compiled as before afterwards."""
    unet = sd1.pipeline.unet
    yield unet
    sd1.pipeline.unet = unet
    for module in unet.modules():
        module._compiled_call_impl = None
    torch.compiler.reset()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_unet_is_captured(sd1, captured, images, unet, wrapper):
    expected = captured(images)
    wrapped = WRAPPERS[wrapper](unet)
    sd1.pipeline.unet = wrapped
    assert_same(captured(images), expected, atol=0)
    assert sd1.pipeline.unet is wrapped


@pytest.mark.parametrize("part", ["whole", "blocks", "down block"])
def test_a_unet_that_is_compiled_in_place_is_captured_and_stays_compiled(captured, images, unet, part):
    expected = captured(images)
    compiled = {
        "whole": [unet],
        "blocks": [m for name, m in unet.named_modules() if name.split(".")[-2:-1] == ["transformer_blocks"]],
        "down block": [unet.down_blocks[0]],
    }[part]
    assert compiled
    for module in compiled:
        module.compile(backend=fails)
    assert_same(captured(images), expected, atol=0)
    assert all(module._compiled_call_impl is not None for module in compiled)


def fails(*_: Any) -> Any:
    raise RuntimeError("compiled after all")


def test_what_is_wrapped_by_something_else_is_refused_by_its_name(pack, sd1, captured, images, unet):
    sd1.pipeline.unet = torch.nn.Sequential(unet)
    message = r"got \w*StableDiffusionPipeline with Sequential"
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
        captured(images)
