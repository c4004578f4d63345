"""What a LATENT says beside its numbers is heeded as ComfyUI's own sampling heeds it, or refused."""

from __future__ import annotations

from typing import Any

import comfy.model_patcher
import comfy.sample
import comfy.supported_models
import pytest
import torch
from unet_configs import SMALLEST_UNET

CHANNELS, SIDE = 4, 16


@pytest.fixture
def run_capture(run_capture):
    """Of a latent, noised by a seed, unless told otherwise."""

    def run(latent: dict[str, Any] | None = None, model: Any = None, **inputs: Any) -> Any:
        chosen = {} if model is None else {"model": model}
        return run_capture(
            latent=latent, **chosen, **{"input_mode": "noised latent", "noise_seed": 11, **inputs}
        )

    return run


@pytest.fixture
def error(pack):
    return pack.diffseg_core.InvalidSettingError


def samples(count: int = 3) -> torch.Tensor:
    return torch.randn(count, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def first_inputs(unet: torch.nn.Module, run: Any) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = unet.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].clone()))
    try:
        run()
    finally:
        hook.remove()
    (x,) = seen
    return x


def test_a_latent_out_of_a_batch_gets_the_noise_that_it_has_there(run_capture, sd1):
    batch = samples(3)
    whole = first_inputs(sd1.unet, lambda: run_capture({"samples": batch, "batch_index": [0, 1, 2]}))
    one = {"samples": batch[1:2], "batch_index": [1]}  # as Latent From Batch makes it
    torch.testing.assert_close(first_inputs(sd1.unet, lambda: run_capture(one)), whole[1:2])
    noise = comfy.sample.prepare_noise(batch[1:2], 11, [1])
    sigma = sd1.model.get_model_object("model_sampling").sigmas[300]
    expected = (batch[1:2] * sd1.scale + noise * sigma) / (sigma**2 + 1) ** 0.5
    torch.testing.assert_close(whole[1:2], expected, rtol=0, atol=1e-5)
    plain = first_inputs(sd1.unet, lambda: run_capture({"samples": batch[1:2]}))
    assert not torch.allclose(plain, whole[1:2], atol=1e-2)


@pytest.mark.parametrize("mode", ["clean latent", "noised latent"])
def test_a_noise_mask_is_shown_to_an_inpainting_model(run_capture, mode):
    model = inpainting_model()
    mask = torch.zeros(1, 1, SIDE * 8, SIDE * 8)
    mask[..., : SIDE * 4] = 1.0
    latent = {"samples": samples(1), "noise_mask": mask}
    unet = model.model.diffusion_model
    x = first_inputs(unet, lambda: run_capture(latent, model, input_mode=mode))
    assert x.shape[1] == 9
    assert torch.equal(x[:, 4, :, : SIDE // 2], torch.ones(1, SIDE, SIDE // 2))
    assert torch.equal(x[:, 4, :, SIDE // 2 :], torch.zeros(1, SIDE, SIDE // 2))
    without = first_inputs(unet, lambda: run_capture({"samples": samples(1)}, model, input_mode=mode))
    torch.testing.assert_close(x[:, :4], without[:, :4])  # the image itself is not masked


@pytest.mark.parametrize("mode", ["clean latent", "noised latent"])
def test_a_noise_mask_changes_nothing_for_other_models(run_capture, sd1, mode):
    mask = torch.zeros(1, SIDE * 8, SIDE * 8)
    masked, plain = (
        first_inputs(sd1.unet, lambda latent=latent: run_capture(latent, input_mode=mode))
        for latent in ({"samples": samples(), "noise_mask": mask}, {"samples": samples()})
    )
    assert torch.equal(masked, plain)


def inpainting_model() -> Any:
    config = comfy.supported_models.SD15({**SMALLEST_UNET, "dtype": torch.float32, "in_channels": 9})
    model = config.get_model({}, "", torch.device("cpu"))
    for weight in model.diffusion_model.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


@pytest.mark.parametrize(
    ("latent", "message"),
    [
        ({"samples": torch.zeros(1, 4, 1, 16, 16)}, r"got 1×4×1×16×16\. Use the VAE"),
        ({"samples": None}, r"samples as a tensor, got NoneType"),
        ({"noise_mask": torch.zeros(1, 8, 8)}, r"samples as a tensor, got NoneType"),
        ({"samples": torch.zeros(1, 4, 1, 16)}, r"at least 2×2 places, got 1×16 from a latent of 1×16"),
    ],
)
def test_latents_that_cannot_be_used_are_refused(run_capture, error, latent, message):
    with pytest.raises(error, match=message):
        run_capture(latent)


def test_a_narrow_latent_is_refused_by_the_resolutions_that_are_kept(run_capture, error):
    latent = {"samples": torch.zeros(1, 4, 2, 16)}
    with pytest.raises(error, match=r"got 1×8 from a latent of 2×16"):
        run_capture(latent, layers="all but finest")


def test_the_smallest_latent_is_captured(run_capture):
    assert run_capture({"samples": samples(1)[..., :2, :]}).maps.grid == (2, SIDE)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_not_finite_are_refused_before_anything_runs(
    run_capture, error, capture, sd1, monkeypatch, bad
):
    ran: list[Any] = []
    monkeypatch.setattr(sd1.vae, "encode", ran.append)
    latent = samples()
    latent[0, 0, 0, :5] = bad
    with pytest.raises(error, match=rf"finite numbers in the latent, got 5 of {latent.numel():,}"):
        run_capture({"samples": latent})
    with pytest.raises(error, match=r"finite numbers in the latent, got 5 of"):
        capture(sd1, latent=latent)
    image = torch.rand(1, 20, 20, 3)
    image[0, 3, 4] = bad
    with pytest.raises(error, match=r"finite numbers in the image, got 3 of 1,200"):
        run_capture(image=image, vae=sd1.vae)
    assert not ran


def test_a_vae_that_overflows_is_named(run_capture, error, sd1, monkeypatch):
    monkeypatch.setattr(sd1.vae, "encode", lambda _: torch.full((1, 4, 16, 16), torch.nan))
    with pytest.raises(error, match=r"got 1,024 of 1,024 .* A VAE in half precision gives these"):
        run_capture(image=torch.rand(1, 20, 20, 3), vae=sd1.vae)


def test_a_thread_of_an_image_is_refused_before_the_vae_runs(run_capture, error, sd1, monkeypatch):
    ran: list[Any] = []
    monkeypatch.setattr(sd1.vae, "encode", ran.append)
    with pytest.raises(error, match="at most 200 times as long as broad, got 201×1 pixels"):
        run_capture(image=torch.rand(1, 1, 201, 3), vae=sd1.vae)
    assert not ran


def test_an_image_of_one_row_goes_through_at_the_default_settings(pack, run_capture, sd1):
    captured = run_capture(image=torch.rand(1, 1, 64, 3), vae=sd1.vae)
    assert captured.maps.grid[0] < 16
    segments, count = pack.nodes.segment.DiffSegSegment.execute(captured, 1.0, 16, 0.0).args
    assert segments.segments.labels.shape == (1, 1, 64)
    assert count >= 1
