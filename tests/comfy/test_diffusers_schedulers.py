"""A scheduler says what its model is told of noise, and the same model gives the same in both hosts."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import comfy.latent_formats
import diffusers
import pytest
import torch
from comfy_extras import nodes_model_advanced as nodes
from made_samplings import samplings_of_nodes
from test_two_hosts import assert_same_maps
from transformer_pairs import SIDE, make_pair

SCALED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
FLOW_SOLVER = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
PLAYGROUND = comfy.latent_formats.SDXL_Playground_2_5()


def edm(sampling: str, least: float, largest: float) -> Callable[[Any], Any]:
    return lambda model: nodes.ModelSamplingContinuousEDM().patch(model, sampling, largest, least)[0]


def flow(shift: float) -> Callable[[Any], Any]:
    return lambda model: nodes.ModelSamplingSD3().patch(model, shift)[0]


# By name the scheduler of a pipeline, and what makes ComfyUI's MODEL one of the same training.
TRAININGS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "Playground 2.5": (
        diffusers.EDMDPMSolverMultistepScheduler(),
        edm("edm_playground_v2.5", 0.002, 80.0),
    ),
    "EDM": (diffusers.EDMEulerScheduler(sigma_max=120.0), edm("edm", 0.002, 120.0)),
    "CosXL": (
        diffusers.EDMEulerScheduler(
            sigma_max=120.0, sigma_data=1.0, sigma_schedule="exponential", prediction_type="v_prediction"
        ),
        edm("v_prediction", 0.002, 120.0),
    ),
    "continuous v": (
        diffusers.EulerDiscreteScheduler(
            sigma_min=0.002, sigma_max=700.0, timestep_type="continuous", prediction_type="v_prediction"
        ),
        edm("v_prediction", 0.002, 700.0),
    ),
    "flow": (diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), flow(3.0)),
    "flow, Heun": (diffusers.FlowMatchHeunDiscreteScheduler(), flow(1.0)),
    "flow, DPM-Solver": (diffusers.DPMSolverMultistepScheduler(**FLOW_SOLVER), flow(3.0)),
    "flow, UniPC": (diffusers.UniPCMultistepScheduler(**FLOW_SOLVER), flow(3.0)),
    "LCM": (diffusers.LCMScheduler(**SCALED), samplings_of_nodes()["ModelSamplingDiscrete-lcm"]),
    "Karras steps": (diffusers.DPMSolverMultistepScheduler(**SCALED, use_karras_sigmas=True), lambda m: m),
    "trailing steps": (diffusers.EulerDiscreteScheduler(**SCALED, timestep_spacing="trailing"), lambda m: m),
    "TCD": (diffusers.TCDScheduler(**SCALED), lambda m: m),
    "without end of noise": (
        diffusers.DDIMScheduler(**SCALED, rescale_betas_zero_snr=True, prediction_type="v_prediction"),
        samplings_of_nodes()["ModelSamplingDiscrete-v_prediction-zsnr"],
    ),
}


def with_scheduler(pipeline: Any, scheduler: Any) -> Any:
    """The same pipeline but for its scheduler, which has made images before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what diffusers advises, and what it has of NumPy that is deprecated
        if scheduler is not None:
            scheduler.set_timesteps(4)
        return type(pipeline)(**{**pipeline.components, "scheduler": scheduler})


@pytest.mark.parametrize("name", TRAININGS)
def test_both_hosts_agree_whatever_scheduler_the_model_was_trained_with(pack, capture, hosts, images, name):
    host = hosts("sdxl" if name.startswith("Playground") else "sd1")
    scheduler, patch = TRAININGS[name]
    model, pipeline = patch(host.model), with_scheduler(host.pipeline, scheduler)
    if name.startswith("Playground"):
        pipeline.vae = copy.deepcopy(pipeline.vae)
        means, spreads = (
            each.flatten().tolist() for each in (PLAYGROUND.latents_mean, PLAYGROUND.latents_std)
        )
        pipeline.vae.register_to_config(scaling_factor=0.5, latents_mean=means, latents_std=spreads)
    pixels = torch.nn.functional.interpolate(images, size=(64, 128), mode="bilinear", antialias=True) * 2 - 1
    latent = host.pipeline.vae.encode(pixels).latent_dist.mode()
    for level, noise_seed in ((300, 7), (990, 7), (500, None)):
        ours = capture(host, model, latent, noise_level=level, noise_seed=noise_seed)
        theirs = pack.diffseg_core.capture_diffusers(
            pipeline, images, working_size=92, noise_level=level, noise_seed=noise_seed, **host.embeds
        )
        assert_same_maps(ours, theirs, atol=2e-5)


def test_what_playground_is_told_is_a_quarter_of_the_logarithm_of_sigma(pack, hosts, images):
    """Worked out by hand: σ is 0.002 at level 0, 80 at 999, and their geometric mean half-way."""
    host = hosts("sdxl")
    pipeline = with_scheduler(host.pipeline, diffusers.EDMEulerScheduler())
    told: list[float] = []
    hook = pipeline.unet.register_forward_pre_hook(lambda _, arguments: told.append(arguments[1]))
    try:
        for level in (0, 999, 1000):
            pack.diffseg_core.capture_diffusers(
                pipeline, images, working_size=128, noise_level=level, **host.embeds
            )
    finally:
        hook.remove()
    assert told == pytest.approx([-1.553652, 1.095507, 1.095507], abs=1e-6)


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        (diffusers.IPNDMScheduler(), "got IPNDMScheduler"),
        (diffusers.CMStochasticIterativeScheduler(), "got CMStochasticIterativeScheduler"),
        (diffusers.CosineDPMSolverMultistepScheduler(), "got CosineDPMSolver.* 'v_prediction'"),
        (diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True), "got FlowMatchEuler"),
        (
            diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction"),
            "got UniPC.* 'flow_prediction'",
        ),
        (None, "got none. Set the pipeline's scheduler to the one"),
    ],
)
def test_a_scheduler_of_another_scale_is_refused_by_name(pack, sd1, images, scheduler, message):
    pipeline = copy.copy(sd1.pipeline)
    pipeline.scheduler = scheduler
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
        pack.diffseg_core.capture_diffusers(pipeline, images, working_size=128, **sd1.embeds)


def test_a_transformer_needs_a_scheduler_of_flow_matching(pack, images):
    pair = make_pair("SD3")

    def captured(scheduler: Any) -> Any:
        return pack.diffseg_core.capture_diffusers(
            with_scheduler(pair.pipeline, scheduler), images, working_size=SIDE, **pair.embeds
        )

    expected = captured(None)
    for fitting in (
        diffusers.UniPCMultistepScheduler(**FLOW_SOLVER),
        diffusers.FlowMatchHeunDiscreteScheduler(),
    ):
        assert_same_maps(captured(fitting), expected, atol=0)
    for other in (diffusers.DDIMScheduler(), diffusers.EDMEulerScheduler()):
        message = f"by which SD3 and SD3.5 is trained, got {type(other).__name__}.*FlowMatchEuler"
        with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
            captured(other)
