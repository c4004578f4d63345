"""What was found, as text."""

from __future__ import annotations

from collections.abc import Sequence

from .find_words import FoundWord, FoundWords

HEADINGS = ("word", "score", "area", "place")


def words_table(found: FoundWords) -> str:
    """A line for each word: score, share of the image and where to click, or that it was not found.

    Where there are several images, each line begins with its image's number.

    Example:
        >>> import torch
        >>> from diffseg_core import Segments
        >>> from diffseg_core.objects.points import Point
        >>> cup = FoundWord("cup", True, 0.834, 0.124, Point(120, 80))
        >>> hand = FoundWord("hand", False, 0.31, 0.0, Point(4, 5))
        >>> nothing = Segments(torch.full((1, 2, 2), -1), ())
        >>> print(words_table(FoundWords(nothing, (), ((cup, hand),))))
        word  score    area  place
        cup    0.83  12.4 %  120, 80
        hand: not found, best 0.31
    """
    numbered = [(str(index), word) for index, words in enumerate(found.found) for word in words]
    several = len(found.found) > 1
    cells = [HEADINGS, *(_cells(word) for _, word in numbered if word.found)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    before = {number: f"{number:<5}  " if several else "" for number, _ in numbered}
    lines = [("image  " if several else "") + _line(HEADINGS, widths)] if len(cells) > 1 else []
    for number, word in numbered:
        lines.append(before[number] + (_line(_cells(word), widths) if word.found else not_found(word)))
    return "\n".join(lines)


def not_found(word: FoundWord) -> str:
    """The sentence for a word that was not found.

    >>> not_found(FoundWord("hand", False, 0.31, 0.0, None))
    'hand: not found, best 0.31'
    """
    return f"{word.name}: not found, best {word.score:.2f}"


def _cells(word: FoundWord) -> tuple[str, ...]:
    place = "" if word.place is None else f"{word.place.x}, {word.place.y}"
    return word.name, f"{word.score:.2f}", f"{100 * word.area:.1f} %", place


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, score, area, place = cells
    return f"{name:<{widths[0]}}  {score:>{widths[1]}}  {area:>{widths[2]}}  {place}".rstrip()
