"""Where the words of a prompt lie among the tokens that a diffusers pipeline encodes it to."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import InvalidSettingError, UnsupportedModelError
from ..words.lines import Piece, TokenPlaces
from .prompts import Encoding


class TooManyWordsError(InvalidSettingError):
    """More words than a text encoder reads at once."""


class Stretch(NamedTuple):
    """Tokens in a row, of one piece of a prompt."""

    start: int
    stop: int


@dataclass(frozen=True)
class Tokens:
    """The tokens of one tokenizer, among those that a prompt is encoded to.

    Attributes:
        pieces: where each piece of the prompt lies, as if there were no end; counted among all.
        first: the first token.
        stop: behind the last one that a piece may have.
        count: all tokens of the prompt, with what stands before and behind its pieces.
    """

    pieces: tuple[Stretch, ...]
    first: int
    stop: int
    count: int

    def has(self, number: int) -> bool:
        """Whether a piece has tokens, and all of them are among those that are encoded."""
        start, stop = self.pieces[number]
        return start < stop <= self.stop


def find_places(pipeline: Any, encoding: Encoding, pieces: Sequence[Piece], length: int) -> TokenPlaces:
    """Where the words lie: in the tokens of every text encoder that reads all of them.

    Tokens of different encoders draw differently. So a word is never compared in the tokens of two with
    another in those of one: an encoder that has no room for all words, or makes nothing of one, is left out.

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
    every = tokens_of(pipeline, encoding, pieces, length)
    content = [number for number, piece in enumerate(pieces) if piece.is_content]
    reading = [tokens for tokens in every if all(tokens.has(number) for number in content)]
    if not reading:
        raise _unread(every, pieces, content)
    places = [
        tuple(token for tokens in reading for token in range(*tokens.pieces[number]))
        for number in range(len(pieces))
    ]
    return TokenPlaces.of(pieces, places)


def tokens_of(pipeline: Any, encoding: Encoding, pieces: Sequence[Piece], length: int) -> list[Tokens]:
    """The tokens of each tokenizer whose text encoder is there, in the order of the encoding.

    Args, Raises: as of `find_places`.
    """
    if hasattr(pipeline, "prompt_template_encode"):  # of Qwen-Image, around the prompt; its head is cut off
        template = pipeline.prompt_template_encode
        before, _, behind = template.partition("{}")
        dropped = pipeline.prompt_template_encode_start_idx
        found = _read(pipeline, pipeline.tokenizer, pieces, before, behind)
        most = inspect.signature(pipeline.encode_prompt).parameters["max_sequence_length"].default
        expected = min(found.count - dropped, most)
        shifted = tuple(Stretch(start - dropped, stop - dropped) for start, stop in found.pieces)
        every = [Tokens(shifted, 0, expected, found.count - dropped)]
    else:
        every, expected = [], 0
        for name in encoding.tokenizers:
            tokenizer = getattr(pipeline, name, None)
            encoder = getattr(pipeline, name.replace("tokenizer", "text_encoder"), None)
            if tokenizer is None or encoder is None:  # SD3 without T5, for which there are zeros
                expected = length
                continue
            room = _room(pipeline, name, tokenizer)
            read = _read(pipeline, tokenizer, pieces)
            moved = tuple(Stretch(start + expected, stop + expected) for start, stop in read.pieces)
            every.append(Tokens(moved, expected, expected + room - 1, read.count))  # the last ends the text
            expected += room
    if expected != length or not every:
        raise UnsupportedModelError(
            f"Expected {type(pipeline).__name__} to encode a prompt to {expected} tokens, got {length}. What "
            "encodes prompts in another way does this: pass a pipeline of diffusers itself."
        )
    return every


def _room(pipeline: Any, name: str, tokenizer: Any) -> int:
    """How many tokens a pipeline makes of every prompt with a tokenizer: it fills up, or cuts off."""
    if name == "tokenizer":
        return int(getattr(pipeline, "tokenizer_max_length", tokenizer.model_max_length))
    return int(inspect.signature(pipeline.encode_prompt).parameters["max_sequence_length"].default)


def _read(
    pipeline: Any, tokenizer: Any, pieces: Sequence[Piece], before: str = "", behind: str = ""
) -> Tokens:
    """The tokens of a prompt between two texts, from the first on."""

    def ids(text: str, with_ends: bool = False) -> list[int]:
        if hasattr(pipeline, "maybe_convert_prompt"):  # several vectors of one textual inversion
            text = pipeline.maybe_convert_prompt(text, tokenizer)
        read: list[int] = tokenizer(text, add_special_tokens=with_ends, verbose=False).input_ids
        return read

    text = before + "".join(piece.text for piece in pieces) + behind
    whole = ids(text)
    finished = ids(text, with_ends=True)
    shift = _find(finished, whole)
    found = []
    done = before
    for piece in pieces:
        start = _shared(ids(done.rstrip()), whole)[0]
        done += piece.text
        alike, all_of_it = _shared(ids(done.rstrip()), whole)
        stop = alike if all_of_it else alike + 1  # a token may hold what stands behind the piece too
        found.append(Stretch(start + shift, max(start, stop) + shift))
    return Tokens(tuple(found), 0, len(finished), len(finished))


def _shared(ids: list[int], whole: list[int]) -> tuple[int, bool]:
    """With how many of these the whole begins, and whether with all."""
    pairs = zip(ids, whole, strict=False)
    alike = next((place for place, (one, other) in enumerate(pairs) if one != other), len(ids))
    return alike, alike == len(ids)


def _find(finished: list[int], whole: list[int]) -> int:
    """Where the text begins among its tokens with those for start and end."""
    for place in range(len(finished) - len(whole) + 1):
        if finished[place : place + len(whole)] == whole:
            return place
    raise UnsupportedModelError(
        "Expected a tokenizer that puts tokens only before and behind those of a text, got one that makes "
        "others of it. Pass a pipeline with the tokenizers of its model."
    )


def _unread(every: Sequence[Tokens], pieces: Sequence[Piece], content: Sequence[int]) -> InvalidSettingError:
    """Why no encoder reads all words: the one that has most room makes nothing of some, or is too small."""
    widest = max(every, key=lambda tokens: tokens.stop - tokens.first)
    for number in content:
        start, stop = widest.pieces[number]
        if start == stop:
            return InvalidSettingError(
                f"Expected words that the text encoder reads, got {pieces[number].text!r}, of which it makes "
                "no token. Choose another word."
            )
    lost = [pieces[number].text for number in content if not widest.has(number)]
    return TooManyWordsError(_too_many(widest, pieces, lost))


def _too_many(widest: Tokens, pieces: Sequence[Piece], lost: Sequence[str]) -> str:
    words = [number for number, piece in enumerate(pieces) if piece.line is not None]
    behind = max(stretch.stop for stretch in widest.pieces) - widest.pieces[words[-1]].stop
    fitting = sum(widest.pieces[number].stop + behind <= widest.stop for number in words)
    listed = ", ".join(map(repr, lost[:10])) + (" …" if len(lost) > 10 else "")
    room = widest.stop - widest.pieces[0].start
    return (
        f"Expected words of at most {room} tokens together, which is what the text encoder reads, got "
        f"{len(words)}, with which these do not fit: {listed}. The first {fitting} do. "
        "Look for them in several goes."
    )
