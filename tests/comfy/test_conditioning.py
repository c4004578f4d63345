"""The entry that acts is taken; a conditioning of another model is refused before anything runs."""

from __future__ import annotations

from typing import Any

import comfy.cldm.cldm
import comfy.context_windows
import comfy.controlnet
import comfy.ops
import pytest
import torch
from comfyui_capture import capture_in_comfyui
from made_samplings import samplings_of_nodes
from transformer_models import tiny_conditioning, tiny_latent, tiny_model

import nodes

FIRST = {"start_percent": 0.0, "end_percent": 0.5}  # the noisy half of the steps
SECOND = {"start_percent": 0.5, "end_percent": 1.0}


@pytest.fixture
def error(pack):
    return pack.diffseg_core.InvalidSettingError


@pytest.fixture
def context_seen(sd1):
    seen: list[torch.Tensor] = []
    hook = sd1.unet.register_forward_pre_hook(
        lambda _, arguments, named: seen.append(named["context"].clone()), with_kwargs=True
    )
    yield seen
    hook.remove()


def prompts(sd1: Any) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = sd1.conditioning[0][0]
    return tokens, tokens.flip(1) * 0.5


@pytest.mark.parametrize(("timestep", "chosen"), [(900, 0), (300, 1)])
def test_of_prompts_for_parts_of_the_sampling_the_acting_one_is_taken(
    capture, sd1, context_seen, timestep, chosen
):
    pair = prompts(sd1)
    conditioning = [[pair[0], dict(FIRST)], [pair[1], dict(SECOND)]]
    capture(sd1, conditioning=conditioning, noise_level=timestep)
    (context,) = context_seen
    torch.testing.assert_close(context, pair[chosen].expand_as(context))
    assert conditioning[0][1] == FIRST


@pytest.mark.parametrize(
    "name", ["ModelSamplingAuraFlow-1.73", "ModelSamplingFlux", "ModelSamplingStableCascade"]
)
def test_the_acting_one_is_that_of_the_samplings_own_levels(capture, sd1, context_seen, name):
    model = samplings_of_nodes()[name](sd1.model)
    pair = prompts(sd1)
    for timestep, chosen in ((900, 0), (100, 1)):
        context_seen.clear()
        capture(
            sd1, model, conditioning=[[pair[0], dict(FIRST)], [pair[1], dict(SECOND)]], noise_level=timestep
        )
        (context,) = context_seen
        torch.testing.assert_close(context, pair[chosen].expand_as(context))


def test_ranges_that_overlap_or_leave_a_gap_are_refused(capture, sd1, error):
    tokens = sd1.conditioning[0][0]
    with pytest.raises(error, match=r"one entry, got 2 at this noise level \(1 limited"):
        capture(sd1, conditioning=[[tokens, {}], [tokens, dict(SECOND)], [tokens, dict(FIRST)]])
    with pytest.raises(error, match=r"one entry, got 0 at this noise level \(2 limited"):
        capture(sd1, conditioning=[[tokens, dict(FIRST)], [tokens, {"end_percent": 0.1}]])


@pytest.mark.parametrize(
    "whole",
    [
        {"area": (16, 16, 0, 0)},
        {"area": (64, 64, 0, 0), "strength": 1.0},
        {"area": ("percentage", 1.0, 1.0, 0.0, 0.0)},
        {"mask": torch.ones(1, 128, 128), "mask_strength": 1.0, "set_area_to_bounds": True},
        {"mask": torch.ones(1, 8, 8), "mask_strength": 1.0, "set_area_to_bounds": False},
    ],
    ids=["area", "larger area", "percentage", "mask with bounds", "mask"],
)
def test_an_area_or_a_mask_of_the_whole_image_is_none(capture, sd1, whole):
    plain = capture(sd1)
    maps = capture(sd1, conditioning=[[sd1.conditioning[0][0], dict(whole)]])
    assert all(torch.equal(maps[grid], plain[grid]) for grid in plain)


OPTIONS = (
    *("area", "mask", "strength", "mask_strength", "set_area_to_bounds", "start_percent", "end_percent"),
    *("clip_start_percent", "clip_end_percent", "control", "gligen", "hooks", "width", "height"),
    *("unclip_conditioning", "concat_latent_image", "concat_mask", "noise_concat", "attention_mask"),
    *("reference_latents", "reference_latents_method", "clip_vision_output", "time_dim_concat"),
)


@pytest.mark.parametrize("name", ["sd1", "Flux dev", "Qwen-Image"])
def test_an_option_that_says_nothing_is_none(pack, sd1, name):
    """Nodes of other packs leave None and empty lists behind, as of references that nobody connected."""
    model, latent, tokens, needed = sd1.model, torch.ones(1, 4, 16, 16), sd1.conditioning[0][0], {}
    if name != "sd1":
        model, latent, ((tokens, needed),) = tiny_model(name), tiny_latent(name), tiny_conditioning(name)
        needed.pop("guidance", None)

    def capture(options: dict[str, Any]) -> Any:
        conditioning = [[tokens, {**needed, **options}]]
        return capture_in_comfyui(pack, model, latent, conditioning, noise_level=300, noise_seed=None)

    plain = capture({})
    for nothing in (None, [], ()):
        guidance = {} if nothing is None else {"guidance": nothing}
        maps = capture(dict.fromkeys(OPTIONS, nothing) | guidance)
        assert all(torch.equal(maps[grid], plain[grid]) for grid in plain), nothing


def test_guidance_of_none_stays_what_it_is(pack):
    """It is what Flux Disable Guidance says: not ComfyUI's 3.5."""
    found = []
    for options in ({}, {"guidance": 3.5}, {"guidance": None}):
        ((tokens, needed),) = tiny_conditioning("Flux dev")
        needed.pop("guidance", None)
        maps = capture_in_comfyui(
            pack,
            tiny_model("Flux dev"),
            tiny_latent("Flux dev"),
            [[tokens, {**needed, **options}]],
            noise_level=300,
            noise_seed=None,
        )
        found.append(maps[maps.grid])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"area": (16, 15, 0, 0)}, "got one with an area"),
        ({"area": (16, 16, 0, 1)}, "got one with an area"),
        ({"area": ("percentage", 1.0, 0.5, 0.0, 0.0)}, "got one with an area"),
        ({"area": ("percentage", 1.0, 1.0, 0.0, 0.5)}, "got one with an area"),
        ({"mask": torch.eye(16)[None]}, "got one with a mask"),
    ],
)
def test_a_part_of_the_image_is_refused(capture, sd1, error, part, message):
    with pytest.raises(error, match=message):
        capture(sd1, conditioning=[[sd1.conditioning[0][0], part]])


@pytest.fixture
def refused_before_anything(pack, error, monkeypatch):
    """Run the node with an image, and see that neither VAE nor UNet ran before it refused."""

    def run(host: Any, conditioning: list[Any], message: str) -> None:
        ran: list[Any] = []
        monkeypatch.setattr(host.vae, "encode", ran.append)
        hook = host.unet.register_forward_pre_hook(lambda *_: ran.append("UNet"))
        try:
            with pytest.raises(error, match=message):
                pack.nodes.capture.DiffSegCapture.execute(
                    host.model, 300, "clean latent", 0, 128, "all",
                    conditioning=conditioning, vae=host.vae, image=torch.rand(1, 64, 64, 3),
                )  # fmt: skip
        finally:
            hook.remove()
        assert not ran

    return run


def test_tokens_of_another_width_are_refused(refused_before_anything, sd1):
    message = r"one prompt, \[1, tokens, 32\] as the model has, got \[1, 77, 2048\]\. Connect the CLIP"
    refused_before_anything(
        sd1, [[torch.zeros(1, 77, 2048), {"pooled_output": torch.zeros(1, 1280)}]], message
    )


@pytest.mark.parametrize(("tokens", "got"), [(None, "NoneType"), (torch.zeros(7, 32), r"\[7, 32\]")])
def test_tokens_of_another_shape_are_refused(refused_before_anything, sd1, tokens, got):
    refused_before_anything(sd1, [[tokens, {}]], rf"\[1, tokens, 32\] as the model has, got {got}")


def test_tokens_that_are_not_finite_are_refused(refused_before_anything, sd1):
    tokens = torch.zeros(1, 7, 32)
    tokens[0, 2, :3] = torch.nan
    refused_before_anything(sd1, [[tokens, {}]], "finite numbers in the conditioning, got 3 of 224")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"pooled output of one prompt, \[1, 32\] as the model has, got NoneType"),
        ({"pooled_output": None}, "got NoneType"),
        ({"pooled_output": torch.zeros(1, 1280)}, r"got \[1, 1280\]"),
    ],
)
def test_sdxl_needs_its_own_pooled_output(refused_before_anything, hosts, options, message):
    host = hosts("sdxl")
    refused_before_anything(host, [[host.conditioning[0][0], options]], message)


def control_net(width: int) -> comfy.controlnet.ControlNet:
    """A ControlNet for prompts of the width given, in the shape of the small SD 1.x."""
    torch.manual_seed(3)
    net = comfy.cldm.cldm.ControlNet(
        image_size=32, in_channels=4, model_channels=32, hint_channels=3, num_res_blocks=[1, 1, 1, 1],
        channel_mult=[1, 2, 4, 4], num_heads=8, transformer_depth=[1, 1, 1, 0], transformer_depth_middle=1,
        use_spatial_transformer=True, context_dim=width, legacy=False,
        operations=comfy.ops.disable_weight_init,
    )  # fmt: skip
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    net.dtype = torch.float32
    return comfy.controlnet.ControlNet(net, load_device=torch.device("cpu"))


def with_control(sd1: Any, width: int) -> list[Any]:
    hint = torch.rand(1, 64, 64, 3)
    return nodes.ControlNetApply().apply_controlnet(sd1.conditioning, control_net(width), hint, 1.0)[0]


def test_a_control_net_of_another_family_is_named(pack, capture, sd1):
    with pytest.raises(pack.diffseg_core.CaptureError, match="from the conditioning's control"):
        capture(sd1, conditioning=with_control(sd1, 48))


def test_a_control_net_of_the_family_acts(capture, sd1):
    plain = capture(sd1)
    maps = capture(sd1, conditioning=with_control(sd1, 32))
    assert not all(torch.allclose(maps[grid], plain[grid], atol=1e-6) for grid in plain)


def test_context_windows_are_left_out(capture, sd1):
    """They split a batch, and would run the model for each part."""
    model = sd1.model.clone()
    model.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(
        context_schedule=comfy.context_windows.get_matching_context_schedule("standard_static"),
        fuse_method=comfy.context_windows.get_matching_fuse_method("pyramid"),
        context_length=2, context_overlap=0, dim=0,
    )  # fmt: skip
    latent = torch.randn(5, 4, 16, 16)
    plain = capture(sd1, latent=latent)
    maps = capture(sd1, model, latent)
    assert all(torch.equal(maps[grid], plain[grid]) for grid in plain)
    assert "context_handler" in model.model_options


def test_a_conditioning_is_one_prompt_for_all_images(capture, sd1, error):
    tokens = sd1.conditioning[0][0]
    for wrong, message in (
        ([[tokens.repeat(3, 1, 1), {}]], r"one prompt, .* got \[3, 7, 32\]"),
        ([[tokens[:0], {}]], r"one prompt, .* got \[0, "),
        ([[tokens[:, :0], {}]], r"one prompt, .* got \[1, 0, "),
    ):
        with pytest.raises(error, match=message):
            capture(sd1, conditioning=wrong)
    plain = capture(sd1, conditioning=[[tokens, {}]])
    for same in ([[tokens, None]], [[tokens, {"clip_start_percent": 0.0}]]):
        assert all(torch.equal(plain[grid], capture(sd1, conditioning=same)[grid]) for grid in plain)
