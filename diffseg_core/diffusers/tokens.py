"""Where the words of a prompt lie among the tokens that a diffusers pipeline encodes it to."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from ..errors import UnsupportedModelError
from ..words.lines import Piece, TokenPlaces
from ..words.token_places import EncoderTokens, piece_spans, places_of_words
from .prompts import Encoding


def find_places(pipeline: Any, encoding: Encoding, pieces: Sequence[Piece], length: int) -> TokenPlaces:
    """Where the words lie; see `places_of_words`.

    Args:
        pipeline: with its tokenizers.
        encoding: how it encodes a prompt.
        pieces: of the prompt; their texts together are the prompt.
        length: number of tokens of the encoded prompt.

    Raises:
        TooManyWordsError: words that do not fit.
        InvalidSettingError: words that have no tokens.
        UnsupportedModelError: a pipeline that encodes a prompt to another number of tokens.
    """
    encoders: list[EncoderTokens] = []
    expected = 0
    if hasattr(pipeline, "prompt_template_encode"):  # of Qwen-Image, around the prompt; its head is cut off
        template = pipeline.prompt_template_encode.split("{}")
        cut = pipeline.prompt_template_encode_start_idx
        places, _, count = _read(pipeline, pipeline.tokenizer, pieces, -cut, *template)
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
    pipeline: Any, tokenizer: Any, pieces: Sequence[Piece], moved: int, before: str = "", behind: str = ""
) -> tuple[tuple[tuple[int, ...], ...], int, int]:
    """One tokenizer's tokens of a prompt between two texts, their places moved by some.

    Returns:
        the places of each piece's tokens, that of the first token of the whole text, and the number of tokens
        with those that stand before and behind it.
    """

    def tokenize(text: str, with_ends: bool = False) -> list[int]:
        if hasattr(pipeline, "maybe_convert_prompt"):  # several vectors of one textual inversion
            text = pipeline.maybe_convert_prompt(text, tokenizer)
        tokens: list[int] = tokenizer(text, add_special_tokens=with_ends, verbose=False).input_ids
        return tokens

    around = [Piece(before), *pieces, Piece(behind)]
    text = "".join(piece.text for piece in around)
    alone, whole = tokenize(text), tokenize(text, with_ends=True)
    starts = range(len(whole) - len(alone) + 1)
    first = next((start for start in starts if whole[start : start + len(alone)] == alone), None)
    if first is None:
        raise UnsupportedModelError(
            "Expected a tokenizer that puts tokens only before and behind those of a text, got one that "
            "makes others of it. Pass a pipeline with the tokenizers of its model."
        )
    spans = piece_spans(around, tokenize)[1:-1]
    places = tuple(tuple(moved + first + token for token in span) for span in spans)
    return places, moved + first, len(whole)
