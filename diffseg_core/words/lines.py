"""Words to look for, a line for each class, and the prompt that is made of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .. import checks
from ..attention.text import TextAttention
from ..errors import InvalidSettingError

EXAMPLE = "cup, mug\ntable\n!hand"
MOST_LINES = 200
MOST_WEIGHT = 10.0
BRACKETS_WEIGHT = 1.1
"""Of a word in brackets without a number."""
SEPARATORS = "[,，、]"
MARKS = ("!", "！")
BEFORE = "a photograph of "
OTHERS = "other objects"
BACKGROUND = "background"


class Word(NamedTuple):
    """One word or phrase.

    Attributes:
        text: without its weight.
        weight: by how much its encoding counts, as ComfyUI's ``(cup:1.3)``.
    """

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class WordLine:
    """What is looked for: a class, by one word or by several that mean the same.

    Attributes:
        synonyms: at least one.
        is_distractor: scored beside the others, and never chosen.
    """

    synonyms: tuple[Word, ...]
    is_distractor: bool = False

    @property
    def name(self) -> str:
        """What its segments are called: the first word."""
        return self.synonyms[0].text


class Piece(NamedTuple):
    """A part of the prompt that is encoded as one.

    Attributes:
        text: as it stands in the prompt.
        weight: by how much its encoding counts.
        line: the number of the line that it is a word of; None for the rest of the prompt.
        is_content: whether it names something: words, "other objects" and "background" do.
    """

    text: str
    weight: float = 1.0
    line: int | None = None
    is_content: bool = False


@dataclass(frozen=True)
class TokenPlaces:
    """Where the words lie among the tokens of the encoded prompt.

    Attributes:
        lines: for each line, for each of its synonyms: the places of its tokens.
        others: of the tokens of "other objects".
        background: of the tokens of "background".
    """

    lines: tuple[tuple[tuple[int, ...], ...], ...]
    others: tuple[int, ...] = ()
    background: tuple[int, ...] = ()

    @classmethod
    def of(cls, pieces: Sequence[Piece], places: Sequence[tuple[int, ...]]) -> TokenPlaces:
        """By the places of the tokens of each piece of a prompt."""
        both = list(zip(pieces, places, strict=True))
        count = 1 + max((piece.line for piece in pieces if piece.line is not None), default=-1)
        lines = (tuple(tokens for piece, tokens in both if piece.line == line) for line in range(count))
        further = {piece.text: tokens for piece, tokens in both if piece.is_content and piece.line is None}
        return cls(tuple(lines), further.get(OTHERS, ()), further.get(BACKGROUND, ()))


@dataclass(frozen=True, eq=False)
class WordAttention:
    """Attention to a prompt of words, and where the words lie in it.

    Attributes:
        lines: the words.
        attention: to every token of the prompt.
        places: of the words' tokens.
    """

    lines: tuple[WordLine, ...]
    attention: TextAttention
    places: TokenPlaces = field(repr=False)


def parse_words(text: str) -> tuple[WordLine, ...]:
    r"""Read words: a line for each class, commas between synonyms, ``!`` before a distractor.

    So "cup, table, sky" on one line is one class of three names, and not three classes. ``(cup:1.3)`` gives a
    word a weight, ``(cup)`` one of 1.1, as everywhere in ComfyUI; ``\(`` and ``\)`` are brackets. Empty lines
    and synonyms are left out, and a synonym that its line has already. Chinese commas and exclamation marks
    serve too, and text counts as `plain_text` has it.

    Raises:
        InvalidSettingError: no line that is looked for, a word in two lines, more than 200 lines, a bracket
            that is not closed or within another, a ``!`` that does not begin a line, or a weight that is not
            a number above 0 and up to 10; the message quotes it.

    Example:
        >>> [line.name for line in parse_words("cup, mug\ntable\n!hand")]
        ['cup', 'table', 'hand']
    """
    texts = enumerate(checks.text(text, "words").splitlines(), start=1)
    read = {str(number): _read_line(line, number) for number, line in texts}
    lines = {number: line for number, line in read.items() if line.synonyms}
    _check_together(lines, "lines ")
    if all(line.is_distractor for line in lines.values()):
        got = "only lines with !, which are never chosen" if lines else "none"
        raise InvalidSettingError(
            f"Expected words to look for, got {got}. Write one class a line, for example {EXAMPLE!r}."
        )
    return tuple(lines.values())


def parse_each(texts: Iterable[str]) -> dict[str, WordLine]:
    """Read words of which each text is a line to look for, as prompts have them.

    Returns:
        the line of each text; the same one for texts of the same words.

    Raises:
        InvalidSettingError: a text that `parse_words` refuses, or that is not one line to look for; a word
            in two texts of different words, or more than 200 of them; the message quotes it.
    """
    by_words: dict[frozenset[Word], WordLine] = {}
    first: dict[WordLine, str] = {}
    lines: dict[str, WordLine] = {}
    for text in dict.fromkeys(texts):
        line, *more = parse_words(text)
        if more:
            raise InvalidSettingError(
                "Expected the words of a prompt as one line to look for, such as 'cup, mug', got "
                f"{text!r:.60}."
            )
        same = frozenset(Word(word.text.casefold(), word.weight) for word in line.synonyms)
        lines[text] = by_words.setdefault(same, line)
        first.setdefault(lines[text], text)
    _check_together({repr(text): line for line, text in first.items()}, "")
    return lines


def _check_together(lines: Mapping[str, WordLine], noun: str) -> None:
    """Refuse lines that cannot be looked for together.

    Args:
        lines: by where they stand.
        noun: of such places, before two of them.

    Raises:
        InvalidSettingError: a word in two lines, or more than 200 lines.
    """
    place_of: dict[str, str] = {}  # by the word, in small letters, as text encoders read it
    for place, line in lines.items():
        for word in line.synonyms:
            other = place_of.setdefault(word.text.casefold(), place)
            if other != place:
                raise InvalidSettingError(
                    f"Expected every word once, got {word.text!r} in {noun}{other} and {place}. "
                    "Delete one of them."
                )
    if len(lines) > MOST_LINES:
        raise InvalidSettingError(
            f"Expected at most {MOST_LINES} lines of words, got {len(lines)}. Look for them in several goes."
        )


def _read_line(text: str, number: int) -> WordLine:
    """One line; without synonyms where there are none."""
    entries = text.strip()
    is_distractor = entries[:1] in MARKS
    synonyms: dict[str, Word] = {}
    for entry in re.split(SEPARATORS, entries[1:] if is_distractor else entries):
        if entry.strip():
            word = _read_word(entry.strip(), number)
            synonyms.setdefault(word.text.casefold(), word)
    return WordLine(tuple(synonyms.values()), is_distractor)


def _read_word(entry: str, number: int) -> Word:
    """One synonym, with its weight if it has one."""

    def refusal(expected: str, hint: str = "") -> InvalidSettingError:
        return InvalidSettingError(f"Expected {expected}, got {entry!r} in line {number}.{hint}")

    if entry[:1] in MARKS:
        raise refusal(
            "! at the beginning of a line",
            " It holds for the whole line: write the word in a line of its own.",
        )
    match = re.fullmatch(r"\(((?:[^()\\]|\\.)*)\)", entry)
    inside = entry if match is None else match[1]
    if re.search(r"[()]", re.sub(r"\\.", "", inside)):
        raise refusal(
            "brackets around a whole word, once, as in (cup:1.3)",
            r" Write \( and \) for brackets that belong to the word.",
        )
    weight = 1.0 if match is None else BRACKETS_WEIGHT
    name, colon, number_text = inside.rpartition(":")
    if match is not None and colon and name.strip().casefold() != "embedding":
        inside = name
        try:
            weight = float(number_text)
        except ValueError:
            weight = math.nan
        if not 0 < weight <= MOST_WEIGHT:
            raise refusal(f"a weight above 0 and up to {MOST_WEIGHT:g}, as in (cup:1.3)")
    word = " ".join(re.sub(r"\\([()\\])", r"\1", inside).split())
    if not word:
        raise refusal("a word in the brackets")
    return Word(word, weight)


def prompt_of(lines: Sequence[WordLine]) -> tuple[Piece, ...]:
    """The prompt "a photograph of cup, mug, table, hand, other objects, background", in its pieces.

    The words compete for the attention of each place: "other objects" and "background" are there so that what
    is none of the words has somewhere to go (iSeg, GoCA). Either is left out where it is one of the words.
    Commas and spaces are pieces between, so that a word's piece is the word and all together are the prompt.
    """
    words = [
        Piece(word.text, word.weight, place, True)
        for place, line in enumerate(lines)
        for word in line.synonyms
    ]
    texts = {piece.text.casefold() for piece in words}
    fillers = [Piece(text, is_content=True) for text in (OTHERS, BACKGROUND) if text not in texts]
    pieces: list[Piece] = []
    for content in [*words, *fillers]:
        pieces += [Piece(", " if pieces else BEFORE), content]
    return tuple(pieces)
