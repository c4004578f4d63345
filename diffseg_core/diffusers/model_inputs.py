"""The latents that a pipeline makes of images, and the models that take more than these and a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ..errors import ANOTHER_MODEL, UnsupportedModelError
from .schedulers import check_scheduler

LATENT, INPAINTING = 4, 9  # channels; for inpainting a mask, and the image without what is masked, come too
KNOWN_TEXTS = (None, "text_proj", "ip_image_proj")  # how what comes beside the latent is projected
# Of diffusers' modules with hooks that skip a part of the model, or put an earlier step's result there. The
# others move or cast weights.
SKIPPING = ("cache", "broadcast", "skip", "guidance")


def vae_of(pipeline: Any) -> Any:
    """The pipeline's VAE; one without is refused by an `UnsupportedModelError`."""
    vae = getattr(pipeline, "vae", None)
    if vae is None:
        raise UnsupportedModelError(
            f"Expected a pipeline with its VAE, which makes the latent of an image, got "
            f"{type(pipeline).__name__} without. Load the pipeline with it."
        )
    return vae


def latent_channels(vae: Any) -> int:
    """Of its latents; a VAE of videos calls them otherwise."""
    return int(vae.config["z_dim" if "z_dim" in vae.config else "latent_channels"])


def encode(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Mean latents ``[B, C, h, w]`` of ``[B, 3, H, W]`` in 0..1, shifted and scaled for the model.

    A VAE that is known to overflow in half precision (SDXL's) works in float32 meanwhile. One of videos
    (Qwen-Image's) takes each picture for a video of one frame. One that is not variational (TAESD) has a
    single latent instead of a mean.
    """
    dtype, is_of_videos = vae.dtype, "z_dim" in vae.config
    upcast = dtype == torch.float16 and vae.config.get("force_upcast", False)
    try:
        if upcast:
            vae.to(torch.float32)
        seen = pixels.to(vae.dtype) * 2.0 - 1.0
        encoded = vae.encode(seen.unsqueeze(2) if is_of_videos else seen)
        latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        if is_of_videos:
            latents = latents.squeeze(2)
    finally:
        if upcast:
            vae.to(dtype)
    return _scaled(vae.config, latents)


def _scaled(config: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents of about mean 0 and spread 1, by what the VAE's configuration says of its own."""

    def of_channels(values: Any) -> torch.Tensor:
        return torch.tensor(values).to(latents).view(1, -1, 1, 1)

    if config.get("shift_factor"):
        latents = latents - config["shift_factor"]
    if config.get("latents_mean") is not None and config.get("latents_std") is not None:
        latents = (latents - of_channels(config["latents_mean"])) / of_channels(config["latents_std"])
    return latents * (config.get("scaling_factor") or 1.0)


def check_unet(unet: Any, pipeline: Any, latent_channels: int) -> None:
    """Refuse a UNet that takes more than can be given.

    Args:
        unet: a UNet2DConditionModel.
        pipeline: of it.
        latent_channels: of the pipeline's VAE.

    Raises:
        UnsupportedModelError: a UNet with further inputs, or a scheduler by which it was not trained.
    """
    config = unet.config
    only_text = config.only_cross_attention
    takes_more = {
        "class labels": unet.class_embedding is not None,
        "the text in place of self-attention": any(only_text)
        if isinstance(only_text, Sequence)
        else only_text,
        "a second text": config.dual_cross_attention,
        f"{config.addition_embed_type} embeddings": config.addition_embed_type not in (None, "text_time"),
        f"{config.encoder_hid_dim_type} embeddings": config.encoder_hid_dim_type not in KNOWN_TEXTS,
        "an aesthetic score (SDXL's refiner)": getattr(pipeline, "config", {}).get(
            "requires_aesthetics_score"
        ),
    }
    further = [name for name, is_taken in takes_more.items() if is_taken]
    if further:
        raise UnsupportedModelError(
            "Expected a UNet that takes a latent and a text, as those of Stable Diffusion and SDXL do, got "
            f"one that takes {' and '.join(further)} too. Choose one of theirs, such as the one that it was "
            f"made from. {ANOTHER_MODEL}"
        )
    check_plain(unet)
    check_channels(config.in_channels, latent_channels)
    check_scheduler(getattr(pipeline, "scheduler", None))


def check_channels(channels: int, latent_channels: int = LATENT) -> None:
    """Refuse a UNet that takes another image beside the latent, but for the one of inpainting.

    Args:
        channels: of its input.
        latent_channels: of the latent.

    Raises:
        UnsupportedModelError: it takes one.
    """
    if channels != latent_channels and (channels, latent_channels) != (INPAINTING, LATENT):
        raise UnsupportedModelError(
            f"Expected a UNet that takes a latent of {latent_channels} channels (or one for inpainting, with "
            f"{INPAINTING}), got {channels}: models for instructions, depth or larger images take further "
            f"images. Choose the one that it was made from. {ANOTHER_MODEL}"
        )


def check_plain(model: Any) -> None:
    """Refuse a UNet or transformer with an IP-Adapter, or with a cache or guidance around parts of it.

    For the one there is no image prompt to give; the others put something into the place of these parts.

    Raises:
        UnsupportedModelError: it has one.
    """
    if any("IPAdapter" in type(processor).__name__ for processor in model.attn_processors.values()):
        raise UnsupportedModelError(
            "Expected a model without an IP-Adapter, which takes an image as prompt, got one with it. Take "
            "it away with pipeline.unload_ip_adapter(), and load it again after the capture."
        )
    for hook in hooks_of(model):
        module = type(hook).__module__
        if module.startswith("diffusers.hooks.") and any(word in module for word in SKIPPING):
            raise UnsupportedModelError(
                f"Expected a model all of which runs, got one with a {type(hook).__name__}. Take diffusers' "
                "cache or guidance away with disable_cache() of the model, or load it without, and enable it "
                "after the capture."
            )


def hooks_of(model: torch.nn.Module) -> Iterator[Any]:
    """Those of diffusers around parts of a model, such as caches and offloading; none before 0.33."""
    for module in model.modules():
        registry: Any = getattr(module, "_diffusers_hook", None)
        if registry is not None:
            yield from registry.hooks.values()
