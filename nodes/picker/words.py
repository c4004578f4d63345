"""Words among the prompts of objects: looked for in the image, and a click put where they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...diffseg_core.objects.points import Point
from ...diffseg_core.objects.prompts import Click, Prompt, Words
from ...diffseg_core.words.find_words import FoundWord, find_words_in
from ...diffseg_core.words.lines import WordLine, parse_each
from ..comfy.words import read_words
from ..inputs import model_and_clip
from ..types import CapturedSegments
from .prompts import Objects, warn

Found = dict[str, FoundWord]  # by the text of the prompt


def lines_of(objects: Iterable[Mapping[str, Sequence[Prompt]]]) -> dict[str, WordLine]:
    """The words among prompts, each text once, as lines to look for.

    Raises:
        InvalidSettingError: words that cannot be read, that are not one line to look for, or one of them in
            two lines.
    """
    prompts = (prompt for by_name in objects for named in by_name.values() for prompt in named)
    return parse_each(prompt.text for prompt in prompts if isinstance(prompt, Words))


def look_for(lines: Mapping[str, WordLine], segments: CapturedSegments, image_index: int) -> Found:
    """Look for words in one image, all at once: they compete for its places.

    Args:
        lines: see `lines_of`; of none, nothing is needed and nothing done.
        segments: with a hierarchy.
        image_index: of the image.

    Raises:
        InvalidSettingError: the capture was made without a CLIP; further what `read_words` raises.
    """
    if not lines:
        return {}
    capture = segments.capture
    distinct = tuple(dict.fromkeys(lines.values()))
    words = read_words(*model_and_clip(capture), capture, distinct)
    found_words = find_words_in(segments.segments, capture.maps, words, image_index)
    by_line = dict(zip(distinct, found_words, strict=True))
    for text, line in lines.items():
        if _place(by_line[line]) is None:
            warn(f"{text!r} was not found in image {image_index}, best score {by_line[line].score:.2f}.")
    return {text: by_line[line] for text, line in lines.items()}


def with_clicks(objects: Mapping[str, Sequence[Prompt]], words: Found) -> Objects:
    """The prompts with a click for each of the words that were found, and without the others."""
    clicked = {name: tuple(_clicks(prompts, words)) for name, prompts in objects.items()}
    return {name: prompts for name, prompts in clicked.items() if prompts}


def words_view(words: Found) -> list[dict[str, Any]]:
    """What the picker gets of each of the words, see `web/PROTOCOL.md`."""
    return [
        {
            "text": text,
            "found": _place(word) is not None,
            "score": round(word.score, 4),
            **(word.place._asdict() if word.place else {}),
        }
        for text, word in words.items()
    ]


def _place(word: FoundWord) -> Point | None:
    """Where a click stands for a word; None of one that was not found."""
    return word.place if word.found else None


def _clicks(prompts: Sequence[Prompt], words: Found) -> Iterator[Prompt]:
    for prompt in prompts:
        if not isinstance(prompt, Words):
            yield prompt
        elif (place := _place(words[prompt.text])) is not None:
            yield Click(place)
