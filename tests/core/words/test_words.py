"""Words as a person types them, and the prompt that they make."""

from __future__ import annotations

import pytest

from diffseg_core import InvalidSettingError
from diffseg_core.words.lines import (
    MOST_LINES,
    Piece,
    TokenPlaces,
    Word,
    WordLine,
    parse_each,
    parse_words,
    prompt_of,
)


def line(*synonyms: str | tuple[str, float], distractor: bool = False) -> WordLine:
    words = (Word(each) if isinstance(each, str) else Word(*each) for each in synonyms)
    return WordLine(tuple(words), distractor)


READ = [
    ("cup", [line("cup")]),
    ("cup, mug\ntable\n!hand", [line("cup", "mug"), line("table"), line("hand", distractor=True)]),
    ("cup, table, sky", [line("cup", "table", "sky")]),
    ("cup\r\ntable\n", [line("cup"), line("table")]),
    ("  coffee \t cup  ,,\n\n , \n!\n! hand", [line("coffee cup"), line("hand", distractor=True)]),
    ("cup, Cup, mug, (cup:2)", [line("cup", "mug")]),
    ("(cup:1.3), (mug), ( big  cup : .5 )", [line(("cup", 1.3), ("mug", 1.1), ("big cup", 0.5))]),
    ("!(hand:2)\ncup", [line(("hand", 2.0), distractor=True), line("cup")]),
    (r"cup \(red\), (mug \(blue\):1.2)", [line("cup (red)", ("mug (blue)", 1.2))]),
    ("embedding:style", [line("embedding:style")]),
    (
        "(embedding:style), (embedding:other:0.4)",
        [line(("embedding:style", 1.1), ("embedding:other", 0.4))],
    ),
    ("ratio 3:4", [line("ratio 3:4")]),
    ("杯子，茶杯\n！手", [line("杯子", "茶杯"), line("手", distractor=True)]),
]


def test_text_is_read_as_lines_of_words():
    for text, lines in READ:
        assert parse_words(text) == tuple(lines), text


def test_a_line_goes_by_its_first_word():
    assert [each.name for each in parse_words("(cup:1.3), mug\ntable")] == ["cup", "table"]


REFUSED = [
    ("", "Expected words to look for, got none. Write one class a line, for example 'cup, mug"),
    (" ,\n!", "Expected words to look for, got none"),
    ("!hand\n!cup", "got only lines with !, which are never chosen"),
    ("cup\ntable\nCup", "Expected every word once, got 'Cup' in lines 1 and 3. Delete one"),
    ("cup\n\ntable, cup", "got 'cup' in lines 1 and 3"),
    ("cup\n!cup", "got 'cup' in lines 1 and 2"),
    ("(cup", r"got '\(cup' in line 1"),
    ("sky\ncup)", r"got 'cup\)' in line 2"),
    ("((cup))", r"whole word, once, as in \(cup:1.3\), got '\(\(cup\)\)'"),
    ("(red) cup", r"got '\(red\) cup'"),
    ("(cup, mug:1.2)", r"got '\(cup'"),
    ("()", r"Expected a word in the brackets, got '\(\)' in line 1"),
    ("(:1.2)", r"Expected a word in the brackets, got '\(:1.2\)'"),
    (
        "(cup:much)",
        r"Expected a weight above 0 and up to 10, as in \(cup:1.3\), got '\(cup:much\)' in line 1",
    ),
    ("(cup:)", r"got '\(cup:\)'"),
    ("(cup:0)", r"got '\(cup:0\)'"),
    ("(cup:-1)", r"got '\(cup:-1\)'"),
    ("(cup:10.1)", r"got '\(cup:10.1\)'"),
    ("(cup:nan)", r"got '\(cup:nan\)'"),
    ("cup, !hand", "Expected ! at the beginning of a line, got '!hand' in line 1"),
]


def test_text_that_cannot_be_read_is_quoted():
    for text, message in REFUSED:
        with pytest.raises(InvalidSettingError, match=message):
            parse_words(text)


def test_too_many_lines_are_refused():
    most = [f"word {number}" for number in range(MOST_LINES)]
    assert len(parse_words("\n".join(most))) == MOST_LINES
    with pytest.raises(InvalidSettingError, match="Expected at most 200 lines of words, got 201"):
        parse_words("\n".join([*most, "another"]))


def test_the_prompt_names_all_words_and_where_the_rest_may_go():
    pieces = prompt_of(parse_words("(cup:1.3), mug\ntable\n!hand"))
    whole = "a photograph of cup, mug, table, hand, other objects, background"
    assert "".join(piece.text for piece in pieces) == whole
    assert [piece for piece in pieces if piece.is_content] == [
        Piece("cup", 1.3, 0, True),
        Piece("mug", 1.0, 0, True),
        Piece("table", 1.0, 1, True),
        Piece("hand", 1.0, 2, True),
        Piece("other objects", 1.0, None, True),
        Piece("background", 1.0, None, True),
    ]
    between = [piece for piece in pieces if not piece.is_content]
    assert {(piece.weight, piece.line) for piece in between} == {(1.0, None)}
    places = TokenPlaces.of(pieces, [(number,) for number in range(len(pieces))])
    cup, mug, table, hand, others, background = (
        (number,) for number, piece in enumerate(pieces) if piece.is_content
    )
    assert places == TokenPlaces(((cup, mug), (table,), (hand,)), others, background)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("cup\nBackground", "a photograph of cup, Background, other objects"),
        ("other objects\n!background", "a photograph of other objects, background"),
    ],
)
def test_the_background_is_named_once_where_it_is_looked_for(text, prompt):
    assert "".join(piece.text for piece in prompt_of(parse_words(text))) == prompt


def test_texts_of_the_same_words_are_one_line_to_look_for():
    lines = parse_each(["sky", "Sky", " cup,mug", "Mug, cup", "sky", "\ufeffsky"])
    assert list(lines) == ["sky", "Sky", " cup,mug", "Mug, cup", "\ufeffsky"]
    assert {id(line) for line in lines.values()} == {id(lines["sky"]), id(lines["Mug, cup"])}
    assert lines["sky"] == line("sky")
    assert lines["Mug, cup"] == line("cup", "mug")


def test_a_word_in_two_texts_is_refused_with_both_quoted():
    for texts in (["cup", "Cup, mug"], ["sky", "cup, mug", "table,CUP"], ["cup", "(cup:1.2)"]):
        *_, last = texts
        with pytest.raises(InvalidSettingError, match="Expected every word once") as error:
            parse_each(texts)
        assert repr(last) in str(error.value)
        assert repr(texts[-2]) in str(error.value)
    for text in ("cup\ntable", "!hand", "", "(cup"):
        with pytest.raises(InvalidSettingError, match="Expected"):
            parse_each(["sky", text])
    with pytest.raises(InvalidSettingError, match="at most 200 lines"):
        parse_each([f"word {number}" for number in range(201)])
