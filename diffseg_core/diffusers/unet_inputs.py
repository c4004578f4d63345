"""What a diffusers model takes or has beside latent, noise level and text: filled in, or refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ..errors import ANOTHER_MODEL, UnsupportedModelError
from .prompts import Widths
from .schedulers import check_scheduler

LATENT, INPAINTING = 4, 9  # channels; for inpainting a mask, and the image without what is masked, come too
# That image where everything is masked: what Stable Diffusion's VAE makes of grey. ComfyUI takes the same.
BLANK = (0.8223, -0.6876, 0.6364, 0.1380)
SIZE_NUMBERS = 6  # of an image, that SDXL is given; its refiner takes five
KNOWN_TEXTS = (None, "text_proj", "ip_image_proj")  # how what comes beside the latent is projected
# Of diffusers' modules with hooks that skip a part of the model, or put an earlier step's result there. The
# others move or cast weights.
SKIPPING = ("cache", "broadcast", "skip", "guidance")


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
        if hasattr(module, "_diffusers_hook"):
            yield from module._diffusers_hook.hooks.values()


def with_inpainting(latents: torch.Tensor, channels: int) -> torch.Tensor:
    """What a UNet of so many channels is given: for inpainting, everything is masked, as in ComfyUI.

    Args:
        latents: ``[B, 4, h, w]``, or of any channels for a UNet of as many.
        channels: of the UNet's input.

    Returns:
        ``[B, channels, h, w]``.
    """
    if channels == latents.shape[1]:
        return latents
    blank = torch.tensor(BLANK).to(latents).view(1, -1, 1, 1).expand_as(latents)
    return torch.cat((latents, torch.ones_like(latents[:, :1]), blank), dim=1)


def widths_of(unet: Any, is_xl: bool) -> Widths:
    """Of the embeddings that a UNet takes.

    Args:
        unet: a UNet2DConditionModel.
        is_xl: whether it is of SDXL's class, with a pooled embedding.
    """
    config = unet.config
    width = config.cross_attention_dim
    if config.encoder_hid_dim_type == "text_proj":
        width = config.encoder_hid_dim
    elif not isinstance(width, int):  # one for each block
        width = width[0]
    sizes = SIZE_NUMBERS * (config.addition_time_embed_dim or 0)
    return Widths(width, config.projection_class_embeddings_input_dim - sizes if is_xl else None)
