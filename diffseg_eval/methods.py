"""The methods that can be measured: names, numbers, how one asks for them, and how they are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import (
    ModelChoice,
    NestedSettings,
    SegmentSettings,
    WordSettings,
)
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.diffcut.normalised_cut import LIMIT
from diffseg_core.errors import InvalidSettingError
from diffseg_core.settings import CUT_THRESHOLD, Borders, Evidence

from .segmentations import (
    Clustering,
    Segmentation,
    SharedCapture,
    attention_clusters,
    by_clusters,
    by_cut,
    by_hierarchy,
    by_settings,
    colour_clusters,
    colour_hierarchy,
    felzenszwalb_regions,
    regular_grid,
    slic_superpixels,
    true_count,
)
from .word_methods import by_words, class_lines

Group = Literal["diffseg", "tree", "maps", "words", "pixels"]
"""What counts for a method: DiffSeg's settings, those of the tree, a capture alone, those of words and of the
tree, or nothing but the pixels."""


class Context(NamedTuple):
    """What methods are made of: a capture where one needs it, and settings, see `make_methods`."""

    capture: SharedCapture | None
    segment: SegmentSettings
    dataset: str = ""
    words: WordSettings = WordSettings()

    @property
    def maps(self) -> SharedCapture:
        """The capture, of a method that needs one."""
        assert self.capture is not None
        return self.capture


@dataclass(frozen=True)
class MethodSpec:
    """What there is to choose from.

    Attributes:
        name: as one asks for it.
        group: what counts for it.
        make: the method at one number.
        number: what the number after the name says; "" for a method without one.
        default: the numbers that are taken where none is given.
        minimum: the smallest number allowed.
        maximum: the largest; None where whole numbers go on. With it numbers may be decimal ones.
    """

    name: str
    group: Group
    make: Callable[[Context, float], Segmentation]
    number: str = ""
    default: tuple[float, ...] = ()
    minimum: float = 1
    maximum: float | None = None


def _diffseg(name: str, refine: bool) -> MethodSpec:
    return MethodSpec(
        name, "diffseg", lambda of, _: by_settings(of.maps, replace(of.segment, refine_edges=refine))
    )


def _tree(name: str, evidence: Evidence, refine: bool = False) -> MethodSpec:
    def make(of: Context, number: float) -> Segmentation:
        return by_hierarchy(of.maps, evidence, tree_settings(of.segment), number, refine)

    return MethodSpec(name, "tree", make, "segments", (AUTOMATIC,), minimum=AUTOMATIC)


def _cut(name: str, borders: Borders) -> MethodSpec:
    def make(of: Context, threshold: float) -> Segmentation:
        return by_cut(of.maps, borders, threshold)

    least = 0.01  # at 0 nothing is cut
    return MethodSpec(name, "maps", make, "threshold", (CUT_THRESHOLD.default,), least, LIMIT)


def _words(name: str, knows_classes: bool) -> MethodSpec:
    def make(of: Context, _: float) -> Segmentation:
        return by_words(of.maps, class_lines(of.dataset), knows_classes, of.words, tree_settings(of.segment))

    return MethodSpec(name, "words", make)


def _kmeans(name: str, clustering: Clustering) -> tuple[MethodSpec, MethodSpec]:
    def make(of: Context, clusters: float) -> Segmentation:
        return by_clusters(of.maps, clustering, lambda image: int(clusters))

    return (
        MethodSpec(name, "maps", make, "clusters", (DEFAULT_CLUSTERS,)),
        MethodSpec(f"{name}-oracle", "maps", lambda of, _: by_clusters(of.maps, clustering, true_count)),
    )


def _pixels(
    name: str,
    make: Callable[[int], Segmentation],
    number: str = "",
    default: tuple[int, ...] = (),
    minimum: int = 1,
) -> MethodSpec:
    return MethodSpec(name, "pixels", lambda _, at: make(int(at)), number, default, minimum)


AUTOMATIC = 0  # of a number of segments
DEFAULT_CLUSTERS = 6  # about as many classes as an image of COCO-Stuff-27 shows
METHODS = (
    _diffseg("diffseg", False),
    _diffseg("diffseg-refined", True),
    _tree("hierarchy", "attention"),
    _tree("hierarchy-refined", "attention", refine=True),
    _tree("features-hierarchy", "features"),
    _tree("both-hierarchy", "both"),
    _cut("cut", "image edges"),
    _cut("diffcut", "features"),
    _words("words", True),
    _words("words-all", False),
    _pixels("colour-hierarchy", colour_hierarchy, "segments", (AUTOMATIC,), AUTOMATIC),
    *_kmeans("kmeans", attention_clusters),
    *_kmeans("colour-kmeans", colour_clusters),
    _pixels("one-segment", lambda _: regular_grid(1)),
    _pixels("grid", regular_grid, "rectangles on a side", (2, 3, 4)),
    _pixels("slic", slic_superpixels, "segments", (4, 8, 16, 32), 2),
    _pixels("felzenszwalb", felzenszwalb_regions, "scale", (200, 400, 800, 1600)),
)
BY_NAME = {spec.name: spec for spec in METHODS}
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
        return self.text if len(self.numbers) == 1 else self.kind

    @property
    def settings(self) -> tuple[str, ...]:
        """What its settings are called: the numbers, or "" where there is only one."""
        return tuple(map(repr, self.numbers)) if len(self.numbers) > 1 else ("",)

    @property
    def text(self) -> str:
        """As one asks for it, with all numbers, which ``repr`` writes exactly."""
        return f"{self.kind}:{','.join(map(repr, self.numbers))}" if any(self.numbers) else self.kind

    @property
    def group(self) -> Group:
        """What counts for it."""
        return BY_NAME[self.kind].group


def make_methods(
    choices: Sequence[MethodChoice],
    model: ModelChoice,
    capture: CaptureSettings,
    segment: SegmentSettings,
    dataset: str = "",
    words: WordSettings = WordSettings(),
) -> tuple[dict[str, dict[str, Segmentation]], SharedCapture | None]:
    """Make the chosen methods; the model is loaded only if one of them needs it.

    Args:
        choices: which.
        model, capture: what the attention and the features are captured with.
        segment: DiffSeg's settings.
        dataset, words: whose classes' names methods by words look for, and their settings.

    Raises:
        InvalidSettingError: a method by words, and a model without a text encoder, or a dataset whose classes
            have no names.

    Returns:
        the methods by the names of their rows and of their settings, in order, and the capture that they
        share; None without any that uses it.
    """
    groups = {choice.group for choice in choices}
    segmenter = Segmenter(model, capture, further_words="words" in groups) if groups - {"pixels"} else None
    if "words" in groups and segmenter is not None and not segmenter.reads_words:
        raise InvalidSettingError(
            f"Expected a model with a text encoder for the methods by words, got {model.model}. Leave them "
            "out, or choose one of Stable Diffusion, SDXL, SD3, Flux.1 or Qwen-Image."
        )
    context = Context(None if segmenter is None else SharedCapture(segmenter), segment, dataset, words)
    methods = {}
    for choice in choices:
        at_numbers = (BY_NAME[choice.kind].make(context, number) for number in choice.numbers or (AUTOMATIC,))
        methods[choice.name] = dict(zip(choice.settings, at_numbers, strict=True))
    return methods, context.capture


def tree_settings(segment: SegmentSettings) -> NestedSettings:
    """How the tree is built: as for DiffSeg where it is cut from one too, else the defaults."""
    tree = segment.method if isinstance(segment.method, NestedSettings) else NestedSettings()
    return replace(tree, number=None, height=None)


def parse_methods(text: str) -> tuple[MethodChoice, ...]:
    """Read a list of methods such as ``diffseg,slic:8,16,one-segment``.

    A number belongs to the method before it; several make a row each. ``slic`` alone takes its default
    numbers, "all" every method but those by words, which not every model can.

    Args:
        text: the list.

    Raises:
        InvalidSettingError: an unknown method, or one that is named twice; a number that it does not take.

    >>> [choice.name for choice in parse_methods("slic:8,16,grid:3,diffcut:0.70")]
    ['slic', 'grid:3', 'diffcut:0.7']
    """
    pieces = [piece.strip() for piece in text.split(",")]
    if pieces == [ALL]:
        return tuple(MethodChoice(spec.name, spec.default) for spec in METHODS if spec.group != "words")
    chosen: dict[str, list[float]] = {}
    last = None
    for piece in pieces:
        if DECIMAL.fullmatch(piece) and last is not None and chosen[last]:
            chosen[last].append(_checked_number(BY_NAME[last], piece))
            continue
        last, colon, number = piece.partition(":")
        if last not in BY_NAME:
            raise InvalidSettingError(
                f"Expected methods among {', '.join(BY_NAME)}, or {ALL}, got {last!r}. A number follows a "
                "colon, as in slic:8."
            )
        if last in chosen:
            raise InvalidSettingError(
                f"Expected every method once, got {last} twice. Write several numbers as {last}:8,16."
            )
        chosen[last] = [_checked_number(BY_NAME[last], number)] if colon else []
    return tuple(
        MethodChoice(name, tuple(dict.fromkeys(numbers)) or BY_NAME[name].default)
        for name, numbers in chosen.items()
    )


def _checked_number(spec: MethodSpec, text: str) -> float:
    if not spec.number:
        raise InvalidSettingError(f"Expected no number for the method {spec.name}, got {text!r}.")
    if spec.maximum is not None:
        if not DECIMAL.fullmatch(text) or not spec.minimum <= float(text) <= spec.maximum:
            raise InvalidSettingError(
                f"Expected a number from {spec.minimum:g} to {spec.maximum:g} ({spec.number}) for "
                f"{spec.name}, got {text!r}."
            )
        return float(text)
    if not WHOLE.fullmatch(text) or int(text) < spec.minimum:
        raise InvalidSettingError(
            f"Expected a whole number from {spec.minimum} ({spec.number}) for {spec.name}, got {text!r}."
        )
    return int(text)
