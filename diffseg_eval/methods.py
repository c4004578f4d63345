"""The methods that can be measured: a row of `METHODS` for each, and how one asks for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import inf
from typing import Literal

from diffseg_core.benchmark.measures import Labels
from diffseg_core.diffcut.normalised_cut import LIMIT
from diffseg_core.errors import InvalidSettingError
from diffseg_core.settings import CUT_THRESHOLD

from . import segmentations as segments
from .grab_cut import by_attention_and_grab_cut, by_grab_cut
from .segmentations import Context
from .types import AnnotatedImage, Finder, Measure
from .word_methods import by_words, class_lines

Method = Callable[[Context, AnnotatedImage, float], Labels | Finder]
"""From an image and the method's number to segments, or to what finds the object. The annotations are for
methods that are given something of the truth."""
Needs = Literal["pixels", "model", "words"]
"""What it needs beside the image: nothing, a model, or one that reads words."""
Task = Literal["segments", "clicks", "boxes"]
"""What a dataset asks for: segments, or an object by prompts."""


@dataclass(frozen=True)
class MethodSpec:
    """What there is to choose from.

    Attributes:
        name: as one asks for it.
        needs: a model or none.
        make: the method.
        number: what the number after the name says; "" for a method without one.
        default: the numbers that are taken where none is given.
        minimum: the smallest number allowed.
        maximum: the largest; None where whole numbers go on. With it numbers may be decimal ones.
        tasks: of the datasets that it is for.
        needs_opencv: whether it runs OpenCV, which nothing else does.
    """

    name: str
    needs: Needs
    make: Method
    number: str = ""
    default: tuple[float, ...] = ()
    minimum: float = 1
    maximum: float | None = None
    tasks: frozenset[Task] = frozenset({"segments"})
    needs_opencv: bool = False


def _tree(name: str, make: Method, needs: Needs = "model") -> MethodSpec:
    """One that chooses the number of segments itself where none is given."""
    return MethodSpec(name, needs, make, "segments", (AUTOMATIC,), AUTOMATIC)


def _cut(name: str, make: Method) -> MethodSpec:
    least = 0.01  # at 0 nothing is cut
    return MethodSpec(name, "model", make, "threshold", (CUT_THRESHOLD.default,), least, LIMIT)


def _prompts(
    name: str, needs: Needs, make: Callable[[Context, AnnotatedImage], Finder], *tasks: Task
) -> MethodSpec:
    return MethodSpec(name, needs, lambda run, image, _: make(run, image), tasks=frozenset(tasks))


AUTOMATIC = 0  # of a number of segments
METHODS = (
    MethodSpec("diffseg", "model", lambda run, image, _: segments.merged(run, image)),
    MethodSpec("diffseg-refined", "model", lambda run, image, _: segments.merged(run, image, refine=True)),
    _tree("hierarchy", lambda run, image, number: segments.nested(run, image, number)),
    _tree("hierarchy-refined", lambda run, image, number: segments.nested(run, image, number, refine=True)),
    _tree("features-hierarchy", lambda run, image, number: segments.nested(run, image, number, "features")),
    _tree("both-hierarchy", lambda run, image, number: segments.nested(run, image, number, "both")),
    _cut("cut", lambda run, image, number: segments.cut(run, image, number, "image edges")),
    _cut("diffcut", lambda run, image, number: segments.cut(run, image, number, "features")),
    MethodSpec("words", "words", lambda run, image, _: by_words(run, image, class_lines(run.dataset), True)),
    MethodSpec(
        "words-all", "words", lambda run, image, _: by_words(run, image, class_lines(run.dataset), False)
    ),
    _tree("colour-hierarchy", segments.colour_hierarchy, "pixels"),
    MethodSpec("kmeans", "model", segments.attention_kmeans, "clusters", (segments.DEFAULT_CLUSTERS,)),
    MethodSpec("kmeans-oracle", "model", segments.attention_kmeans),
    MethodSpec("colour-kmeans", "model", segments.colour_kmeans, "clusters", (segments.DEFAULT_CLUSTERS,)),
    MethodSpec("colour-kmeans-oracle", "model", segments.colour_kmeans),
    MethodSpec("one-segment", "pixels", lambda run, image, _: segments.regular_grid(run, image, 1)),
    MethodSpec("grid", "pixels", segments.regular_grid, "rectangles on a side", (2, 3, 4)),
    MethodSpec("slic", "pixels", segments.slic_superpixels, "segments", (4, 8, 16, 32), 2),
    MethodSpec("felzenszwalb", "pixels", segments.felzenszwalb_regions, "scale", (200, 400, 800, 1600)),
    _prompts("object", "model", segments.by_attention, "clicks", "boxes"),
    _prompts("colour-object", "pixels", segments.by_colours, "clicks", "boxes"),
    _prompts("box", "pixels", segments.the_box_itself, "boxes"),
    replace(_prompts("grabcut", "pixels", by_grab_cut, "clicks", "boxes"), needs_opencv=True),
    replace(
        _prompts("object-grabcut", "model", by_attention_and_grab_cut, "clicks", "boxes"), needs_opencv=True
    ),
)
BY_NAME = {spec.name: spec for spec in METHODS}
DEFAULT = "diffseg,kmeans,colour-kmeans,one-segment,grid:3,slic,felzenszwalb"
ALL = "all"
WHOLE, NUMBER = re.compile(r"[0-9]+"), re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")


@dataclass(frozen=True)
class MethodChoice:
    """A method at one number.

    Attributes:
        kind: its name in `METHODS`.
        number: `AUTOMATIC` for a method without. A whole one is of type int.
    """

    kind: str
    number: float = AUTOMATIC

    @property
    def spec(self) -> MethodSpec:
        """The row of `METHODS`."""
        return BY_NAME[self.kind]

    @property
    def name(self) -> str:
        """Of its row: "slic:8"; the number is written exactly, and left out where it is the method's own."""
        return f"{self.spec.name}:{self.number!r}" if self.number else self.kind

    def __call__(self, run: Context, image: AnnotatedImage) -> Labels | Finder:
        """What it makes of an image."""
        return self.spec.make(run, image, self.number)


def task_of(measures: frozenset[Measure]) -> Task:
    """What a dataset with these measures asks for."""
    return "clicks" if "clicks" in measures else "boxes" if "boxes" in measures else "segments"


def parse_methods(text: str | None, task: Task = "segments") -> tuple[MethodChoice, ...]:
    """Read a list of methods such as ``diffseg,slic:8,16,one-segment``.

    A number belongs to the method before it; several make a row each. ``slic`` alone takes its default
    numbers, "all" every method but those by words, which not every model can.

    Args:
        text: the list; None for the usual ones.
        task: what they are for.

    Raises:
        InvalidSettingError: a method that is unknown, or for another task; a number that it does not take;
            OpenCV is not installed, and a method needs it.

    >>> [choice.name for choice in parse_methods("slic:8,16,grid:3,diffcut:0.70")]
    ['slic:8', 'slic:16', 'grid:3', 'diffcut:0.7']
    """
    allowed = {spec.name: spec for spec in METHODS if task in spec.tasks}
    usual = DEFAULT if task == "segments" else ALL
    pieces = [piece.strip() for piece in (text or usual).split(",")]
    if pieces == [ALL]:
        pieces = [name for name, spec in allowed.items() if spec.needs != "words"]
    choices: list[MethodChoice] = []
    last = None  # the method to which further numbers belong
    for piece in pieces:
        if last is not None and NUMBER.fullmatch(piece):
            choices.append(_at(last, piece))
            continue
        name, colon, number = piece.partition(":")
        if name not in allowed:
            raise InvalidSettingError(
                f"Expected methods among {', '.join(allowed)}, or {ALL}, got {name!r}. A number follows a "
                "colon, as in slic:8."
            )
        spec = allowed[name]
        last = spec if colon else None
        if colon:
            choices.append(_at(spec, number))
        else:
            choices += [MethodChoice(name, default) for default in spec.default or (AUTOMATIC,)]
    missing = [choice.name for choice in choices if choice.spec.needs_opencv and find_spec("cv2") is None]
    if missing:
        raise InvalidSettingError(
            f"Expected OpenCV for {' and '.join(missing)}, got an installation without it. Install "
            'opencv-python-headless (the extra "eval" brings it), or choose --methods without these.'
        )
    return tuple(dict.fromkeys(choices))


def _at(spec: MethodSpec, text: str) -> MethodChoice:
    """A method at the number that is written."""
    if not spec.number:
        raise InvalidSettingError(f"Expected no number for the method {spec.name}, got {text!r}.")
    is_whole = spec.maximum is None
    pattern, highest = (WHOLE, inf) if spec.maximum is None else (NUMBER, spec.maximum)
    number = float(text) if pattern.fullmatch(text) else -inf
    if not spec.minimum <= number <= highest:
        least = f"a whole number from {spec.minimum}" if is_whole else f"a number from {spec.minimum:g}"
        upto = "" if is_whole else f" to {highest:g}"
        raise InvalidSettingError(f"Expected {least}{upto} ({spec.number}) for {spec.name}, got {text!r}.")
    return MethodChoice(spec.name, int(text) if is_whole else number)
