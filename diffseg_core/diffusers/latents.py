"""The latents that a diffusers pipeline's VAE makes of images."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import UnsupportedModelError


def vae_of(pipeline: Any) -> Any:
    """The VAE.

    Raises:
        UnsupportedModelError: the pipeline has none.
    """
    vae = getattr(pipeline, "vae", None)
    if vae is None:
        raise UnsupportedModelError(
            f"Expected a pipeline with its VAE, which makes the latent of an image, got "
            f"{type(pipeline).__name__} without. Load the pipeline with it."
        )
    return vae


def _is_of_videos(vae: Any) -> bool:
    return "z_dim" in vae.config


def latent_channels(vae: Any) -> int:
    """Of its latents."""
    return int(vae.config["z_dim" if _is_of_videos(vae) else "latent_channels"])


def encode(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Mean latents ``[B, C, h, w]`` of ``[B, 3, H, W]`` in 0..1, shifted and scaled for the model.

    A VAE that is known to overflow in half precision (SDXL's) works in float32 meanwhile. One of videos
    (Qwen-Image's) takes each picture for a video of one frame. One that is not variational (TAESD) has a
    single latent instead of a mean.
    """
    dtype = vae.dtype
    upcast = dtype == torch.float16 and vae.config.get("force_upcast", False)
    try:
        if upcast:
            vae.to(torch.float32)
        seen = pixels.to(vae.dtype) * 2.0 - 1.0
        encoded = vae.encode(seen.unsqueeze(2) if _is_of_videos(vae) else seen)
        latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        if _is_of_videos(vae):
            latents = latents.squeeze(2)
    finally:
        if upcast:
            vae.to(dtype)
    return _scaled(vae.config, latents)


def _scaled(config: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents of about mean 0 and spread 1, by what the VAE's configuration says of its own."""

    def each(values: Any) -> torch.Tensor:
        return torch.tensor(values).to(latents).view(1, -1, 1, 1)

    if config.get("shift_factor"):
        latents = latents - config["shift_factor"]
    if config.get("latents_mean") is not None and config.get("latents_std") is not None:
        latents = (latents - each(config["latents_mean"])) / each(config["latents_std"])
    return latents * (config.get("scaling_factor") or 1.0)
