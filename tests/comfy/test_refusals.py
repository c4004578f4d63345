"""What cannot be captured is refused, with a message that says why and what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.model_patcher
import comfy.supported_models
import pytest
import torch
from transformer_models import REFUSED
from unet_configs import SMALLEST_UNET

VIDEO = {
    **SMALLEST_UNET,
    "in_channels": 8,
    "use_temporal_attention": True,
    "use_temporal_resblock": True,
    "adm_in_channels": 32,
    "num_classes": "sequential",
    "video_kernel_size": [3, 1, 1],
    "extra_ff_mix_layer": True,
    "use_spatial_context": True,
    "merge_strategy": "learned_with_images",
    "merge_factor": 0.0,
    "num_head_channels": 16,
}


def build(name: str, config: dict[str, Any], **extra: Any) -> comfy.model_patcher.ModelPatcher:
    """A MODEL of one of ComfyUI's architectures, as small as may be; `extra` is set last."""
    model_config = getattr(comfy.supported_models, name)({"dtype": torch.float32, **config})
    model_config.unet_config.update(extra)
    model = model_config.get_model({}, "", torch.device("cpu"))
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "config", "extra"),
    [("SVD_img2vid", VIDEO, {"num_head_channels": 16}), *((name, REFUSED[name], {}) for name in REFUSED)],
    ids=["SVD_img2vid", *REFUSED],
)
def test_other_architectures_are_refused_by_name(pack, capture, sd1, name, config, extra):
    model = build(name, config, **extra)
    message = rf"got {name}\b.*These work: SD 1\.x, SD 2\.x, SDXL.*; SD3 and SD3\.5, Flux\.1.*HunyuanDiT"
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
        capture(sd1, model)
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
        pack.nodes.comfy.capture.backbone_of(model)


def test_every_refusal_of_a_model_says_that_another_will_do(pack, sd1):
    """Of whatever kind ComfyUI knows (videos, audio, 3D), and of what another loader or pipeline brings."""
    ending = r"Masks fit any image: capture with another model\.$"
    for config in comfy.supported_models.models:
        whole = torch.nn.Module()
        whole.model_config, whole.diffusion_model = config.__new__(config), torch.nn.Identity()
        model = comfy.model_patcher.ModelPatcher(whole, torch.device("cpu"), torch.device("cpu"))
        with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=rf"got .*\bIdentity\b.*{ending}"):
            pack.nodes.comfy.capture.backbone_of(model)
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=ending):
        pack.diffseg_core.capture_diffusers(SimpleNamespace(unet=torch.nn.Identity()), torch.rand(8, 8, 3))


@pytest.mark.parametrize(
    ("name", "channels", "extra"),
    [
        ("SD15_instructpix2pix", 8, {}),
        ("SD_X4Upscaler", 7, {"num_head_channels": 16, "num_heads": -1, "disable_self_attentions": None}),
    ],
)
@pytest.mark.filterwarnings(  # the upscaler's own schedule hands tensors to NumPy
    "ignore:__array_wrap__:DeprecationWarning", "ignore:To copy construct from a tensor:UserWarning"
)
def test_models_that_need_further_images_are_refused(pack, capture, sd1, name, channels, extra):
    model = build(name, {**SMALLEST_UNET, "in_channels": channels}, **extra)
    with pytest.raises(
        pack.diffseg_core.UnsupportedModelError, match=rf"got {name} with {channels}, which needs further"
    ):
        capture(sd1, model)


def test_an_inpainting_model_is_captured(capture, sd1):
    model = build("SD15", {**SMALLEST_UNET, "in_channels": 9})
    for weight in model.model.diffusion_model.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    maps = capture(sd1, model)
    assert maps.grids == ((16, 16), (8, 8))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 16, 16, 16), r"\[batch, 4, height, width\] for this model, got 1×16×16×16"),
        ((4, 16, 16), r"\[batch, 4, height, width\] for this model, got 4×16×16"),
        ((0, 4, 16, 16), r"got 0×4×16×16"),
    ],
)
def test_latents_of_another_shape_are_refused(pack, capture, sd1, shape, message):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        capture(sd1, latent=torch.ones(shape))


@pytest.mark.parametrize("timestep", [-2, 1001])
def test_noise_levels_out_of_range_are_refused(pack, capture, sd1, images, timestep):
    message = rf"from 0 to 1000, got {timestep}"
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        capture(sd1, noise_level=timestep)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        pack.diffseg_core.capture_diffusers(sd1.pipeline, images, noise_level=timestep)


@pytest.mark.parametrize("timestep", [0, 1, 500, 999, 1000])
@pytest.mark.parametrize("noise_seed", [None, 1])
def test_the_model_is_told_the_timestep(capture, sd1, timestep, noise_seed):
    seen: list[Any] = []
    hook = sd1.unet.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[1]))
    try:
        capture(sd1, noise_level=timestep, noise_seed=noise_seed)
    finally:
        hook.remove()
    assert [told.tolist() for told in seen] == [[min(timestep, 999)] * 2]


def test_combined_conditioning_is_refused(pack, capture, sd1):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="one entry, got 2"):
        capture(sd1, conditioning=sd1.conditioning * 2)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="one entry, got 0"):
        capture(sd1, conditioning=[])


@pytest.mark.parametrize("key", ["area", "mask"])
def test_conditioning_for_a_part_of_the_image_is_refused(pack, capture, sd1, key):
    value = {"area": (8, 8, 0, 0), "mask": torch.eye(16)[None]}[key]
    conditioning = [[sd1.conditioning[0][0], {key: value}]]
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=f"whole image, got one with an? {key}"):
        capture(sd1, conditioning=conditioning)


def test_conditioning_for_other_timesteps_is_refused(pack, capture, sd1):
    limits = {"start_percent": 0.0, "end_percent": 0.1}
    message = r"one entry, got 0 at this noise level \(1 limited to other timesteps\)"
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        capture(sd1, conditioning=[[sd1.conditioning[0][0], limits]])


@pytest.mark.parametrize(
    ("resolutions", "grids"),
    [
        ("recommended", [(16, 16), (8, 8), (4, 4), (2, 2)]),
        ("all", [(16, 16), (8, 8), (4, 4), (2, 2)]),
        ("finest", [(16, 16)]),
        ("finest two", [(16, 16), (8, 8)]),
        ("all but finest", [(8, 8), (4, 4), (2, 2)]),
    ],
)
def test_resolutions_choose_the_grids(pack, capture, sd1, images, resolutions, grids):
    assert list(capture(sd1, layers=resolutions)) == grids
    theirs = pack.diffseg_core.capture_diffusers(
        sd1.pipeline, images[..., :100], working_size=128, layers=resolutions, **sd1.embeds
    )
    assert list(theirs) == grids


@pytest.mark.parametrize("layers", ["coarse", "middle third", "0-3"])
def test_layers_that_a_unet_does_not_have_are_refused(pack, capture, sd1, images, layers):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=f"Expected layers of a UNet.*'{layers}'"):
        capture(sd1, layers=layers)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=f"Expected layers of a UNet.*'{layers}'"):
        pack.diffseg_core.capture_diffusers(sd1.pipeline, images, layers=layers)


def test_diffusers_pipelines_without_a_unet_are_refused(pack, images):
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=r"UNet2DConditionModel.*got object"):
        pack.diffseg_core.capture_diffusers(object(), images)


def test_a_diffusers_pipeline_without_a_text_encoder_needs_embeddings(pack, sd1, images):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="capture with prompt_embeds"):
        pack.diffseg_core.capture_diffusers(sd1.pipeline, images, working_size=128)


def test_diffusers_unet_is_as_before_after_an_exception(pack, sd1, images):
    unet = sd1.pipeline.unet
    before = dict(unet.attn_processors)

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory, say")

    hook = unet.up_blocks[1].register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="out of memory, say"):
            pack.diffseg_core.capture_diffusers(sd1.pipeline, images, working_size=128, **sd1.embeds)
    finally:
        hook.remove()
    assert unet.attn_processors == before
    assert not any(module._forward_pre_hooks for module in unet.modules())
