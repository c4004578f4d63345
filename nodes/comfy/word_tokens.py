"""Where the words of a prompt lie among the tokens that ComfyUI's text encoders make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import torch

from ...diffseg_core import UnsupportedModelError
from ...diffseg_core.words.lines import Piece, TokenPlaces
from ...diffseg_core.words.token_places import EncoderTokens, piece_spans, places_of_words

Encoders = Sequence[Sequence[str]]
"""Text encoders, as tokenizers name them: those that share tokens together, these in the tokens' order."""
NO_WORD = 0  # of a token that is none of a word's: start, end, padding
BLANK = " \n▁Ġ"  # how tokenizers write spaces


class _Read(NamedTuple):
    """A prompt as one encoder has it."""

    length: int  # number of its tokens, all chunks together
    head: int  # number of tokens of a template before the prompt, which may be cut off what is encoded
    pieces: list[tuple[int, ...]]  # places of each piece's tokens, without those that say nothing


def encode_pieces(clip: Any, pieces: Sequence[Piece]) -> Any:
    """The conditioning of a prompt of words, which counts their weights."""
    written, _ = _written(clip, pieces)
    text = "".join(piece.text for piece in written)
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def find_places(
    clip: Any, pieces: Sequence[Piece], encoded: int, encoders: Encoders | None = None
) -> TokenPlaces:
    """Where the words lie; see `places_of_words`.

    Args:
        clip: a CLIP.
        pieces: of the prompt.
        encoded: number of tokens of its conditioning.
        encoders: of which the model's text is made; those that are not loaded are left out. All together if
            None.

    Raises:
        UnsupportedModelError: another number of tokens was encoded than the tokenizers count, or the tokens
            are not those of the pieces, one after the other.
        InvalidSettingError: a word without a token that says something.
    """
    written, separately = _written(clip, pieces)
    tokenize = cache(lambda text: clip.tokenize(text, return_word_ids=True))
    groups, start, head = [], 0, 0
    for together in encoders or [list(tokenize(""))]:
        loaded = [name for name in together if _part(clip.cond_stage_model, name) is not None]
        read = [_read(clip, name, written, separately, tokenize) for name in loaded]
        if read:
            length = min(tokens.length for tokens in read)  # ComfyUI cuts the longer ones off
            head = max(tokens.head for tokens in read)
            shared = [set(chain(*places)) for places in zip(*(tokens.pieces for tokens in read), strict=True)]
            groups.append((start, length, shared))
            start += length
    cut = start - encoded
    if not start or cut not in (0, head):
        raise UnsupportedModelError(
            f"Expected {start} tokens of text from the text encoder, as its tokenizer counts, got {encoded} "
            f"from {type(clip.cond_stage_model).__name__.strip('_')}. Connect the CLIP that belongs to the "
            "model, as ComfyUI loads it."
        )
    among_all = [
        EncoderTokens(
            tuple(
                tuple(first - cut + place for place in sorted(places) if place < length) for places in shared
            ),
            first,
            first + length,
        )
        for first, length, shared in groups
    ]
    return places_of_words(pieces, among_all)


def _written(clip: Any, pieces: Sequence[Piece]) -> tuple[list[Piece], bool]:
    r"""The pieces as they are given to the tokenizers, and whether these read them separately.

    Each word is a weighted segment of its own, as ``(cup:1)``, with brackets as ``\(``: ComfyUI's tokenizers
    then make the same tokens of it wherever it stands. Some read no weights, such as Qwen-Image's, and are
    given the plain text.
    """
    plain, weighted = (
        [[token for chunk in chunks for token, _ in chunk] for chunks in clip.tokenize(text).values()]
        for text in ("cup", "(cup:1)")
    )
    if plain != weighted:
        return list(pieces), False
    escaped = [piece.text.replace("(", r"\(").replace(")", r"\)") for piece in pieces]
    return [
        piece._replace(text=f"({text}:{piece.weight})" if piece.is_content else text)
        for piece, text in zip(pieces, escaped, strict=True)
    ], True


def _part(whole: Any, name: str) -> Any:
    """One of several encoders or tokenizers; None where it is not loaded."""
    part = getattr(whole, f"clip_{name}", None)
    return getattr(whole, name, None) if part is None else part


def _read(
    clip: Any, name: str, pieces: Sequence[Piece], separately: bool, tokenize: Callable[[str], Any]
) -> _Read:
    """A prompt, whose pieces are as `_written` gives them, as one encoder has it."""
    embedding = _part(clip.cond_stage_model, name).transformer.get_input_embeddings()
    width = embedding.weight.shape[-1]

    def words_of(text: str) -> tuple[list[int], list[Any], int]:
        """Places and tokens of words as the encoder lays them out, and the number of all tokens."""
        places: list[int] = []
        tokens: list[Any] = []
        start = 0
        for chunk in tokenize(text)[name]:
            # Vectors of an embedding made for another encoder are left out, and padding fills the end.
            fitting = [
                (token, word)
                for token, _, word in chunk
                if not isinstance(token, torch.Tensor) or token.shape[-1] == width
            ]
            words = [(place, token) for place, (token, word) in enumerate(fitting) if word != NO_WORD]
            places += [start + place for place, _ in words]
            tokens += [token for _, token in words]
            start += len(chunk)
        return places, tokens, start

    places, tokens, length = words_of("".join(piece.text for piece in pieces))
    says = _content_test(_part(clip.tokenizer, name))
    head, spans = piece_spans(pieces, lambda text: words_of(text)[1], separately)
    of_pieces = [tuple(places[token] for token in span if says(tokens[token])) for span in spans]
    return _Read(length, head, of_pieces)


def _content_test(tokenizer: Any) -> Callable[[Any], bool]:
    """Whether a token says something: not a space, and nothing that the tokenizer does not know."""
    texts = getattr(tokenizer, "inv_vocab", {})
    unknown = getattr(getattr(tokenizer, "tokenizer", None), "unk_token_id", None)
    return lambda token: (
        isinstance(token, torch.Tensor) or bool(token != unknown and str(texts.get(token, "?")).strip(BLANK))
    )
