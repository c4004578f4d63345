"""Where the words of a prompt lie among the tokens that text encoders make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any

import torch

from ..errors import InvalidSettingError, UnsupportedModelError
from .lines import Piece, TokenPlaces


class TooManyWordsError(InvalidSettingError):
    """More words than a text encoder reads at once."""


@dataclass(frozen=True)
class EncoderTokens:
    """The words of a prompt among its encoded tokens, by one text encoder or several that share tokens.

    Attributes:
        pieces: for each piece of the prompt the places of its tokens, ascending, as if there were no end;
            none of the pieces between words.
        first: where the text begins.
        stop: behind the last token that a word may have.
    """

    pieces: tuple[tuple[int, ...], ...]
    first: int
    stop: int

    def reads(self, number: int) -> bool:
        """Whether a piece has tokens, and all of them are among those that are encoded."""
        return bool(self.pieces[number]) and self.pieces[number][-1] < self.stop


def piece_spans(
    pieces: Sequence[Piece], tokenize: Callable[[str], Sequence[Any]], separately: bool = False
) -> tuple[int, list[range]]:
    """Which tokens of a prompt are each piece's, found by the tokens of the prompt up to it and through it.

    A token that holds the end of a word and what follows it is the word's.

    Args:
        pieces: whose texts together are the prompt.
        tokenize: from a text to its tokens (numbers, or the vectors of an embedding), with those of the
            empty text, which stand before and behind every other (a template, start and end).
        separately: whether the tokens of a prompt are those of its pieces, one after the other: then no piece
            is tokenized twice.

    Returns:
        the number of tokens before every text; and for each piece the numbers of its tokens, these counted;
        none for those that are no words.

    Raises:
        UnsupportedModelError: a tokenizer that makes other tokens of a text than of its beginning.
    """
    empty, with_ends = tokenize(""), tokenize("".join(piece.text for piece in pieces))
    head = _alike(empty, with_ends)
    tail = _alike(empty[head:][::-1], with_ends[::-1])

    def inside(tokens: Sequence[Any]) -> Sequence[Any]:
        return tokens[head : len(tokens) - tail]

    whole = inside(with_ends)
    alone = [inside(tokenize(piece.text)) for piece in pieces] if separately else []

    def of_the_first(count: int) -> Sequence[Any]:
        if separately:
            return list(chain(*alone[:count]))
        return inside(tokenize("".join(piece.text for piece in pieces[:count]).rstrip()))

    spans: list[range] = []
    last_stop = 0
    for number, piece in enumerate(pieces):
        if not piece.is_content:
            spans.append(range(0))
            continue
        start = _alike(of_the_first(number), whole)
        tokens = of_the_first(number + 1)
        stop = _alike(tokens, whole)
        stop = max(start, stop if stop == len(tokens) else stop + 1)
        if start < last_stop or stop > len(whole):
            raise UnsupportedModelError(
                "Expected the tokens of a prompt to be those of its words, one after the other, got others "
                f"at {piece.text!r}. Use the text encoder and tokenizer that belong to the model."
            )
        spans.append(range(head + start, head + stop))
        last_stop = stop
    return head, spans


def _alike(first: Sequence[Any], second: Sequence[Any]) -> int:
    """With how many equal tokens two lists begin; vectors are compared by their numbers."""

    def same(pair: tuple[Any, Any]) -> bool:
        one, other = pair
        if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
            return torch.equal(one, other)
        return type(one) is type(other) and bool(one == other)

    return sum(1 for _ in takewhile(same, zip(first, second, strict=False)))


def places_of_words(pieces: Sequence[Piece], encoders: Sequence[EncoderTokens]) -> TokenPlaces:
    """Where the words lie: in the tokens of every text encoder that reads all of them.

    Tokens of different encoders draw attention differently. So a word is never compared in the tokens of two
    with another in those of one: an encoder that has no room for all words, or makes nothing of one, is left
    out.

    Args:
        pieces: of the prompt.
        encoders: at least one.

    Raises:
        TooManyWordsError: words that do not fit.
        InvalidSettingError: a word that has no tokens.
    """
    words = [number for number, piece in enumerate(pieces) if piece.is_content]
    reading = [tokens for tokens in encoders if all(tokens.reads(number) for number in words)]
    if reading:
        places = zip(*(tokens.pieces for tokens in reading), strict=True)
        return TokenPlaces.of(pieces, [tuple(chain(*of_piece)) for of_piece in places])
    widest = max(encoders, key=lambda tokens: tokens.stop - tokens.first)
    for number in words:
        if not widest.pieces[number]:
            raise InvalidSettingError(
                f"Expected words that the model's text encoder reads, got {pieces[number].text!r}, of which "
                "it makes no token. Choose another word."
            )
    raise TooManyWordsError(_too_many(widest, pieces, words))


def _too_many(widest: EncoderTokens, pieces: Sequence[Piece], words: Sequence[int]) -> str:
    ends = {number: widest.pieces[number][-1] + 1 for number in words}
    lost = [repr(pieces[number].text) for number in words if ends[number] > widest.stop]
    asked = [number for number in words if pieces[number].line is not None]
    behind = max(ends.values()) - ends[asked[-1]]
    return (
        f"Expected words of at most {widest.stop - widest.first} tokens together, which is what the text "
        f"encoder reads, got {len(asked)}, with which these do not fit: {', '.join(lost[:10])}"
        f"{' …' if len(lost) > 10 else ''}. The first "
        f"{sum(ends[number] + behind <= widest.stop for number in asked)} do. Look for them in several goes."
    )
