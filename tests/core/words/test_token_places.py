"""Which tokens are a word's; the hosts' tests do the same with the tokenizers of real text encoders."""

from __future__ import annotations

import re

import pytest

from diffseg_core import InvalidSettingError, UnsupportedModelError, parse_words
from diffseg_core.words.lines import prompt_of
from diffseg_core.words.token_places import (
    EncoderTokens,
    TooManyWordsError,
    piece_spans,
    places_of_words,
)

PIECES = prompt_of(parse_words("red cup, mug\nc++\n!hand"))
WORDS = [number for number, piece in enumerate(PIECES) if piece.is_content]


def tokenize(text: str) -> list[str]:
    """Words and signs that stand together, with the space before them, as Qwen's tokenizer has it."""
    return ["start", *re.findall(r" ?\w+| ?[^\w\s]+", text), "end"]


def test_a_word_has_its_own_tokens_and_the_one_that_goes_on_behind_it():
    whole = tokenize("".join(piece.text for piece in PIECES))
    head, spans = piece_spans(PIECES, tokenize)
    assert head == 1
    said = ["".join(whole[token] for token in spans[number]) for number in WORDS]
    assert said == [" red cup", " mug", " c++,", " hand", " other objects", " background"]
    assert all(not spans[number] for number in range(len(PIECES)) if number not in WORDS)


def test_pieces_that_are_read_separately_are_counted_one_after_the_other():
    def letters(text: str) -> list[str]:
        return list(text.replace(" ", ""))

    _, spans = piece_spans(PIECES, letters, separately=True)
    text = letters("".join(piece.text for piece in PIECES))
    for number in WORDS:
        assert [text[token] for token in spans[number]] == letters(PIECES[number].text)


@pytest.mark.parametrize("separately", [False, True])
def test_a_tokenizer_that_makes_other_tokens_of_the_whole_is_refused(separately):
    with pytest.raises(UnsupportedModelError, match="one after the other, got others at 'mug'"):
        piece_spans(PIECES, lambda text: [len(text), len(text) + 1], separately)


def encoder(first: int = 1, stop: int = 76, without: int | None = None) -> EncoderTokens:
    """Two tokens for each word, and none of one."""
    places = (
        (first + 2 * number, first + 2 * number + 1) if number in WORDS and number != without else ()
        for number in range(len(PIECES))
    )
    return EncoderTokens(tuple(places), first, stop)


def test_words_are_read_in_all_encoders_that_read_all_of_them():
    small, whole, deaf = encoder(stop=10), encoder(100, 200), encoder(200, 900, without=WORDS[1])
    assert places_of_words(PIECES, [small, whole]) == places_of_words(PIECES, [whole])
    assert places_of_words(PIECES, [deaf, whole]) == places_of_words(PIECES, [whole])
    both = places_of_words(PIECES, [encoder(), whole])
    assert both.lines[0][0] == (3, 4, 102, 103)
    assert both.background == (23, 24, 122, 123)


def test_where_no_encoder_reads_all_the_widest_says_why():
    with pytest.raises(InvalidSettingError, match="got 'mug', of which it makes no token"):
        places_of_words(PIECES, [encoder(stop=10), encoder(100, 200, without=WORDS[1])])
    # Of 25 tokens "hand" may end at the 17th, as 8 follow it; with 24 it may not.
    with pytest.raises(TooManyWordsError, match=r"most 23 tokens .* 4, .*: 'background'. The first 3 do"):
        places_of_words(PIECES, [encoder(stop=24), encoder(stop=10)])
    assert places_of_words(PIECES, [encoder(stop=25)]).lines[0][0] == (3, 4)
