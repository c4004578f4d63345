"""Text embeddings as diffusers' pipelines make them."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import torch

from ..attention.text import check_embedding
from ..errors import InvalidSettingError
from ..images import finite_range

OWN_ENCODERS = "Encode one prompt for all images, with the text encoders of this model."


class Prompt(NamedTuple):
    """A prompt's embeddings."""

    embeds: torch.Tensor  # [1, tokens, d]
    pooled: torch.Tensor | None = None  # [1, d]
    mask: torch.Tensor | None = None  # [1, tokens]: which tokens are text, and not padding

    def expanded(self, batch: int, device: torch.device, dtype: torch.dtype) -> Prompt:
        """For so many images, as a model takes it."""
        pooled, mask = self.pooled, self.mask
        return Prompt(
            self.embeds.to(device, dtype).expand(batch, -1, -1),
            None if pooled is None else pooled.to(device, dtype).expand(batch, -1),
            None if mask is None else mask.to(device).expand(batch, -1),
        )


class Widths(NamedTuple):
    """How wide the embeddings are that a model takes."""

    embeds: int  # numbers to a token
    pooled: int | None = None  # None where it takes no pooled embedding


class Encoding(NamedTuple):
    """How a pipeline encodes a prompt."""

    encoders: tuple[str, ...]  # which it cannot do without
    returned: tuple[str, ...]  # what ``encode_prompt`` gives, by its names in `Prompt`; others are ""
    tokenizers: tuple[str, ...] = ("tokenizer",)  # whose tokens follow one another in the embeddings


def checked_prompt(
    pipeline: Any,
    encoding: Encoding,
    widths: Widths,
    embeds: torch.Tensor | None,
    pooled: torch.Tensor | None,
    mask: torch.Tensor | None,
) -> Prompt:
    """The prompt that is given; what of it is not given is that of the empty one.

    Raises:
        InvalidSettingError: a pipeline without text encoder, or see `check_prompt`.
    """
    if embeds is None or (widths.pooled is not None and pooled is None):
        empty = encode_text(pipeline, encoding, "")
        if embeds is None:
            embeds, mask = empty.embeds, empty.mask if mask is None else mask
        pooled = empty.pooled if pooled is None else pooled
    prompt = Prompt(embeds, pooled, mask)
    check_prompt(prompt, encoding, widths)
    return prompt


def check_prompt(prompt: Prompt, encoding: Encoding, widths: Widths) -> None:
    """Refuse embeddings of more than one prompt, or of another model; a pooled one that it lacks is let be.

    Raises:
        InvalidSettingError: another shape or width, values that are not finite, or tokens that are masked
            for a model that takes no mask.
    """
    check_embedding(prompt.embeds, widths.embeds, "prompt_embeds", OWN_ENCODERS)
    if prompt.pooled is not None and widths.pooled is not None:
        check_embedding(prompt.pooled, widths.pooled, "pooled_prompt_embeds", OWN_ENCODERS, is_pooled=True)
    if prompt.mask is None:
        return
    tokens = prompt.embeds.shape[1]
    shape = list(prompt.mask.shape) if isinstance(prompt.mask, torch.Tensor) else type(prompt.mask).__name__
    if shape != [1, tokens]:
        raise InvalidSettingError(
            f"Expected prompt_embeds_mask of [1, {tokens}], one number to a token of prompt_embeds: 1 for "
            f"text and 0 for padding, got {shape}. Give one of that shape, or none."
        )
    if prompt.mask.is_floating_point():
        finite_range(prompt.mask, "prompt_embeds_mask")
    if "mask" not in encoding.returned and not bool(prompt.mask.all()):
        raise InvalidSettingError(
            "Expected no prompt_embeds_mask for this model, which sees every token of its prompt, got one "
            f"over {int((prompt.mask == 0).sum())} of {tokens} tokens. Leave it out, or give the "
            "prompt_embeds of those that are to be seen."
        )


def missing_text_encoders(pipeline: Any, encoding: Encoding) -> list[str]:
    """Which are not there that it cannot do without."""
    return [name for name in encoding.encoders if getattr(pipeline, name, None) is None]


def encode_text(pipeline: Any, encoding: Encoding, text: str) -> Prompt:
    """A text, encoded by the pipeline.

    Raises:
        InvalidSettingError: a pipeline without text encoder, or one that encodes text and image together.
    """
    missing = missing_text_encoders(pipeline, encoding)
    if missing:
        raise InvalidSettingError(
            f"Expected a model with its text encoder, which reads words and the empty prompt, got "
            f"{type(pipeline).__name__} without {' and '.join(missing)}. Load the pipeline with it, or "
            "capture with prompt_embeds (and pooled_prompt_embeds for SDXL, SD3 and Flux). The demo model "
            "has none, nor has SDXL's refiner in diffusers: for words choose one of Stable Diffusion, SDXL, "
            "SD3, Flux.1 or Qwen-Image."
        )
    parameters = inspect.signature(pipeline.encode_prompt).parameters
    if "image" in parameters:
        raise InvalidSettingError(
            f"Expected prompt_embeds, or a pipeline that encodes text alone, got {type(pipeline).__name__}, "
            "which encodes it together with an image: make a QwenImagePipeline of its parts."
        )
    settings = {"device": pipeline._execution_device, "num_images_per_prompt": 1}
    settings |= {name: text for name in ("prompt", "prompt_2", "prompt_3") if name in parameters}
    if "do_classifier_free_guidance" in parameters:
        settings["do_classifier_free_guidance"] = False
    with torch.inference_mode():
        encoded = pipeline.encode_prompt(**settings)
    return Prompt(**{name: part for name, part in zip(encoding.returned, encoded, strict=False) if name})
