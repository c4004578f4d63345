"""Which entry of a CONDITIONING acts at the step of a capture, and whether it belongs to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comfy.model_base
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

from ...diffseg_core import GridSize, InvalidSettingError
from ...diffseg_core.attention.probe import uncompiled
from ...diffseg_core.attention.text import check_embedding

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

UNCONNECTED = object()  # a connected clip may be None: that of a checkpoint without a text encoder
EMPTY_PROMPT = "Connect clip alone, or a plain CLIP Text Encode with an empty prompt."
OWN_CLIP = "Connect the CLIP that belongs to the model, or a CLIP Text Encode with it."
MEANT = ("guidance",)  # None of it is a model without guidance, where without it there is some
BOTH = {"clip_start_percent", "clip_end_percent"}  # of a scheduled CLIP
SIZE_NUMBER = 256  # channels into which SDXL writes each number of the image's size
SIZE_NUMBERS = ((comfy.model_base.SDXL, 6), (comfy.model_base.SDXLRefiner, 5))


def checked_clip(clip: Any) -> Any:
    """The CLIP, or None where none is connected.

    Raises:
        InvalidSettingError: the CLIP of a checkpoint without one.
    """
    if clip is None:
        raise InvalidSettingError(
            "Expected a CLIP, got none: this checkpoint has no text encoder. Connect one "
            "that is loaded on its own, or nothing at all for a model without text."
        )
    return None if clip is UNCONNECTED else clip


def empty_prompt(model: ModelPatcher, name: str, clip: Any) -> list[Any]:
    """The conditioning of an empty prompt: CLIP Text Encode's; zeros where there is no CLIP.

    Args:
        model: the MODEL.
        name: of its architecture.
        clip: its CLIP, or None for a model without text.

    Returns:
        CONDITIONING of one entry. Without a CLIP one token of zeros, and for SDXL a pooled output of zeros.

    Raises:
        InvalidSettingError: no CLIP, and a transformer, for which zeros would be no text at all.
    """
    if clip is not None:
        encoded: list[Any] = clip.encode_from_tokens_scheduled(clip.tokenize(""))
        return encoded
    width = context_width(model)
    if width is None and not isinstance(uncompiled(model.get_model_object("diffusion_model")), UNetModel):
        raise InvalidSettingError(
            f"Expected a clip or a conditioning for {name}, got neither: connect the CLIP that belongs to it."
        )
    pooled = _pooled_width(model)
    options = {} if pooled is None else {"pooled_output": torch.zeros(1, pooled)}
    return [[torch.zeros(1, 1, width or 1), options]]


def acting_conditioning(
    model: ModelPatcher, conditioning: list[Any], sigma: torch.Tensor, grid: GridSize
) -> list[Any]:
    """The one entry that acts at a noise level, as a conditioning that ComfyUI runs once.

    Args:
        model: the MODEL.
        conditioning: CONDITIONING; entries may be limited to parts of the sampling.
        sigma: ``[1]``, the noise level of the step.
        grid: height and width of the latent.

    Returns:
        a list of the acting entry, without an area or a mask that covers the whole image, and without
        options that say nothing.

    Raises:
        InvalidSettingError: none or several act, one is for a part of the image, or it is another model's.
    """
    entries = [(tokens, _without_nothing(options or {})) for tokens, options in conditioning]
    acting = [entry for entry in entries if _acts(model, entry[1], sigma)]
    if len(acting) != 1:
        inactive = len(conditioning) - len(acting)
        limited = f" ({inactive} limited to other timesteps)" if inactive else ""
        raise InvalidSettingError(
            f"Expected a conditioning with one entry, got {len(acting)} at this noise level{limited}. "
            "Connect a single CLIP Text Encode, with an empty prompt as in the paper, without combining it "
            "with others and without a range of timesteps."
        )
    tokens, options = acting[0]
    options = _for_the_whole_image(options, grid)
    changed = model.model_options["transformer_options"].get("patches", {}).get("attn2_patch")
    check_embedding(tokens, None if changed else context_width(model), "conditioning", OWN_CLIP)
    width, pooled = _pooled_width(model), options.get("pooled_output")
    is_needed = width is not None and "unclip_conditioning" not in options
    if is_needed or isinstance(pooled, torch.Tensor):
        check_embedding(pooled, width if is_needed else None, "pooled output", OWN_CLIP, is_pooled=True)
    return [[tokens, options]]


def context_width(model: ModelPatcher) -> int | None:
    """Numbers to each token of the conditioning that the UNet takes; None where it does not say."""
    width = model.model.model_config.unet_config.get("context_dim")
    return width if isinstance(width, int) else None


def _without_nothing(options: dict[str, Any]) -> dict[str, Any]:
    """The options that say something: not None and no empty list, such as `reference_latents` of no image."""
    said = {
        name: value
        for name, value in options.items()
        if (value is not None or name in MEANT) and not (isinstance(value, list | tuple | dict) and not value)
    }
    # ComfyUI reads both where there is one.
    return {"clip_start_percent": 0.0, "clip_end_percent": 1.0, **said} if BOTH & said.keys() else said


def _acts(model: ModelPatcher, options: dict[str, Any], sigma: torch.Tensor) -> bool:
    """As ComfyUI decides it, in `calculate_start_end_timesteps` and `get_area_and_mult`."""
    start, end = options.get("start_percent"), options.get("end_percent")
    if "clip_start_percent" in options:
        start = max(options["clip_start_percent"], start or 0.0)
        end = min(options["clip_end_percent"], 1.0 if end is None else end)
    to_sigma = model.get_model_object("model_sampling").percent_to_sigma
    late_enough = start is None or not bool(sigma[0] > to_sigma(start))
    early_enough = end is None or not bool(sigma[0] < to_sigma(end))
    return late_enough and early_enough


def _for_the_whole_image(options: dict[str, Any], grid: GridSize) -> dict[str, Any]:
    """The options without an area or a mask, if these leave nothing out."""
    rest = dict(options)
    area, mask = rest.pop("area", None), rest.pop("mask", None)
    has_area = area is not None and not _covers(tuple(area), grid)
    if has_area or (mask is not None and not bool((mask > 0).all())):
        raise InvalidSettingError(
            "Expected a conditioning for the whole image, got one with "
            f"{'an area' if has_area else 'a mask'}. {EMPTY_PROMPT}"
        )
    rest.pop("set_area_to_bounds", None)
    return rest


def _covers(area: tuple[Any, ...], grid: GridSize) -> bool:
    """Whether an area (height, width, top, left; latent places or shares) holds the whole grid."""
    if area[0] == "percentage":
        shares = area[1:]
        return len(shares) == 4 and min(shares[:2]) >= 1.0 and max(shares[2:]) <= 0.0
    return len(area) == 4 and area[0] >= grid.height and area[1] >= grid.width and max(area[2:]) <= 0


def _pooled_width(model: ModelPatcher) -> int | None:
    """Numbers of the pooled output that the model takes; None where it takes none."""
    numbers = next((count for kind, count in SIZE_NUMBERS if isinstance(model.model, kind)), 0)
    return int(model.model.adm_channels) - numbers * SIZE_NUMBER if numbers else None
