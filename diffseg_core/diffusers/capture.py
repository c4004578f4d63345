"""Capturing attention from a diffusers pipeline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ..attention.accumulator import AttentionAccumulator
from ..attention.capture_settings import CaptureSettings, ModelInputs
from ..attention.capture_settings import working_size as nearest_working_size
from ..attention.layers import RECOMMENDED
from ..attention.maps import AttentionMaps
from ..attention.probe import not_compiled, uncompiled
from ..attention.text import TextAttention
from ..errors import ANOTHER_MODEL, CaptureError, UnsupportedModelError
from ..grid import GridSize
from ..images import as_images, finite_range
from .model_inputs import LATENT, check_unet, encode, latent_channels, vae_of
from .prompts import Prompt, check_prompt, checked_prompt
from .schedulers import check_flow
from .transformer_capture import TransformerCapture
from .transformers import SUPPORTED_TRANSFORMERS, TRANSFORMERS
from .unet import SUPPORTED_UNETS, UNetCapture

if TYPE_CHECKING:
    from typing import TypeAlias

    from diffusers import (
        FluxPipeline,
        QwenImagePipeline,
        StableDiffusion3Pipeline,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
    )

    from ..images import ImageLike

    Pipeline: TypeAlias = (
        StableDiffusionPipeline
        | StableDiffusionXLPipeline
        | StableDiffusion3Pipeline
        | FluxPipeline
        | QwenImagePipeline
    )


Backbone = UNetCapture | TransformerCapture
"""How the attention of one model is captured, with what of it."""


@torch.inference_mode()
def capture_diffusers(
    pipeline: Pipeline,
    image: ImageLike,
    *,
    noise_level: int | None = None,
    noise_seed: int | None = None,
    working_size: int = 0,
    layers: str = RECOMMENDED,
    prompt_embeds: torch.Tensor | None = None,
    pooled_prompt_embeds: torch.Tensor | None = None,
    prompt_embeds_mask: torch.Tensor | None = None,
) -> AttentionMaps:
    """Run one denoising step of a diffusers pipeline and gather its self-attention.

    Of a transformer, which attends to image and text together, it is the attention among the image's tokens,
    and the step ends with the last block that is wanted. The model, its attention processors and the caller's
    random state are afterwards as before. A model that `torch.compile` or PEFT has wrapped is captured too:
    the one inside runs, with its adapters, not compiled.

    Args:
        pipeline: one with the UNet of SD 1.x, SD 2.x or SDXL and its small relatives, such as
            ``StableDiffusionPipeline`` and ``StableDiffusionXLPipeline``, or with the transformer of SD3,
            Flux.1 or Qwen-Image, such as ``StableDiffusion3Pipeline``, ``FluxPipeline`` and
            ``QwenImagePipeline`` (diffusers 0.35).
        image: the images, as `as_images` takes them: a PIL image, a tensor or an array
            ``[B, H, W, C]`` in 0..1, several in a sequence. A tensor or array ``[B, 3, H, W]`` is taken
            too, also where it could be either, as ``[1, 3, 512, 3]`` could. Alpha is left out.
        noise_level, noise_seed, working_size, layers: see `CaptureSettings`. A UNet takes 1000 for 999.
        prompt_embeds: text embedding ``[1, tokens, d]``; that of the empty prompt if None.
        pooled_prompt_embeds: pooled text embedding ``[1, d]`` (SDXL, SD3 and Flux), likewise.
        prompt_embeds_mask: which of the tokens are text, ``[1, tokens]`` (Qwen-Image); all if None. Words
            are read without any that is masked.

    Returns:
        the attention maps, with features, on the model's device: of a UNet a map for each resolution, of a
        transformer one.

    Raises:
        UnsupportedModelError: the pipeline has another model, one that takes more than an image and a text
            (an inpainting UNet is given a mask over everything, as in ComfyUI), or a scheduler by which the
            model was not trained.
        InvalidSettingError: a noise level, size or choice outside its range, images that `as_images`
            refuses, embeddings of several prompts or another model, or a latent or embedding with values
            that are not finite.
        CaptureError: an attention layer did not run, or not on the grid's tokens.
    """
    settings = CaptureSettings(noise_level, noise_seed, working_size, layers)
    backbone = backbone_of(pipeline, settings.layers)
    settings = settings.at_level(backbone.architecture.noise_level)
    vae, pixels = vae_of(pipeline), _to_pixels(image)
    image_size = GridSize(*pixels.shape[2:])
    target = nearest_working_size(
        image_size, settings.working_size or backbone.native_side, backbone.multiple
    )
    backbone.check(target)
    prompt = checked_prompt(
        pipeline,
        backbone.encoding,
        backbone.widths,
        prompt_embeds,
        pooled_prompt_embeds,
        prompt_embeds_mask,
    )
    if target != image_size:
        pixels = F.interpolate(pixels, size=tuple(target), mode="bilinear", antialias=True)
    latents = encode(vae, pixels.to(pipeline._execution_device))
    finite_range(latents, "latent that the VAE made of the image")
    inputs = ModelInputs(backbone.architecture.name, latents, settings)
    accumulator = AttentionAccumulator()
    with not_compiled():
        backbone.gather(_noised(backbone, inputs), inputs.noise_level, prompt, target, accumulator)
    return accumulator.finish(evidence=backbone.architecture.evidence, inputs=inputs)


def _noised(backbone: Backbone, inputs: ModelInputs) -> torch.Tensor:
    """The latents as the model is to see them: with their noise if there is to be any."""
    if inputs.settings.noise_seed is None:
        return inputs.latents
    generator = torch.Generator().manual_seed(inputs.settings.noise_seed)
    noise = torch.randn(inputs.latents.shape, generator=generator).to(inputs.latents)
    return backbone.noised(inputs.latents, noise, inputs.noise_level)


@torch.inference_mode()
def read_text(pipeline: Pipeline, maps: AttentionMaps, prompt: Prompt) -> TextAttention:
    """How much the places of captured images attend to a text that comes after the capture.

    Of a UNet the queries that were kept meet the text's keys, and the model does not run. A transformer runs
    the same step once more, with the text.

    Args:
        pipeline: that the attention was captured from.
        maps: as `capture_diffusers` gave them.
        prompt: the text, encoded, of one prompt for all images.

    Raises:
        UnsupportedModelError: the pipeline has another model.
        InvalidSettingError: a text of several prompts, or encoded for another model.
        CaptureError: attention that was captured from another model, or put together by hand, or a text of
            which the model does not see every token.
    """
    device = pipeline._execution_device
    backbone = backbone_of(pipeline)
    check_prompt(prompt, backbone.encoding, backbone.widths)
    pooled, mask = (None if part is None else part.to(device) for part in (prompt.pooled, prompt.mask))
    text = Prompt(prompt.embeds.to(device), pooled, mask)
    with not_compiled():
        if isinstance(backbone, UNetCapture):
            return backbone.read_text(maps, text)
        if maps.inputs is None:
            raise CaptureError(
                "Expected attention with the latent that it was captured from, got none. Capture it again."
            )
        inputs = replace(maps.inputs, latents=maps.inputs.latents.to(device))
        return backbone.read_text(inputs, _noised(backbone, inputs), text)


def backbone_of(pipeline: Any, layers: str = RECOMMENDED) -> Backbone:
    """Choose by the class of the pipeline's model.

    Args:
        pipeline: of diffusers.
        layers: which to capture; see `CaptureSettings`.

    Raises:
        UnsupportedModelError: not one of the supported models, one that takes more than an image and a text,
            or a scheduler by which the model was not trained.
        InvalidSettingError: layers that the model does not have.
    """
    import diffusers

    unet = _unwrapped(getattr(pipeline, "unet", None), diffusers.UNet2DConditionModel)
    if isinstance(unet, diffusers.UNet2DConditionModel):
        vae = getattr(pipeline, "vae", None)  # words are read without it
        check_unet(unet, pipeline, LATENT if vae is None else latent_channels(vae))
        return UNetCapture(unet, pipeline, layers)
    for row in TRANSFORMERS:
        kind = getattr(diffusers, row.model, None)  # diffusers 0.30 has no Qwen-Image
        if kind is not None:
            transformer = _unwrapped(getattr(pipeline, "transformer", None), kind)
            if type(transformer) is kind:
                check_flow(getattr(pipeline, "scheduler", None), row.name)
                return TransformerCapture(row, transformer, latent_channels(vae_of(pipeline)), layers)
    models = (getattr(pipeline, name, None) for name in ("unet", "transformer"))
    names = [type(part).__name__ for part in (pipeline, *models) if part is not None]
    raise UnsupportedModelError(
        f"Expected a pipeline with a UNet2DConditionModel ({SUPPORTED_UNETS}) or a transformer of "
        f"{SUPPORTED_TRANSFORMERS} ({', '.join(row.model for row in TRANSFORMERS)}), got "
        f"{' with '.join(names)}. {ANOTHER_MODEL}"
    )


def _unwrapped(model: Any, wanted: type) -> Any:
    """The model inside wrappers that compute the same: torch.compile's, and PEFT's with its adapters."""
    model = uncompiled(model)
    if not isinstance(model, wanted) and hasattr(model, "get_base_model"):
        model = uncompiled(model.get_base_model())
    return model


def _to_pixels(image: ImageLike) -> torch.Tensor:
    """Any of the accepted inputs as float32 ``[B, 3, H, W]`` in 0..1."""
    if isinstance(image, torch.Tensor) and image.ndim == 4 and image.shape[1] == 3:
        image = image.movedim(1, -1)
    elif isinstance(image, np.ndarray) and image.ndim == 4 and image.shape[1] == 3:
        image = np.moveaxis(image, 1, -1)
    return as_images(image).colours.movedim(-1, 1)
