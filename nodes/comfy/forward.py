"""One denoising step through ComfyUI's own sampling path, under any of its noise parametrisations."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import comfy.model_sampling
import comfy.sample
import comfy.samplers
import torch

from ...diffseg_core import UnsupportedModelError
from ...diffseg_core.settings import NOISE_LEVEL

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

LAST_TIMESTEP = 999
LEVELS = int(NOISE_LEVEL.highest)  # of noise: 0 is none
INPUT_ERROR = 1e-3  # largest relative difference between the latent and what the model is to see of it


def sigma_of_timestep(model: ModelPatcher, level: int) -> torch.Tensor:
    """The σ ``[1]`` of a noise level under the sampling of a UNet, where it is the timestep.

    A sampling that knows whole timesteps only is given the nearest of them (the usual one knows all, an LCM
    model every twentieth). One of another scale (flow, EDM) is given the level that lies as far up its own
    table as the timestep does between 0 and 999.

    Args:
        model: the MODEL, with the sampling that a node may have set.
        level: 0..1000; 1000 is taken for 999.

    Raises:
        UnsupportedModelError: no such level, or the latent itself cannot be given to the UNet there.
    """
    sampling = model.get_model_object("model_sampling")
    name = _sampling_name(sampling)
    table = getattr(sampling, "sigmas", None)
    if not isinstance(table, torch.Tensor) or table.ndim != 1 or not len(table):
        raise UnsupportedModelError(
            f"Expected a model sampling with a table of noise levels, got {name} without one. Connect the "
            "model before the node that sets its sampling."
        )
    table = table.float().cpu()
    sigma = table[_place_in(table, sampling, min(level, LAST_TIMESTEP))].reshape(1)
    return _checked(sampling, sigma, level)


def sigma_of_share(model: ModelPatcher, level: int) -> torch.Tensor:
    """The σ ``[1]`` of a noise level under the sampling of a transformer: a level of 300 is 30 % noise.

    Flow models mix image and noise by such a share, which is their σ whatever shift the sampling has. Those
    that are trained as Stable Diffusion was (PixArt, HunyuanDiT) have timesteps; see `sigma_of_timestep`.

    Args:
        model: the MODEL, with the sampling that a node may have set.
        level: 0..1000.

    Raises:
        UnsupportedModelError: no such level, or the latent itself cannot be given to the model there.
    """
    sampling = model.get_model_object("model_sampling")
    share = torch.tensor([level / LEVELS])
    if isinstance(sampling, comfy.model_sampling.CONST):
        return _checked(sampling, share, level)
    if isinstance(sampling, getattr(comfy.model_sampling, "COSMOS_RFLOW", ())):
        return _checked(sampling, share / (1.0 - share), level)
    return sigma_of_timestep(model, level)


def _checked(sampling: Any, sigma: torch.Tensor, level: int) -> torch.Tensor:
    name = _sampling_name(sampling)
    timestep = torch.as_tensor(sampling.timestep(sigma), dtype=torch.float32)
    if not (torch.isfinite(sigma).all() and torch.isfinite(timestep).all()):
        raise UnsupportedModelError(
            f"Expected a finite σ at noise level {level}, got {sigma.item():g} from {name}. "
            "Use another noise level, or connect the model before the node that sets its sampling."
        )
    probe = torch.linspace(-4.0, 4.0, 16).reshape(1, 1, 4, 4)
    seen = sampling.calculate_input(sigma, input_for(sampling, sigma, probe))
    error = (seen - probe).abs().max() / probe.abs().max()
    if not error <= INPUT_ERROR:  # not a number counts as wrong
        raise UnsupportedModelError(
            "Expected a model sampling that scales the model's input by a number for each noise level, got "
            f"{name}, under which the model would not see the image itself. Connect the model before the "
            "node that sets its sampling."
        )
    return sigma


def denoise_once(
    model: ModelPatcher,
    latent: torch.Tensor,
    conditioning: list[Any],
    *,
    sigma: torch.Tensor,
    noise_seed: int | None,
    batch_index: list[int] | None = None,
    noise_mask: torch.Tensor | None = None,
    around: AbstractContextManager[None] | None = None,
) -> None:
    """One forward pass at a noise level through ``sample_custom``, its result thrown away.

    Args:
        model: the MODEL.
        latent: ``[B, C, h, w]`` as a VAE encodes it, or ``[B, C, 1, h, w]`` for a model of videos' latents.
        conditioning: CONDITIONING.
        sigma: ``[1]``; see `sigma_of_timestep`, `sigma_of_share`.
        noise_seed: None shows the model the latent itself; else the sampling's own noise from this seed.
        batch_index: for each latent, the place in its batch whose noise it is given; None: its own.
        noise_mask: a LATENT's; an inpainting model is given it, others are not.
        around: entered for the forward pass alone, past all that ComfyUI prepares and cleans up.
    """
    sampling = model.get_model_object("model_sampling")
    noised = noise_seed is not None

    def one_step(denoiser: Any, x: torch.Tensor, sigmas: torch.Tensor, **arguments: Any) -> torch.Tensor:
        if not noised:
            x = input_for(sampling, sigmas[:1], denoiser.latent_image)
        options = {name: value for name, value in arguments["extra_args"].items() if name != "denoise_mask"}
        # Past the inpainting of the sampler: at its first step the masked part and the rest are noised alike.
        with around or nullcontext():
            denoiser.inner_model(x, sigmas[0] * x.new_ones(x.shape[0]), **options)
        return x

    noise = (
        comfy.sample.prepare_noise(latent, noise_seed, batch_index) if noised else torch.zeros_like(latent)
    )
    comfy.sample.sample_custom(
        model,
        noise,
        cfg=1.0,
        sampler=_OneStep(one_step),
        sigmas=torch.cat((sigma, torch.zeros(1))),
        positive=conditioning,
        negative=conditioning,
        latent_image=latent,
        noise_mask=noise_mask,
        disable_pbar=True,
        seed=noise_seed or 0,
    )


def input_for(sampling: Any, sigma: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
    """What to hand to the model so that its network sees ``latent`` itself: it scales its input by σ."""
    return latent / sampling.calculate_input(sigma, torch.ones_like(latent))


def _place_in(table: torch.Tensor, sampling: Any, timestep: int) -> int:
    timesteps = torch.as_tensor(sampling.timestep(table))
    if not timesteps.is_floating_point():
        return int((timesteps - timestep).abs().argmin())
    return round(timestep / LAST_TIMESTEP * (len(table) - 1))


def _sampling_name(sampling: Any) -> str:
    """The classes that a sampling is put together from: ComfyUI's own are nameless combinations."""
    parts = [base.__name__ for base in type(sampling).__bases__ if base is not object]
    return " with ".join(parts) if len(parts) > 1 else type(sampling).__name__


class _OneStep(comfy.samplers.KSAMPLER):
    """A sampler whose noise is added by the timestep's σ even where that is the model's largest."""

    def max_denoise(self, model_wrap: Any, sigmas: torch.Tensor) -> bool:
        return False
