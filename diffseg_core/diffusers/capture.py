"""Capturing attention from a diffusers pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from ..attention.accumulator import AttentionAccumulator
from ..attention.blocks import RECOMMENDED
from ..attention.capture_checks import checked_capture
from ..attention.compiled import not_compiled
from ..attention.maps import AttentionMaps, Evidence
from ..attention.shown import ShownStep
from ..attention.text import TextAttention
from ..attention.working_size import working_size
from ..errors import ANOTHER_MODEL, UnsupportedModelError
from ..grid import GridSize
from ..images import as_images, finite_range
from ..settings import KeepQueries, Resolutions
from .hooks import whole_model
from .latents import encode, latent_channels, vae_of
from .prompts import Encoding, Prompt, Widths, check_prompt, checked_prompt, encode_empty
from .schedulers import check_flow
from .transformer_capture import TransformerCapture
from .transformers import SUPPORTED_TRANSFORMERS, TRANSFORMERS
from .unet import SUPPORTED_UNETS, UNetCapture
from .unet_inputs import LATENT, check_unet

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


class Backbone(Protocol):
    """How the attention of one model is captured, with what of it: a UNet or a transformer."""

    @property
    def native_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""

    @property
    def multiple(self) -> int:
        """Pixels; the sides of what the model looks at are multiples."""

    @property
    def evidence(self) -> Evidence:
        """What is better known to tell segments apart in it."""

    @property
    def model(self) -> Any:
        """The model itself."""

    @property
    def encoding(self) -> Encoding:
        """How its pipeline encodes a prompt."""

    @property
    def widths(self) -> Widths:
        """Of a prompt's embeddings."""

    def check(self, size: GridSize) -> None:
        """Refuse a working size in pixels that the model does not know."""

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, level: int) -> torch.Tensor:
        """Latents with the noise of a level, 0..1000."""

    def gather(
        self,
        latents: torch.Tensor,
        level: int,
        prompt: Prompt,
        size: GridSize,
        accumulator: AttentionAccumulator,
    ) -> None:
        """Run the model once over latents ``[B, C, h, w]`` of images of a size, and gather its attention."""

    def read_text(self, maps: AttentionMaps, prompt: Prompt) -> TextAttention:
        """How much the places of the images of a capture attend to a text that comes after it."""

    def shown(self, latents: torch.Tensor, level: int, size: GridSize) -> ShownStep | None:
        """What words need to be shown with; None where the queries to the text are kept instead."""


@torch.inference_mode()
def capture_diffusers(
    pipeline: Pipeline,
    image: ImageLike,
    *,
    timestep: int = 300,
    noise_seed: int | None = None,
    size: int | None = None,
    resolutions: Resolutions = "all",
    blocks: str = RECOMMENDED,
    remove_position: bool = False,
    keep_queries: KeepQueries = "automatic",
    prompt_embeds: torch.Tensor | None = None,
    pooled_prompt_embeds: torch.Tensor | None = None,
    prompt_embeds_mask: torch.Tensor | None = None,
) -> AttentionMaps:
    """Run one denoising step of a diffusers pipeline and gather its self-attention.

    Of a transformer, which attends to image and text together, it is the attention among the image's tokens,
    and the step ends with the last block that is wanted. The model, its attention processors and the caller's
    random state are afterwards as before. A model that `torch.compile` or PEFT has wrapped is captured too:
    the one inside runs, with its adapters, not compiled. So is one with a cache or guidance of diffusers
    around it, which stand aside meanwhile.

    Args:
        pipeline: one with the UNet of SD 1.x, SD 2.x or SDXL and its small relatives, such as
            ``StableDiffusionPipeline`` and ``StableDiffusionXLPipeline``, or with the transformer of SD3,
            Flux.1 or Qwen-Image, such as ``StableDiffusion3Pipeline``, ``FluxPipeline`` and
            ``QwenImagePipeline`` (diffusers 0.35).
        image: the images, as `as_images` takes them: a PIL image, a tensor or an array
            ``[B, H, W, C]`` in 0..1, several in a sequence. A tensor or array ``[B, 3, H, W]`` is taken
            too, also where it could be either, as ``[1, 3, 512, 3]`` could. Alpha is left out.
        timestep: the noise level, 0..1000; the paper's is 300. A UNet's timestep (1000 is taken for 999), a
            transformer's share of noise in thousandths.
        noise_seed: None gives the model the clean latent, as the paper's code does; a number gives it
            the latent with the level's noise, drawn from this seed.
        size: side in pixels of a square of the area at which the model works, 64..4096; its native one if
            None or 0.
        resolutions: of a UNet, which of its resolutions to capture.
        blocks: of a transformer, which of its blocks to capture: "recommended", "middle third", "all", or
            numbers from 0 as in "7-9, 12", in running order over all kinds of blocks. See `choose_blocks`.
        remove_position: whether to take out of the attention what depends on displacement alone; see
            `without_position`.
        keep_queries: what to keep for words that come later, see `read_words`: of a UNet the queries to the
            text, at most 64 MB for each image ("automatic") or of all layers that tell what a text says
            ("all"); of a transformer its latent; or nothing ("none").
        prompt_embeds: text embedding ``[1, tokens, d]``; that of the empty prompt if None.
        pooled_prompt_embeds: pooled text embedding ``[1, d]`` (SDXL, SD3 and Flux), likewise.
        prompt_embeds_mask: which of the tokens are text, ``[1, tokens]`` (Qwen-Image); all if None. Words
            are read without any that is masked.

    Returns:
        the attention maps, with features, on the model's device: of a UNet a map for each resolution, of a
        transformer one.

    Raises:
        UnsupportedModelError: the pipeline has another model, one that takes more than an image and a text
            (an inpainting UNet is shown a mask over everything, as in ComfyUI), or a scheduler by which the
            model was not trained.
        InvalidSettingError: a noise level, size or choice outside its range, images that `as_images`
            refuses, embeddings of several prompts or another model, or a latent or embedding with values
            that are not finite.
        CaptureError: an attention layer did not run, or not on the grid's tokens.
    """
    settings = checked_capture(timestep, noise_seed, resolutions, blocks, remove_position, keep_queries, size)
    backbone = backbone_of(pipeline, settings.resolutions, settings.blocks, settings.keep_queries)
    vae, pixels = vae_of(pipeline), _to_pixels(image)
    image_size = GridSize(*pixels.shape[2:])
    target = working_size(image_size, settings.working_size or backbone.native_side, backbone.multiple)
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
    if settings.noise_seed is not None:
        generator = torch.Generator().manual_seed(settings.noise_seed)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        latents = backbone.noised(latents, noise, settings.timestep)
    accumulator = AttentionAccumulator()
    with not_compiled(), whole_model(backbone.model):
        backbone.gather(latents, settings.timestep, prompt, target, accumulator)
    return accumulator.finish(
        evidence=backbone.evidence,
        remove_position=settings.remove_position,
        shown=None if settings.keep_queries == "none" else backbone.shown(latents, settings.timestep, target),
    )


@torch.inference_mode()
def read_text(pipeline: Pipeline, maps: AttentionMaps, prompt: Prompt) -> TextAttention:
    """How much the places of captured images attend to a text that comes after the capture.

    Of a UNet the queries that were kept meet the text's keys, and the model does not run. A transformer is
    shown the same step once more, with the text.

    Args:
        pipeline: that the attention was captured from.
        maps: as `capture_diffusers` gave them.
        prompt: the text, encoded, of one prompt for all images.

    Raises:
        UnsupportedModelError: the pipeline has another model.
        InvalidSettingError: a text of several prompts, or encoded for another model.
        CaptureError: attention that was captured from another model, or with keep_queries "none", or a text
            of which the model does not see every token.
    """
    device = pipeline._execution_device
    backbone = backbone_of(pipeline)
    check_prompt(prompt, backbone.encoding, backbone.widths)
    pooled, mask = (None if part is None else part.to(device) for part in (prompt.pooled, prompt.mask))
    with not_compiled(), whole_model(backbone.model):
        return backbone.read_text(maps, Prompt(prompt.embeds.to(device), pooled, mask))


def encode_empty_prompt(pipeline: Pipeline) -> Prompt:
    """The embeddings of the empty prompt, as `capture_diffusers` takes them.

    Raises:
        UnsupportedModelError: the pipeline has another model.
        InvalidSettingError: a pipeline without text encoder.
    """
    return encode_empty(pipeline, backbone_of(pipeline).encoding)


def backbone_of(
    pipeline: Any,
    resolutions: Resolutions = "all",
    blocks: str = RECOMMENDED,
    keep_queries: KeepQueries = "none",
) -> Backbone:
    """Choose by the class of the pipeline's model.

    Args:
        pipeline: of diffusers.
        resolutions: of a UNet, which to capture; see ``select_levels``.
        blocks: of a transformer, which to capture; see ``choose_blocks``.
        keep_queries: of a UNet, to the text.

    Raises:
        UnsupportedModelError: not one of the supported models, one that takes more than an image and a text,
            or a scheduler by which the model was not trained.
        InvalidSettingError: another choice of queries, or blocks that the transformer does not have.
    """
    import diffusers

    unet = _unwrapped(getattr(pipeline, "unet", None), diffusers.UNet2DConditionModel)
    if isinstance(unet, diffusers.UNet2DConditionModel):
        vae = getattr(pipeline, "vae", None)  # words are read without it
        check_unet(unet, pipeline, LATENT if vae is None else latent_channels(vae))
        return UNetCapture(unet, pipeline, resolutions, keep_queries)
    for row in TRANSFORMERS:
        kind = getattr(diffusers, row.model, None)  # diffusers 0.30 has no Qwen-Image
        if kind is not None:
            transformer = _unwrapped(getattr(pipeline, "transformer", None), kind)
            if type(transformer) is kind:
                check_flow(getattr(pipeline, "scheduler", None), row.name)
                return TransformerCapture(row, transformer, latent_channels(vae_of(pipeline)), blocks)
    raise UnsupportedModelError(
        f"Expected a pipeline with a UNet2DConditionModel ({SUPPORTED_UNETS}) or a transformer of "
        f"{SUPPORTED_TRANSFORMERS} ({', '.join(row.model for row in TRANSFORMERS)}), got "
        f"{type(pipeline).__name__}{_with(pipeline)}. {ANOTHER_MODEL}"
    )


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


def _with(pipeline: Any) -> str:
    models = {name: getattr(pipeline, name, None) for name in ("unet", "transformer")}
    return "".join(
        f" with a {name} of {type(model).__name__}" for name, model in models.items() if model is not None
    )


def _to_pixels(image: ImageLike) -> torch.Tensor:
    """Any of the accepted inputs as float32 ``[B, 3, H, W]`` in 0..1."""
    if isinstance(image, torch.Tensor) and image.ndim == 4 and image.shape[1] == 3:
        image = image.movedim(1, -1)
    elif isinstance(image, np.ndarray) and image.ndim == 4 and image.shape[1] == 3:
        image = np.moveaxis(image, 1, -1)
    return as_images(image).colours.movedim(-1, 1)
