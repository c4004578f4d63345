"""What a LATENT holds beside its numbers, and whether a model can look at it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ...diffseg_core import GridSize, Images, InvalidSettingError
from ...diffseg_core.images import finite_range


class Latent(NamedTuple):
    """A LATENT."""

    samples: torch.Tensor  # [B, C, h, w], or [B, C, 1, h, w]
    batch_index: list[int] | None = None  # the place in its batch whose noise each is given
    noise_mask: torch.Tensor | None = None  # which an inpainting model is given


def latent_grid(size: GridSize, pixels: int) -> GridSize:
    """Height and width of the latent of images of this size, of so many pixels to its side."""
    return GridSize(size.height // pixels, size.width // pixels)


def read_latent(latent: dict[str, Any], latent_format: Any) -> Latent:
    """Check a LATENT, with the side information that ComfyUI's own sampling heeds.

    Args:
        latent: ComfyUI's LATENT.
        latent_format: the model's, which says what latents it works on.

    Raises:
        InvalidSettingError: numbers that the model cannot use.
    """
    samples = latent.get("samples")
    if not isinstance(samples, torch.Tensor):
        raise InvalidSettingError(
            f"Expected a latent with samples as a tensor, got {type(samples).__name__}. Connect a LATENT."
        )
    check_samples(samples, latent_format)
    return Latent(samples, latent.get("batch_index"), latent.get("noise_mask"))


def check_samples(samples: torch.Tensor, latent_format: Any) -> None:
    """Refuse a latent that the model cannot look at.

    Args:
        samples: of a LATENT.
        latent_format: the model's, which says what latents it works on.

    Raises:
        InvalidSettingError: another shape than ``[B, channels, h, w]`` (or ``[B, channels, 1, h, w]``), or
            values that are not finite.
    """
    channels, dimensions = latent_format.latent_channels, latent_format.latent_dimensions
    nested = bool(getattr(samples, "is_nested", False))
    shape = "a nested one" if nested else "×".join(str(length) for length in samples.shape)
    is_picture = not nested and (
        samples.ndim == 4 or (samples.ndim == 5 and dimensions == 3 and samples.shape[2] == 1)
    )
    if not is_picture or samples.shape[1] != channels or not samples.numel():
        raise InvalidSettingError(
            f"Expected a latent of [batch, {channels}, height, width] for this model, got {shape}. "
            "Use the VAE that belongs to the model, and encode the frames of a video one at a time."
        )
    finite_range(
        samples,
        "latent",
        "A VAE in half precision gives these: run it in float32 (--fp32-vae), or connect another latent.",
    )


def check_attention_grid(tokens: GridSize, latent: GridSize, advice: str) -> None:
    """Refuse a latent of which the model's attention would see a single row or column.

    Args:
        tokens: height and width of the finest attention.
        latent: those of the latent.
        advice: what to do.

    Raises:
        InvalidSettingError: a side of less than 2 tokens.
    """
    if min(tokens) < 2:
        raise InvalidSettingError(
            f"Expected a latent with an attention grid of at least 2×2 places, got {tokens} from a latent of "
            f"{latent}. {advice}"
        )


def check_vae(vae: Any, latent_format: Any) -> None:
    """Refuse the VAE of another model.

    Args:
        vae: a VAE.
        latent_format: the model's, which says what latents it works on.

    Raises:
        InvalidSettingError: it has others.
    """
    kinds = {2: "images", 3: "videos"}
    expected = latent_format.latent_channels, latent_format.latent_dimensions
    actual = vae.latent_channels, getattr(vae, "latent_dim", latent_format.latent_dimensions)
    if actual != expected:
        names = [
            f"{kinds.get(dim, 'others')} with {channels} latent channels"
            for channels, dim in (expected, actual)
        ]
        raise InvalidSettingError(
            f"Expected a VAE of {names[0]} as the model has, got one of {names[1]}. Connect the VAE that "
            "belongs to the model."
        )


def encoded(vae: Any, images: Images, size: GridSize) -> torch.Tensor:
    """Images at their working size as a latent.

    Args:
        vae: the model's.
        images: of any size.
        size: their working size in pixels.

    Returns:
        ``[B, C, h, w]``; of a VAE of videos ``[B, C, 1, h, w]``, each image by itself.
    """
    pixels = images.colours
    if size != images.size:
        pixels = torch.nn.functional.interpolate(
            pixels.movedim(-1, 1), size=tuple(size), mode="bilinear", antialias=True
        ).movedim(1, -1)
    pixels = pixels.clamp(0.0, 1.0)
    # A VAE of videos takes a batch for the frames of one.
    together = 1 if getattr(vae, "latent_dim", 2) == 3 else len(pixels)
    return torch.cat([vae.encode(some) for some in pixels.split(together)])
