"""Reading words with a diffusers pipeline: encoded once, and met by the attention of captured images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..attention.maps import AttentionMaps
from ..errors import CaptureError, InvalidSettingError
from ..images import finite_range
from ..words.lines import Piece, TokenPlaces, WordAttention, WordLine, prompt_of
from .capture import backbone_of, read_text
from .prompts import Encoding, Prompt, encode_text, has_text_encoders
from .tokens import find_places

if TYPE_CHECKING:
    from .capture import Pipeline


@dataclass(frozen=True, eq=False)
class EncodedWords:
    """Words as a pipeline's text encoders give them; these are not needed afterwards.

    Attributes:
        lines: the words.
        prompt: the embeddings of the prompt that is made of them.
        places: of the words among its tokens.
    """

    lines: tuple[WordLine, ...]
    prompt: Prompt
    places: TokenPlaces


def encode_words(pipeline: Pipeline, lines: Sequence[WordLine]) -> EncodedWords:
    """Encode words, so that any number of images can be read with them.

    A word's weight moves the embeddings of its tokens away from those of the empty prompt, as in ComfyUI:
    (e − e₀)·weight + e₀. Qwen-Image's text encoder knows no weights there, and here neither.

    Args:
        pipeline: of diffusers, with its text encoders.
        lines: of words, as `parse_words` gives them.

    Raises:
        UnsupportedModelError: the pipeline has another model, or encodes text in a way of its own.
        InvalidSettingError: a pipeline without text encoder, words that do not fit into what it reads
            (`TooManyWordsError`), or that have no tokens.
    """
    encoding = backbone_of(pipeline).encoding
    check_text_encoders(pipeline, encoding)
    pieces = prompt_of(lines)
    prompt = encode_text(pipeline, encoding, "".join(piece.text for piece in pieces))
    finite_range(prompt.embeds, "prompt's embedding")
    places = find_places(pipeline, encoding, pieces, prompt.embeds.shape[1])
    return EncodedWords(tuple(lines), _weighted(pipeline, encoding, prompt, pieces, places), places)


def check_text_encoders(pipeline: Any, encoding: Encoding) -> None:
    """Refuse a pipeline that cannot read words.

    Raises:
        InvalidSettingError: it has no text encoder.
    """
    if not has_text_encoders(pipeline, encoding):
        missing = [name for name in encoding.encoders if getattr(pipeline, name, None) is None]
        raise InvalidSettingError(
            f"Expected a model with its text encoder, which reads the words, got {type(pipeline).__name__} "
            f"without {' and '.join(missing)}. Load the pipeline with it. The demo model has none, nor has "
            "SDXL's refiner in diffusers: choose one of Stable Diffusion, SDXL, SD3, Flux.1 or Qwen-Image."
        )


def read_words(
    pipeline: Pipeline, maps: AttentionMaps, lines: Sequence[WordLine], encoded: EncodedWords | None = None
) -> WordAttention:
    """How much the places of captured images attend to words that come after the capture.

    Of a UNet the kept queries meet the keys of the words, and the model does not run. A transformer (SD3,
    Flux.1, Qwen-Image) is shown the same once more, with the words as the prompt, which takes as long as the
    capture.

    Args:
        pipeline: that the attention was captured from, with its text encoders unless the words are encoded.
        maps: as `capture_diffusers` gave them.
        lines: of words, as `parse_words` gives them.
        encoded: the same words, as `encode_words` gave them for this pipeline.

    Raises:
        UnsupportedModelError, InvalidSettingError: as of `encode_words`.
        CaptureError: attention that was captured from another model, or put together by hand.

    Example:
        >>> import diffseg_core
        >>> lines = diffseg_core.parse_words("cup, mug\\ntable")
        >>> words = diffseg_core.read_words(pipeline, maps, lines)  # doctest: +SKIP
    """
    if encoded is None:
        encoded = encode_words(pipeline, lines)
    elif encoded.lines != tuple(lines):
        raise InvalidSettingError(
            f"Expected the words that are encoded ({_names(encoded.lines)}), got {_names(lines)}."
        )
    attention = read_text(pipeline, maps, encoded.prompt)
    tokens = encoded.prompt.embeds.shape[1]
    if attention.tokens != tokens:
        raise CaptureError(
            f"Expected attention to the {tokens} tokens of the words, got it to {attention.tokens}. What "
            "adds tokens to the text does this: pass the pipeline without it."
        )
    return WordAttention(encoded.lines, attention, encoded.places)


def _names(lines: Sequence[WordLine]) -> str:
    return repr(", ".join(line.name for line in lines))


def _weighted(
    pipeline: Any, encoding: Encoding, prompt: Prompt, pieces: Sequence[Piece], places: TokenPlaces
) -> Prompt:
    """The prompt with the weights of its words."""
    words = [piece for piece in pieces if piece.line is not None]
    stretches = [tokens for line in places.lines for tokens in line]
    if all(piece.weight == 1.0 for piece in words):
        return prompt
    empty = encode_text(pipeline, encoding, "").embeds.to(prompt.embeds)
    if empty.shape != prompt.embeds.shape:
        return prompt  # not filled up to one length: there is no token of the empty prompt for each
    weights = torch.ones(prompt.embeds.shape[1])
    for piece, tokens in zip(words, stretches, strict=True):
        weights[list(tokens)] = piece.weight
    weights = weights.to(prompt.embeds)[None, :, None]
    return prompt._replace(embeds=(prompt.embeds - empty) * weights + empty)
