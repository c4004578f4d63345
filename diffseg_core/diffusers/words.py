"""Reading words with a diffusers pipeline: encoded once, and met by the attention of captured images."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from ..attention.maps import AttentionMaps
from ..errors import CaptureError, InvalidSettingError, UnsupportedModelError
from ..images import finite_range
from ..words.lines import Piece, TokenPlaces, WordAttention, WordLine, prompt_of
from ..words.token_places import EncoderTokens, piece_spans, places_of_words
from .capture import backbone_of, read_text
from .prompts import Encoding, Prompt, encode_text

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
    pieces = prompt_of(lines)
    prompt = encode_text(pipeline, encoding, "".join(piece.text for piece in pieces))
    finite_range(prompt.embeds, "prompt's embedding")
    places = find_places(pipeline, encoding, pieces, prompt.embeds.shape[1])
    return EncodedWords(tuple(lines), _weighted(pipeline, encoding, prompt, lines, places), places)


def read_words(
    pipeline: Pipeline, maps: AttentionMaps, lines: Sequence[WordLine], encoded: EncodedWords | None = None
) -> WordAttention:
    """How much the places of captured images attend to words that come after the capture.

    Of a UNet the kept queries meet the keys of the words, and the model does not run. A transformer (SD3,
    Flux.1, Qwen-Image) runs on the same inputs once more, with the words as the prompt, which takes as long
    as the capture.

    Args:
        pipeline: that the attention was captured from, with its text encoders unless the words are encoded.
        maps: as `capture_diffusers` gave them.
        lines: of words, as `parse_words` gives them.
        encoded: the same words, as `encode_words` gave them for this pipeline.

    Raises:
        UnsupportedModelError, InvalidSettingError: see `encode_words`.
        CaptureError: attention that was captured from another model, or put together by hand.

    Example:
        >>> import diffseg_core
        >>> lines = diffseg_core.parse_words("cup, mug\\ntable")
        >>> words = diffseg_core.read_words(pipeline, maps, lines)  # doctest: +SKIP
    """
    if encoded is None:
        encoded = encode_words(pipeline, lines)
    elif encoded.lines != tuple(lines):
        names = (", ".join(line.name for line in some) for some in (encoded.lines, lines))
        raise InvalidSettingError("Expected the words that are encoded ({!r}), got {!r}.".format(*names))
    attention = read_text(pipeline, maps, encoded.prompt)
    tokens = encoded.prompt.embeds.shape[1]
    if attention.tokens != tokens:
        raise CaptureError(
            f"Expected attention to the {tokens} tokens of the words, got it to {attention.tokens}. What "
            "adds tokens to the text does this: pass the pipeline without it."
        )
    return WordAttention(encoded.lines, attention, encoded.places)


def _weighted(
    pipeline: Any, encoding: Encoding, prompt: Prompt, lines: Sequence[WordLine], places: TokenPlaces
) -> Prompt:
    """The prompt with the weights of its words."""
    weights = torch.ones(prompt.embeds.shape[1])
    words = chain(*(line.synonyms for line in lines))
    for word, tokens in zip(words, chain(*places.lines), strict=True):
        weights[list(tokens)] = word.weight
    if bool((weights == 1.0).all()):
        return prompt
    empty = encode_text(pipeline, encoding, "").embeds.to(prompt.embeds)
    if empty.shape != prompt.embeds.shape:
        return prompt  # not filled up to one length: there is no token of the empty prompt for each
    weights = weights.to(prompt.embeds)[None, :, None]
    return prompt._replace(embeds=(prompt.embeds - empty) * weights + empty)


def find_places(pipeline: Any, encoding: Encoding, pieces: Sequence[Piece], length: int) -> TokenPlaces:
    """Where the words lie; see `places_of_words`, also for errors.

    Args:
        pipeline: with its tokenizers.
        encoding: how it encodes a prompt.
        pieces: of the prompt; their texts together are the prompt.
        length: number of tokens of the encoded prompt.

    Raises:
        UnsupportedModelError: a pipeline that encodes a prompt to another number of tokens.
    """
    encoders: list[EncoderTokens] = []
    expected = 0
    if hasattr(pipeline, "prompt_template_encode"):  # of Qwen-Image, around the prompt; its head is cut off
        cut = pipeline.prompt_template_encode_start_idx
        places, _, count = _read(pipeline, pipeline.tokenizer, pieces, -cut, pipeline.prompt_template_encode)
        expected = min(count - cut, _longest(pipeline))
        encoders.append(EncoderTokens(places, 0, expected))
    for name in () if encoders else encoding.tokenizers:
        tokenizer = getattr(pipeline, name, None)
        if tokenizer is None or getattr(pipeline, name.replace("tokenizer", "text_encoder"), None) is None:
            expected = length  # SD3 without T5, for which there are zeros
            continue
        places, first, _ = _read(pipeline, tokenizer, pieces, expected)
        if name == "tokenizer":
            expected += int(getattr(pipeline, "tokenizer_max_length", tokenizer.model_max_length))
        else:
            expected += _longest(pipeline)
        encoders.append(EncoderTokens(places, first, expected - 1))  # the last token ends the text
    if expected != length or not encoders:
        raise UnsupportedModelError(
            f"Expected {type(pipeline).__name__} to encode a prompt to {expected} tokens, got {length}. What "
            "encodes prompts in another way does this: pass a pipeline of diffusers itself."
        )
    return places_of_words(pieces, encoders)


def _longest(pipeline: Any) -> int:
    """To how many tokens the pipeline fills up or cuts off what its T5 or Qwen reads."""
    return int(inspect.signature(pipeline.encode_prompt).parameters["max_sequence_length"].default)


def _read(
    pipeline: Any, tokenizer: Any, pieces: Sequence[Piece], moved: int, template: str = "{}"
) -> tuple[tuple[tuple[int, ...], ...], int, int]:
    """One tokenizer's tokens of a prompt within a template, their places moved by some.

    Returns:
        the places of each piece's tokens, where the prompt begins, and the number of all tokens.
    """

    def tokenize(text: str) -> list[int]:
        text = template.format(text)
        if hasattr(pipeline, "maybe_convert_prompt"):  # several vectors of one textual inversion
            text = pipeline.maybe_convert_prompt(text, tokenizer)
        tokens: list[int] = tokenizer(text, verbose=False).input_ids
        return tokens

    first, spans = piece_spans(pieces, tokenize)
    count = len(tokenize("".join(piece.text for piece in pieces)))
    return tuple(tuple(moved + token for token in span) for span in spans), moved + first, count
