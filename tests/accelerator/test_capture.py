"""What is captured on the accelerator is the attention of the same model in float64 on the CPU."""

from __future__ import annotations

import psutil
import pytest
import torch
from random_models import (
    FULL_SIZE,
    LATENT_SIDES,
    SHAPES,
    difference,
    expected_maps,
    random_conditioning,
    random_latent,
    random_model,
)

# How far maps may be from those of float64, as a share of what sets these apart from even attention: rounding
# in the whole model before a layer adds up. Another layer's or head's maps are at about 1.
WHOLE_MODEL = {torch.float32: 1e-3, torch.float16: 5e-2, torch.bfloat16: 3e-1}
# And what rounding within a layer's own attention does once its queries and keys are given, of all attention.
OWN_INPUTS = 1e-5
TYPES = pytest.mark.parametrize("dtype", WHOLE_MODEL, ids=lambda dtype: str(dtype).removeprefix("torch."))
CPU = torch.device("cpu")


def with_float64(device):
    return device if device.type == "cuda" else CPU


def latent_for(name, device):
    if name == "SDXL" and device.type == "cpu":
        pytest.skip("SDXL's real size takes the CPU minutes, and shows no more than SD 1.5's")
    if name in SHAPES:
        return random_latent(2, 16, 24)
    side = LATENT_SIDES[name] // (4 if device.type == "cpu" else 1)
    return random_latent(1, side, side)


@pytest.fixture(scope="module")
def in_float64(device, capture):
    """By name of a model, its attention in float64 on the CPU; made once."""
    made = {}

    def maps(name):
        if name not in made:
            needed = {"SDXL": 40, "SD 1.5": 14}.get(name, 0)
            if psutil.virtual_memory().available < needed * 2**30:
                pytest.skip(f"{name} in float64 takes {needed} GB of memory, and there are less")
            model = random_model(name, torch.float64, CPU)
            latent, conditioning = latent_for(name, device), random_conditioning(name)
            expected, _ = expected_maps(model, lambda: capture(model, latent, conditioning), CPU)
            made[name] = {tokens: total.float() for tokens, total in expected.items()}
        return made[name]

    return maps


@TYPES
@pytest.mark.parametrize("name", [*SHAPES, *FULL_SIZE])
def test_captured_maps_are_those_of_float64_on_the_cpu(name, dtype, device, capture, in_float64, report):
    latent, expected = latent_for(name, device), in_float64(name)
    model = random_model(name, dtype, device)
    maps = capture(model, latent, random_conditioning(name))
    assert {grid.tokens for grid in maps} == expected.keys()
    shares = []
    for grid in maps:
        own = expected[grid.tokens]
        structure = difference(own, torch.full_like(own, 1 / grid.tokens))
        assert structure > 0.1  # enough for a mistake to show
        shares.append(difference(maps[grid], own) / structure)
    report(f"{name}, {dtype}: {max(shares):.1e} of what makes the attention is other than in float64")
    assert max(shares) < WHOLE_MODEL[dtype]


@TYPES
@pytest.mark.parametrize("name", [*SHAPES, *FULL_SIZE])
def test_captured_maps_are_the_softmax_of_what_the_layers_project(name, dtype, device, capture):
    latent, conditioning = latent_for(name, device), random_conditioning(name)
    model = random_model(name, dtype, device)
    expected, maps = expected_maps(model, lambda: capture(model, latent, conditioning), with_float64(device))
    for grid in maps:
        assert maps[grid].dtype == torch.float32
        assert maps[grid].device == CPU  # ComfyUI's intermediate device
        assert difference(maps[grid], expected[grid.tokens]) < OWN_INPUTS


@TYPES
def test_the_model_predicts_the_same_while_it_is_captured(dtype, device, capture):
    """Its own attention, flash or xformers as a rule, gives what the capture's gives."""
    model, latent = random_model("sd1", dtype, device), random_latent(2, 16, 24)
    seen = []
    hook = model.model.diffusion_model.register_forward_hook(
        lambda module, arguments, output: seen.append((arguments, output))
    )
    capture(model, latent, random_conditioning("sd1"))
    hook.remove()
    (arguments, captured), *more = seen
    assert not more
    assert captured.device == device
    plain = model.model.diffusion_model(
        *arguments[:2], context=random_conditioning("sd1")[0][0].expand(2, -1, -1).to(device, dtype)
    )
    tolerance = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}[dtype]
    torch.testing.assert_close(captured, plain, rtol=0, atol=tolerance * float(plain.abs().amax()))
