"""Whatever a node makes of the noise levels, the UNet sees the latent itself, and the timestep they mean."""

from __future__ import annotations

from typing import Any

import comfy.model_sampling
import comfy.samplers
import pytest
import torch
from cases import exhaustive_but
from made_samplings import parametrisations, samplings_of_nodes, with_sampling

PARAMETRISATIONS = dict(parametrisations())
NODES = samplings_of_nodes()
# A table of levels, one without an end, one of few levels, and a flow.
FOUR = ["ModelSamplingDiscrete-v_prediction", "ModelSamplingDiscrete-eps-zsnr"]
FOUR += ["ModelSamplingDiscrete-lcm", "ModelSamplingSD3-3.0"]


@pytest.fixture(scope="module")
def patched(hosts):
    """The small SD 1.x with the sampling of a node, each made once: some compute ten thousand levels."""
    made: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name not in made:
            made[name] = NODES[name](hosts("sd1").model)
        return made[name]

    return model


@pytest.fixture
def seen(sd1):
    """What the UNet's first convolution saw and which timesteps it was told, as a growing list."""
    told: list[torch.Tensor] = []
    inputs: list[tuple[torch.Tensor, torch.Tensor]] = []
    hooks = [
        sd1.unet.register_forward_pre_hook(lambda _, arguments: told.append(arguments[1])),
        sd1.unet.input_blocks[0][0].register_forward_pre_hook(
            lambda _, arguments: inputs.append((arguments[0].clone(), told[-1]))
        ),
    ]
    yield inputs
    for hook in hooks:
        hook.remove()


def latent_of(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(5))


def expected_sigma(sampling: Any, timestep: int) -> torch.Tensor:
    """Beside the code under test: the level for a whole timestep, or as far up the table."""
    if type(sampling).__mro__[1].__name__ == "ModelSamplingDiscreteDistilled":
        place = round((timestep - 19) / 20)  # it knows 19, 39, … 999
        return sampling.sigmas[max(place, 0)]
    return sampling.sigmas[round(timestep / 999 * (len(sampling.sigmas) - 1))]


def check_clean(capture: Any, host: Any, model: Any, seen: list[Any], timestep: int) -> None:
    latent = latent_of()
    capture(host, model, latent, noise_level=timestep)
    ((x, told),) = seen
    shown = model.get_model_object("latent_format").process_in(latent)
    torch.testing.assert_close(x, shown, rtol=1e-3, atol=1e-4)
    sampling = model.get_model_object("model_sampling")
    expected = sampling.timestep(expected_sigma(sampling, timestep).reshape(1)).float()
    torch.testing.assert_close(told, expected.expand(2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", PARAMETRISATIONS)
def test_every_parametrisation_shows_the_latent_itself(capture, sd1, seen, name):
    check_clean(capture, sd1, with_sampling(sd1.model, PARAMETRISATIONS[name]), seen, 300)


@pytest.mark.parametrize("name", NODES)
def test_every_sampling_node_shows_the_latent_itself(capture, sd1, seen, patched, name):
    check_clean(capture, sd1, patched(name), seen, 300)


@pytest.mark.parametrize("timestep", [0, 999])
@pytest.mark.parametrize("name", exhaustive_but(FOUR, NODES))
def test_sampling_nodes_show_it_at_the_first_and_the_last_level(capture, sd1, seen, patched, name, timestep):
    check_clean(capture, sd1, patched(name), seen, timestep)


@pytest.mark.parametrize("name", exhaustive_but(FOUR, NODES))
def test_the_noise_is_the_samplings_own(capture, sd1, seen, patched, name):
    model, latent = patched(name), latent_of()
    capture(sd1, model, latent, noise_seed=9)
    ((x, _),) = seen
    sampling = model.get_model_object("model_sampling")
    sigma = expected_sigma(sampling, 300)
    shown = model.get_model_object("latent_format").process_in(latent)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(9))
    expected = sampling.calculate_input(sigma, sampling.noise_scaling(sigma, noise, shown))
    torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("timestep", [0, 1, 299, 300, 310, 999])
def test_an_lcm_model_is_told_the_nearest_timestep_that_it_knows(capture, sd1, seen, timestep):
    capture(sd1, NODES["ModelSamplingDiscrete-lcm"](sd1.model), latent_of(1), noise_level=timestep)
    ((_, told),) = seen
    assert told.item() in range(19, 1000, 20)
    assert abs(told.item() - timestep) <= max(10, 19 - timestep)


@pytest.mark.parametrize("timestep", [0, 1, 300, 999])
def test_usual_models_see_the_very_numbers_that_they_always_saw(capture, host, timestep):
    """Bit for bit: maps from before compare equal."""
    inputs: list[torch.Tensor] = []
    hook = host.unet.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].clone()))
    latent = latent_of()
    try:
        capture(host, latent=latent, noise_level=timestep)
        capture(host, latent=latent, noise_level=timestep, noise_seed=4)
    finally:
        hook.remove()
    clean, noised = inputs
    sampling = host.model.get_model_object("model_sampling")
    sigma = sampling.sigmas[timestep].float().reshape(1)
    shown = latent * host.scale
    divisor = torch.ones_like(shown) / (sigma.view(()) ** 2 + 1.0) ** 0.5
    scale = (sigma.expand(2).view(2, 1, 1, 1) ** 2 + 1.0) ** 0.5
    assert torch.equal(clean, shown / divisor / scale)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(4)) * sigma.view(())
    assert torch.equal(noised, (noise + shown) / scale)


class Squared(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
    """Scales nothing by a number."""

    def calculate_input(self, sigma: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return noise * noise


class Endless(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
    """Without an end of its noise."""

    def set_sigmas(self, sigmas: torch.Tensor) -> None:
        super().set_sigmas(torch.cat((sigmas[:-1], torch.tensor([torch.inf]))))


@pytest.mark.parametrize(
    ("kind", "timestep", "message"),
    [
        (Squared, 300, r"scales the model's input by a number.*got ModelSamplingDiscrete with EPS"),
        (Endless, 999, r"finite σ at noise level 999, got inf from ModelSamplingDiscrete with EPS"),
    ],
)
def test_other_samplings_are_refused_by_name(pack, capture, sd1, seen, kind, timestep, message):
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
        capture(sd1, with_sampling(sd1.model, kind), latent_of(), noise_level=timestep)
    assert not seen
