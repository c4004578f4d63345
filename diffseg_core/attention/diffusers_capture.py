"""Capturing attention from a diffusers pipeline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import CaptureError, InvalidSettingError, UnsupportedModelError
from ..grid import GridSize
from ..images import as_images, finite_range
from .accumulator import AttentionAccumulator
from .maps import AttentionMaps
from .resolutions import Resolutions, select_levels
from .working_size import working_size

if TYPE_CHECKING:
    from typing import TypeAlias

    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
    from diffusers.models.attention_processor import Attention

    from ..images import ImageLike

    Pipeline: TypeAlias = StableDiffusionPipeline | StableDiffusionXLPipeline


@torch.inference_mode()
def capture_diffusers(
    pipeline: Pipeline,
    image: ImageLike,
    *,
    timestep: int = 300,
    noise_seed: int | None = None,
    size: int | None = None,
    resolutions: Resolutions = "all",
    prompt_embeds: torch.Tensor | None = None,
    pooled_prompt_embeds: torch.Tensor | None = None,
) -> AttentionMaps:
    """Run one denoising step of a Stable Diffusion pipeline and gather its self-attention.

    The UNet, its attention processors and the caller's random state are afterwards as before. A UNet that
    `torch.compile` or PEFT has wrapped is captured too: the one inside runs, with its adapters, not compiled.

    Args:
        pipeline: a ``StableDiffusionPipeline`` or ``StableDiffusionXLPipeline`` (SD 1.x, SD 2.x, SDXL
            and its small relatives).
        image: the images, as `as_images` takes them: a PIL image, a tensor or an array
            ``[B, H, W, C]`` in 0..1, several in a sequence. A tensor or array ``[B, 3, H, W]`` is taken
            too, also where it could be either, as ``[1, 3, 512, 3]`` could. Alpha is left out.
        timestep: 0..999; the paper's is 300.
        noise_seed: None gives the UNet the clean latent, as the paper's code does; a number gives it
            the latent with the timestep's noise, drawn from this seed.
        size: side in pixels of a square of the area at which the model works; its native one if None.
        resolutions: which of the UNet's resolutions to capture.
        prompt_embeds: text embedding ``[1, tokens, d]``; that of the empty prompt if None.
        pooled_prompt_embeds: pooled text embedding ``[1, d]`` (SDXL only), likewise.

    Returns:
        the attention maps, on the UNet's device.

    Raises:
        UnsupportedModelError: the pipeline has no ``UNet2DConditionModel``.
        InvalidSettingError: a timestep, size or choice outside its range, images that `as_images`
            refuses, or a latent or embedding with values that are not finite.
        CaptureError: an attention layer did not run, or not on the grid's tokens.
    """
    unet = _supported_unet(pipeline)
    dtype = unet.dtype
    device = pipeline._execution_device
    if not 0 <= timestep < pipeline.scheduler.config.num_train_timesteps:
        raise InvalidSettingError(
            f"Expected a timestep from 0 to {pipeline.scheduler.config.num_train_timesteps - 1}, "
            f"got {timestep}."
        )
    pixels = _to_pixels(image)
    image_size = GridSize(*pixels.shape[2:])
    target = working_size(image_size, size or unet.config.sample_size * pipeline.vae_scale_factor)
    if target != image_size:
        pixels = F.interpolate(pixels, size=tuple(target), mode="bilinear", antialias=True)
    latents = _encode(pipeline.vae, pixels.to(device))
    finite_range(latents, "latent that the VAE made of the image")
    if noise_seed is not None:
        generator = torch.Generator().manual_seed(noise_seed)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        kept = pipeline.scheduler.alphas_cumprod[timestep].item()
        latents = latents * kept**0.5 + noise * (1.0 - kept) ** 0.5
    batch = latents.shape[0]
    context, conditions = _conditioning(pipeline, unet, prompt_embeds, pooled_prompt_embeds, target)
    conditions = {name: value.to(device, dtype).expand(batch, -1) for name, value in conditions.items()}
    with _capturing(unet, resolutions) as accumulator, _not_compiled():
        unet(
            latents.to(dtype),
            timestep,
            encoder_hidden_states=context.to(device, dtype).expand(batch, -1, -1),
            added_cond_kwargs=conditions or None,
        )
    return accumulator.finish()


def _supported_unet(pipeline: Pipeline) -> Any:
    from diffusers import UNet2DConditionModel

    unet = _unwrapped(getattr(pipeline, "unet", None), UNet2DConditionModel)
    if not isinstance(unet, UNet2DConditionModel):
        raise UnsupportedModelError(
            f"Expected a pipeline with a UNet2DConditionModel (SD 1.x, SD 2.x, SDXL, SSD-1B, Segmind "
            f"Vega, KOALA), got {type(pipeline).__name__}{_with(unet)}."
        )
    return unet


def _unwrapped(model: Any, wanted: type) -> Any:
    """The model inside wrappers that compute the same: torch.compile's and PEFT's."""
    while not isinstance(model, wanted):
        if hasattr(model, "_orig_mod"):
            inner = model._orig_mod
        elif hasattr(model, "get_base_model"):  # PEFT; its adapters are layers of the model inside
            inner = model.get_base_model()
        else:
            return model
        if inner is model:
            return model
        model = inner
    return model


def _with(unet: Any) -> str:
    return "" if unet is None else f" with a unet of {type(unet).__name__}"


def _not_compiled() -> Any:
    """A context in which compiled modules run as they were written, so that every hook and layer is met."""
    # torch 2.6 has set_stance; before, only a UNet that is compiled as a whole can be captured.
    set_stance = getattr(torch.compiler, "set_stance", None)
    return set_stance("force_eager") if set_stance else nullcontext()


def _to_pixels(image: ImageLike) -> torch.Tensor:
    """Any of the accepted inputs as float32 ``[B, 3, H, W]`` in 0..1."""
    if isinstance(image, torch.Tensor) and image.ndim == 4 and image.shape[1] == 3:
        image = image.movedim(1, -1)
    elif isinstance(image, np.ndarray) and image.ndim == 4 and image.shape[1] == 3:
        image = np.moveaxis(image, 1, -1)
    return as_images(image).colours.movedim(-1, 1)


def _encode(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Mean latents of ``[B, 3, H, W]`` in 0..1, scaled for the UNet.

    A VAE that is known to overflow in half precision (SDXL's) works in float32 meanwhile.
    """
    dtype = vae.dtype
    upcast = dtype == torch.float16 and vae.config.force_upcast
    try:
        if upcast:
            vae.to(torch.float32)
        return vae.encode(pixels.to(vae.dtype) * 2.0 - 1.0).latent_dist.mode() * vae.config.scaling_factor
    finally:
        if upcast:
            vae.to(dtype)


def _conditioning(
    pipeline: Pipeline, unet: Any, embeds: torch.Tensor | None, pooled: torch.Tensor | None, size: GridSize
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Text embedding ``[1, tokens, d]`` and, for SDXL, the pooled one and the size's six numbers."""
    is_xl = unet.config.addition_embed_type == "text_time"
    if embeds is None or (is_xl and pooled is None):
        embeds, pooled = encode_empty_prompt(pipeline)
    finite_range(embeds, "prompt's embedding")
    if pooled is not None:
        finite_range(pooled, "prompt's pooled embedding")
    if not is_xl or pooled is None:
        return embeds, {}
    time_ids = torch.tensor([[*size, 0, 0, *size]], dtype=torch.float32)
    return embeds, {"text_embeds": pooled, "time_ids": time_ids}


def encode_empty_prompt(pipeline: Pipeline) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The text embedding ``[1, tokens, d]`` of the empty prompt and, for SDXL, the pooled one ``[1, d]``.

    Raises:
        InvalidSettingError: a pipeline without text encoder.
    """
    if pipeline.text_encoder is None:
        raise InvalidSettingError(
            "Expected prompt_embeds (and pooled_prompt_embeds for SDXL): "
            "this pipeline has no text encoder to encode the empty prompt with."
        )
    with torch.inference_mode():
        encoded = pipeline.encode_prompt(
            "", device=pipeline._execution_device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
    return encoded[0], encoded[2] if len(encoded) > 2 else None


class _CaptureProcessor:
    """Attention processor that lets the accumulator compute a self-attention layer."""

    def __init__(self, accumulator: AttentionAccumulator, name: str) -> None:
        self.accumulator = accumulator
        self.name = name
        self.grid: GridSize | None = None
        self.calls = 0

    def remember_grid(self, module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        """Forward pre-hook of the transformer around the layer: note the grid of its tokens."""
        self.grid = GridSize(*arguments[0].shape[2:])

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        assert self.grid is not None

        def heads(projection: torch.nn.Module) -> torch.Tensor:
            return projection(hidden_states).unflatten(2, (attn.heads, -1)).transpose(1, 2)

        self.calls += 1
        output = self.accumulator.attend(heads(attn.to_q), heads(attn.to_k), heads(attn.to_v), self.grid)
        return attn.to_out[1](attn.to_out[0](output.transpose(1, 2).flatten(2)))


@contextmanager
def _capturing(unet: Any, resolutions: Resolutions) -> Iterator[AttentionAccumulator]:
    """Within the context the UNet's self-attention runs through the accumulator that is given."""
    attentions = [name for name, _ in unet.named_modules() if name.endswith(".attn1")]
    transformers = dict.fromkeys(name.rpartition(".transformer_blocks")[0] for name in attentions)
    levels = {name: _level(name, len(unet.down_blocks)) for name in transformers}
    chosen = select_levels(levels.values(), resolutions)
    accumulator = AttentionAccumulator()
    processors, saved, handles = [], [], []
    try:
        for name in (name for name in levels if levels[name] in chosen):
            transformer = unet.get_submodule(name)
            for index, block in enumerate(transformer.transformer_blocks):
                processor = _CaptureProcessor(accumulator, f"{name}.transformer_blocks.{index}.attn1")
                saved.append((block.attn1, block.attn1.processor))
                handles.append(transformer.register_forward_pre_hook(processor.remember_grid))
                block.attn1.set_processor(processor)
                processors.append(processor)
        yield accumulator
    finally:
        for handle in handles:
            handle.remove()
        for attention, processor in saved:
            attention.set_processor(processor)
    silent = [processor.name for processor in processors if processor.calls != 1]
    if silent:
        raise CaptureError(
            f"Expected every self-attention layer to run once, but {silent[0]} did not "
            f"({len(silent)} of {len(processors)}). A compiled UNet or a cache that skips blocks does "
            "this: pass the pipeline without it."
        )


def _level(name: str, depth: int) -> int:
    """How often the latent was halved at a layer, from its name in the UNet."""
    block = re.match(r"(down|up)_blocks\.(\d+)\.", name)
    if block is None:
        return depth - 1  # the middle block
    index = int(block[2])
    return index if block[1] == "down" else depth - 1 - index
