"""Where the words of a prompt lie among the tokens that ComfyUI's text encoders make of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any

import torch

from ...diffseg_core import InvalidSettingError, UnsupportedModelError
from ...diffseg_core.words.lines import Piece, TokenPlaces

Encoders = Sequence[Sequence[str]]
"""Text encoders, as tokenizers name them: those that share tokens together, these in the tokens' order."""
NO_WORD = 0  # of a token that is none of a word's: start, end, padding
OWN_CLIP = "Connect the CLIP that belongs to the model, as ComfyUI loads it."
BLANK = " \n▁Ġ"  # how tokenizers write spaces


@dataclass(frozen=True)
class EncoderTokens:
    """A prompt as one encoder has it.

    Attributes:
        length: number of its tokens, all chunks together.
        pieces: for each piece of the prompt the places of its tokens, without those that say nothing.
        head: number of tokens of a template before the prompt, which may be cut off what is encoded.
    """

    length: int
    pieces: tuple[tuple[int, ...], ...]
    head: int = 0


@dataclass(frozen=True)
class PromptTokens:
    """A prompt, tokenized.

    Attributes:
        pieces: of the prompt.
        given: as ``clip.tokenize`` gives them, to be encoded.
        encoders: what each of the CLIP's encoders makes of it, by name.
        clip: name of its class, for messages.
    """

    pieces: tuple[Piece, ...]
    given: dict[str, Any]
    encoders: dict[str, EncoderTokens]
    clip: str

    def places(self, encoders: Encoders, encoded: int) -> TokenPlaces:
        """Where the words lie in what was encoded.

        Encoders whose tokens stand apart (SD3's CLIP and T5) count only if they know every word: what draws
        the attention of two would not compare with what draws that of one.

        Args:
            encoders: of which the model's text is made; those that are not loaded are left out.
            encoded: number of tokens of the conditioning.

        Raises:
            UnsupportedModelError: another number of tokens was encoded than these have.
            InvalidSettingError: a word without a token that says something.
        """
        groups: list[list[tuple[int, ...]]] = []
        start = head = 0
        for together in encoders:
            loaded = [self.encoders[name] for name in together if name in self.encoders]
            if not loaded:
                continue
            length = min(each.length for each in loaded)  # ComfyUI cuts the longer ones off
            head = max(each.head for each in loaded)
            groups.append(
                [
                    tuple(sorted({start + place for place in chain(*own) if place < length}))
                    for own in zip(*(each.pieces for each in loaded), strict=True)
                ]
            )
            start += length
        cut = start - encoded
        if not start or cut not in (0, head):
            raise UnsupportedModelError(
                f"Expected {start} tokens of text from the text encoder, as its tokenizer counts, got "
                f"{encoded} from {self.clip}. {OWN_CLIP}"
            )
        knowing = [group for group in groups if self._knows_all(group)]
        found = [tuple(chain(*own)) for own in zip(*(knowing or groups), strict=True)]
        for piece, places in zip(self.pieces, found, strict=True):
            if piece.is_content and not places:
                raise InvalidSettingError(
                    f"Expected words that the model's text encoder knows, got “{piece.text}”, of which it "
                    "knows nothing. Say it in other words."
                )
        return TokenPlaces.of(self.pieces, [tuple(place - cut for place in places) for places in found])

    def _knows_all(self, places: Sequence[tuple[int, ...]]) -> bool:
        return all(own or not piece.is_content for piece, own in zip(self.pieces, places, strict=True))


def tokenized(clip: Any, pieces: Sequence[Piece]) -> PromptTokens:
    r"""Tokenize a prompt, and find its pieces again.

    Each word is a weighted segment of its own, as ``(cup:1)``, with brackets as ``\(``: ComfyUI's tokenizers
    then make the same tokens of it wherever it stands. Some read no weights, such as Qwen-Image's, and are
    given the plain text.

    Args:
        clip: a CLIP.
        pieces: of the prompt.

    Raises:
        UnsupportedModelError: the tokens are not those of the pieces, one after the other.
    """
    weighted = _reads_weights(clip)
    text = "".join(_written(piece) if weighted else piece.text for piece in pieces)
    loaded = {}
    for name, chunks in clip.tokenize(text, return_word_ids=True).items():
        encoder = _part(clip.cond_stage_model, name)
        if encoder is not None:
            find = _weighted_places if weighted else _plain_places
            loaded[name] = find(clip, name, pieces, _as_encoded(chunks, encoder))
    return PromptTokens(
        tuple(pieces), clip.tokenize(text), loaded, type(clip.cond_stage_model).__name__.strip("_")
    )


def _reads_weights(clip: Any) -> bool:
    """Whether brackets are weights to the tokenizer, and not text."""
    plain, weighted = (clip.tokenize(text, return_word_ids=True) for text in ("cup", "(cup:1)"))
    return all(_same(_ids(plain[name]), _ids(weighted[name])) for name in plain)


def _written(piece: Piece) -> str:
    escaped = piece.text.replace("(", r"\(").replace(")", r"\)")
    return f"({escaped}:{piece.weight})" if piece.is_content else escaped


def _part(whole: Any, name: str) -> Any:
    """One of several encoders or tokenizers; None where it is not loaded."""
    part = getattr(whole, f"clip_{name}", None)
    return getattr(whole, name, None) if part is None else part


def _as_encoded(chunks: Sequence[Any], encoder: Any) -> list[tuple[Any, int]]:
    """Tokens and the numbers of their words, as the encoder lays them out, all chunks in a row.

    Vectors of an embedding made for another encoder are left out there, and padding fills the end.
    """
    width = encoder.transformer.get_input_embeddings().weight.shape[-1]
    laid: list[tuple[Any, int]] = []
    for chunk in chunks:
        fitting = [
            (token, word)
            for token, _, word in chunk
            if not isinstance(token, torch.Tensor) or token.shape[-1] == width
        ]
        laid += fitting + [(None, NO_WORD)] * (len(chunk) - len(fitting))
    return laid


def _weighted_places(
    clip: Any, name: str, pieces: Sequence[Piece], whole: list[tuple[Any, int]]
) -> EncoderTokens:
    """The tokens of each piece alone, one after the other, in those of the whole prompt."""
    encoder, says = _part(clip.cond_stage_model, name), _Speech(clip, name)
    content = [(place, token) for place, (token, word) in enumerate(whole) if word != NO_WORD]
    found = []
    done = 0
    for piece in pieces:
        alone = clip.tokenize(_written(piece), return_word_ids=True)[name]
        own = [token for token, word in _as_encoded(alone, encoder) if word != NO_WORD]
        here = content[done : done + len(own)]
        if not _same(own, [token for _, token in here]):
            _refuse(clip, piece)
        found.append(tuple(place for place, token in here if says(token)))
        done += len(own)
    if done != len(content):
        _refuse(clip, pieces[-1])
    return EncoderTokens(len(whole), tuple(found))


def _plain_places(
    clip: Any, name: str, pieces: Sequence[Piece], whole: list[tuple[Any, int]]
) -> EncoderTokens:
    """By the tokens of the text up to each piece and through it, within the template.

    A token that holds the end of a word and what follows it is the word's.
    """
    says = _Speech(clip, name)
    tokens = [token for token, _ in whole]
    empty = _ids(clip.tokenize("", return_word_ids=True)[name])
    head = _common(empty, tokens)
    tail = _common(empty[head:][::-1], tokens[::-1])

    def until(text: str) -> tuple[int, bool]:
        """How many tokens of the whole the text gives, and whether these are all of its own."""
        own = _ids(clip.tokenize(text, return_word_ids=True)[name])
        own = own[head : len(own) - tail]
        common = _common(own, tokens[head:])
        return head + common, common == len(own)

    found = []
    text = ""
    for piece in pieces:
        begin, _ = until(text.rstrip())
        text += piece.text
        end, whole_tokens = until(text) if piece.is_content else (begin, True)
        end += not whole_tokens
        if end > len(tokens) - tail:
            _refuse(clip, piece)
        found.append(tuple(place for place in range(begin, end) if says(tokens[place])))
    return EncoderTokens(len(tokens), tuple(found), head)


def _ids(chunks: Sequence[Any]) -> list[Any]:
    return [token for chunk in chunks for token, *_ in chunk]


def _same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return len(first) == len(second) == _common(first, second)


def _common(first: Iterable[Any], second: Iterable[Any]) -> int:
    """How many of the first tokens of two lists are the same; vectors are by their numbers."""

    def same(pair: tuple[Any, Any]) -> bool:
        a, b = pair
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
            return torch.equal(a, b)
        return type(a) is type(b) and bool(a == b)

    return sum(1 for _ in takewhile(same, zip(first, second, strict=False)))


def _refuse(clip: Any, piece: Piece) -> None:
    raise UnsupportedModelError(
        "Expected the tokens of a prompt to be those of its words, one after the other, got others at "
        f"“{piece.text}” from {type(clip.tokenizer).__name__}. {OWN_CLIP}"
    )


class _Speech:
    """Whether a token says something: not a space, and nothing that the tokenizer does not know."""

    def __init__(self, clip: Any, name: str) -> None:
        tokenizer = _part(clip.tokenizer, name)
        self._texts = getattr(tokenizer, "inv_vocab", {})
        self._unknown = getattr(getattr(tokenizer, "tokenizer", None), "unk_token_id", None)

    def __call__(self, token: Any) -> bool:
        if isinstance(token, torch.Tensor):
            return True
        text = self._texts.get(token, "?")
        return token != self._unknown and bool(str(text).strip(BLANK))
