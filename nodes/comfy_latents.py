"""What a LATENT holds beside its numbers, and whether a model can look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..diffseg_core import GridSize, InvalidSettingError

PIXELS = 8  # to a latent's side, in every supported architecture


@dataclass(frozen=True)
class Latent:
    """A LATENT whose parts have been checked against each other."""

    samples: torch.Tensor  # [B, C, h, w]
    batch_index: list[int] | None = None  # the place in its batch whose noise each is given
    noise_mask: torch.Tensor | None = None  # as an inpainting model is shown it

    @property
    def grid(self) -> GridSize:
        """Height and width of the latent."""
        return GridSize(*self.samples.shape[2:])


def read_latent(latent: dict[str, Any], channels: int) -> Latent:
    """Check a LATENT, with the side information that ComfyUI's own sampling heeds.

    Args:
        latent: ComfyUI's LATENT.
        channels: of the latents that the model works on.

    Raises:
        InvalidSettingError: numbers or side information that the model cannot use.
    """
    samples = latent["samples"]
    check_samples(samples, channels)
    ratio = latent.get("downscale_ratio_spacial")
    if ratio is not None and ratio != PIXELS:
        raise InvalidSettingError(
            f"Expected a latent with {PIXELS} pixels to its side, got one made for {ratio}. Use a latent "
            "made for this model, by its VAE."
        )
    batch_index = latent.get("batch_index")
    if batch_index is not None and (len(batch_index) != len(samples) or min(batch_index) < 0):
        raise InvalidSettingError(
            f"Expected a batch index of 0 or more for each of the {len(samples)} latents, got "
            f"{list(batch_index)}. Connect the latent before the node that changed its batch."
        )
    mask = latent.get("noise_mask")
    if mask is not None and (mask.ndim < 2 or not mask.numel() or not bool(torch.isfinite(mask).all())):
        shape = "×".join(str(length) for length in mask.shape)
        raise InvalidSettingError(
            f"Expected the latent's noise mask to be [batch, height, width] of finite numbers, got {shape}. "
            "Connect a latent without it, or set it anew."
        )
    return Latent(samples, batch_index, mask)


def check_samples(samples: torch.Tensor, channels: int) -> None:
    """Refuse a latent that the model cannot look at.

    Raises:
        InvalidSettingError: another shape than ``[B, channels, h, w]``, or values that are not finite.
    """
    nested = bool(getattr(samples, "is_nested", False))
    if nested or samples.ndim != 4 or samples.shape[1] != channels or not samples.numel():
        shape = "a nested one" if nested else "×".join(str(length) for length in samples.shape)
        raise InvalidSettingError(
            f"Expected a latent of [batch, {channels}, height, width] for this model, got {shape}. "
            "Use the VAE that belongs to the model."
        )
    wrong = samples.numel() - int(torch.isfinite(samples).sum())
    if wrong:
        raise InvalidSettingError(
            f"Expected a latent of finite numbers, got {wrong} of {samples.numel()} that are not a number or "
            "infinite. A VAE in half precision gives these: run it in float32 (--fp32-vae), or connect "
            "another latent."
        )
