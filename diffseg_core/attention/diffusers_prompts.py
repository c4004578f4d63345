"""Text embeddings as diffusers' pipelines make them."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import torch

from ..errors import InvalidSettingError
from ..images import finite_range


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


class Encoding(NamedTuple):
    """How a pipeline encodes a prompt."""

    encoders: tuple[str, ...]  # which it cannot do without
    returned: tuple[str, ...]  # what ``encode_prompt`` gives, by its names in `Prompt`; others are ""
    tokenizers: tuple[str, ...] = ("tokenizer",)  # whose tokens follow one another in the embeddings

    @property
    def has_pooled(self) -> bool:
        """Whether the model needs the pooled embedding."""
        return "pooled" in self.returned


def checked_prompt(
    pipeline: Any,
    encoding: Encoding,
    embeds: torch.Tensor | None,
    pooled: torch.Tensor | None,
    mask: torch.Tensor | None,
) -> Prompt:
    """The prompt that is given, or the empty one where it is not whole.

    Raises:
        InvalidSettingError: a pipeline without text encoder, or values that are not finite.
    """
    if embeds is None or (encoding.has_pooled and pooled is None):
        prompt = encode_empty(pipeline, encoding)
    else:
        prompt = Prompt(embeds, pooled, mask)
    finite_range(prompt.embeds, "prompt's embedding")
    if prompt.pooled is not None:
        finite_range(prompt.pooled, "prompt's pooled embedding")
    if prompt.mask is not None and prompt.mask.shape[-1] != prompt.embeds.shape[1]:
        raise InvalidSettingError(
            f"Expected prompt_embeds_mask of the {prompt.embeds.shape[1]} tokens of prompt_embeds, got "
            f"{prompt.mask.shape[-1]}."
        )
    return prompt


def encode_empty(pipeline: Any, encoding: Encoding) -> Prompt:
    """The empty prompt, encoded by the pipeline.

    Raises:
        InvalidSettingError: a pipeline without text encoder, or one that encodes text and image together.
    """
    if not has_text_encoders(pipeline, encoding):
        raise InvalidSettingError(
            "Expected prompt_embeds (and pooled_prompt_embeds for SDXL, SD3 and Flux): "
            "this pipeline has no text encoder to encode the empty prompt with."
        )
    return encode_text(pipeline, encoding, "")


def has_text_encoders(pipeline: Any, encoding: Encoding) -> bool:
    """Whether all are there that it cannot do without."""
    return all(getattr(pipeline, name, None) is not None for name in encoding.encoders)


def encode_text(pipeline: Any, encoding: Encoding, text: str) -> Prompt:
    """A text, encoded by the pipeline, whose text encoders are there.

    Raises:
        InvalidSettingError: a pipeline that encodes text and image together.
    """
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
