"""What was found, as text."""

from __future__ import annotations

import torch

from diffseg_core import Segments
from diffseg_core.objects.points import Point
from diffseg_core.words.find_words import FoundWord, FoundWords
from diffseg_core.words.table import words_table

CUP = FoundWord("cup", True, 0.834, 0.1239, Point(120, 80))
TABLE = FoundWord("long dining table", True, 1.0, 0.4, Point(3, 200))
HAND = FoundWord("hand", False, 0.312, 0.0, Point(4, 5))
NOWHERE = FoundWord("sky", False, 0.0, 0.0, None)


def table(*images: tuple[FoundWord, ...]) -> str:
    nothing = torch.full((len(images), 2, 2), -1, dtype=torch.int32)
    return words_table(FoundWords(Segments(nothing, ()), (), images))


def test_each_word_has_a_line_in_its_order():
    assert table((TABLE, HAND, CUP, NOWHERE)).splitlines() == [
        "word               score    area  place",
        "long dining table   1.00  40.0 %  3, 200",
        "hand: not found, best 0.31",
        "cup                 0.83  12.4 %  120, 80",
        "sky: not found, best 0.00",
    ]


def test_several_images_are_numbered():
    assert table((CUP, HAND), (HAND, CUP)).splitlines() == [
        "image  word  score    area  place",
        "0      cup    0.83  12.4 %  120, 80",
        "0      hand: not found, best 0.31",
        "1      hand: not found, best 0.31",
        "1      cup    0.83  12.4 %  120, 80",
    ]


def test_nothing_found_needs_no_headings():
    assert table((HAND,)) == "hand: not found, best 0.31"
    assert table((HAND,), (NOWHERE,)).splitlines() == [
        "0      hand: not found, best 0.31",
        "1      sky: not found, best 0.00",
    ]
