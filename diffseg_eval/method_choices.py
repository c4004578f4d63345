"""The methods that can be measured: their names, their numbers, and how one asks for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from diffseg_core.diffcut.normalised_cut import LIMIT
from diffseg_core.errors import InvalidSettingError
from diffseg_core.settings import CUT_THRESHOLD

from .attention_methods import DEFAULT_CLUSTERS
from .human_agreement import HUMAN

Group = Literal["attention", "words", "pixels", "human"]


@dataclass(frozen=True)
class MethodSpec:
    """What there is to choose from.

    Attributes:
        name: as one asks for it.
        group: what the method looks at: what the model gives, that with the classes' names, the pixels alone,
            or other people's truth.
        number: what the number after the name says; None for a method without one.
        default: the numbers that are taken where none is given.
        minimum: the smallest number allowed.
        maximum: the largest; None where whole numbers go on. With it numbers may be decimal ones.
    """

    name: str
    group: Group
    number: str | None = None
    default: tuple[float, ...] = ()
    minimum: float = 1
    maximum: float | None = None


DIFFSEG, DIFFSEG_REFINED = "diffseg", "diffseg-refined"
HIERARCHIES = ("hierarchy", "hierarchy-refined", "features-hierarchy", "both-hierarchy")
CUT, DIFFCUT = "cut", "diffcut"
WORDS, WORDS_ALL = "words", "words-all"
AUTOMATIC = 0  # of a number of segments
LEAST_THRESHOLD = 0.01  # at 0 nothing is cut
METHODS = (
    MethodSpec(DIFFSEG, "attention"),
    MethodSpec(DIFFSEG_REFINED, "attention"),
    *(MethodSpec(name, "attention", "segments", (AUTOMATIC,), minimum=AUTOMATIC) for name in HIERARCHIES),
    MethodSpec(CUT, "attention", "threshold", (CUT_THRESHOLD.default,), LEAST_THRESHOLD, LIMIT),
    MethodSpec(DIFFCUT, "attention", "threshold", (CUT_THRESHOLD.default,), LEAST_THRESHOLD, LIMIT),
    MethodSpec(WORDS, "words"),
    MethodSpec(WORDS_ALL, "words"),
    MethodSpec("colour-hierarchy", "pixels", "segments", (AUTOMATIC,), minimum=AUTOMATIC),
    MethodSpec("kmeans", "attention", "clusters", (DEFAULT_CLUSTERS,)),
    MethodSpec("kmeans-oracle", "attention"),
    MethodSpec("colour-kmeans", "attention", "clusters", (DEFAULT_CLUSTERS,)),
    MethodSpec("colour-kmeans-oracle", "attention"),
    MethodSpec("one-segment", "pixels"),
    MethodSpec("grid", "pixels", "rectangles on a side", (2, 3, 4)),
    MethodSpec("slic", "pixels", "segments", (4, 8, 16, 32), minimum=2),
    MethodSpec("felzenszwalb", "pixels", "scale", (200, 400, 800, 1600)),
    MethodSpec(HUMAN, HUMAN),
)
BY_NAME = {kind.name: kind for kind in METHODS}
DEFAULT = "diffseg,kmeans,colour-kmeans,one-segment,grid:3,slic,felzenszwalb"
ALL = "all"
WHOLE, DECIMAL = re.compile(r"[0-9]+"), re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")


@dataclass(frozen=True)
class MethodChoice:
    """A method with its numbers.

    Attributes:
        kind: the name in `METHODS`.
        numbers: in the order given; none for a method without. Whole ones are of type int.
    """

    kind: str
    numbers: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Of its rows: "slic:8" with one number; "slic" with several, or where it finds the number itself."""
        alone = len(self.numbers) == 1 and any(self.numbers)
        return f"{self.kind}:{_text(self.numbers[0])}" if alone else self.kind

    @property
    def settings(self) -> tuple[str, ...]:
        """What its settings are called: the numbers, or "" where there is only one."""
        return tuple(map(_text, self.numbers)) if len(self.numbers) > 1 else ("",)

    @property
    def text(self) -> str:
        """As one asks for it, with all numbers."""
        return f"{self.kind}:{','.join(map(_text, self.numbers))}" if any(self.numbers) else self.kind

    @property
    def is_diffseg(self) -> bool:
        """Whether DiffSeg's settings are its own."""
        return self.kind in (DIFFSEG, DIFFSEG_REFINED)

    @property
    def cuts_a_tree(self) -> bool:
        """Whether it is a hierarchy of the model's, whose settings are those of DiffSeg Hierarchy."""
        return self.kind in HIERARCHIES

    @property
    def looks_at_image(self) -> bool:
        """Whether it segments images; people did it before."""
        return BY_NAME[self.kind].group != HUMAN

    @property
    def needs_model(self) -> bool:
        """Whether it needs a capture."""
        return BY_NAME[self.kind].group in ("attention", "words")

    @property
    def is_by_words(self) -> bool:
        """Whether it names the classes, so that its labels are theirs."""
        return BY_NAME[self.kind].group == "words"


def parse_methods(text: str, annotators: bool = True) -> tuple[MethodChoice, ...]:
    """Read a list of methods such as ``diffseg,slic:8,16,one-segment``.

    A number belongs to the method before it; several make a sweep. ``slic`` alone takes its default numbers,
    "all" every method that the dataset allows, but those by words, which not every model can.

    Args:
        text: the list.
        annotators: whether several people segmented each image of the dataset.

    Raises:
        InvalidSettingError: an unknown method, or one that is named twice; a number that it does not take;
            people's agreement where there is one person alone.

    >>> [choice.name for choice in parse_methods("slic:8,16,grid:3,diffcut:0.70")]
    ['slic', 'grid:3', 'diffcut:0.7']
    """
    pieces = [piece.strip() for piece in text.split(",")]
    if pieces == [ALL]:
        return tuple(
            MethodChoice(kind.name, kind.default)
            for kind in METHODS
            if kind.group != "words" and (annotators or kind.group != HUMAN)
        )
    chosen: dict[str, list[float]] = {}
    last = None
    for piece in pieces:
        if DECIMAL.fullmatch(piece) and last is not None and chosen[last]:
            chosen[last].append(_checked_number(BY_NAME[last], piece))
            continue
        last, colon, number = piece.partition(":")
        kind = _kind(last)
        if kind.group == HUMAN and not annotators:
            raise InvalidSettingError(
                f"Expected a dataset whose images several people segmented for the method {HUMAN}, "
                "got one with one truth. Leave the method out."
            )
        if last in chosen:
            raise InvalidSettingError(
                f"Expected every method once, got {last} twice. Write several numbers as {last}:8,16."
            )
        chosen[last] = [_checked_number(kind, number)] if colon else []
    return tuple(
        MethodChoice(name, tuple(dict.fromkeys(numbers)) or BY_NAME[name].default)
        for name, numbers in chosen.items()
    )


def _kind(name: str) -> MethodSpec:
    if name not in BY_NAME:
        raise InvalidSettingError(
            f"Expected methods among {', '.join(BY_NAME)}, or {ALL}, got {name!r}. A number follows a colon, "
            "as in slic:8."
        )
    return BY_NAME[name]


def _checked_number(kind: MethodSpec, text: str) -> float:
    if kind.number is None:
        raise InvalidSettingError(f"Expected no number for the method {kind.name}, got {text!r}.")
    if kind.maximum is not None:
        if not DECIMAL.fullmatch(text) or not kind.minimum <= float(text) <= kind.maximum:
            raise InvalidSettingError(
                f"Expected a number from {kind.minimum:g} to {kind.maximum:g} ({kind.number}) for "
                f"{kind.name}, got {text!r}."
            )
        return float(text)
    if not WHOLE.fullmatch(text) or int(text) < kind.minimum:
        raise InvalidSettingError(
            f"Expected a whole number from {kind.minimum} ({kind.number}) for {kind.name}, got {text!r}."
        )
    return int(text)


def _text(number: float) -> str:
    """As one writes it: ``repr`` is exact, so that two thresholds never have one name.

    >>> _text(8), _text(0.70)
    ('8', '0.7')
    """
    return repr(number)
