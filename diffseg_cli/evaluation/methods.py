"""The methods that can be measured, by the names under which one asks for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from diffseg_core.errors import InvalidSettingError

from ..batch.segmenter import Segmenter
from ..batch.settings import CaptureSettings, ModelChoice, NestedSettings, SegmentSettings
from .attention_methods import (
    DEFAULT_CLUSTERS,
    Clustering,
    ClusterMethod,
    DiffSegMethod,
    SharedCapture,
    attention_clusters,
    colour_clusters,
    constant,
    true_count,
)
from .baselines import (
    Baseline,
    Labels,
    Photo,
    PixelMethod,
    colour_hierarchy,
    felzenszwalb_regions,
    one_segment,
    regular_grid,
    slic_superpixels,
)
from .human_agreement import HUMAN
from .types import Method

Group = Literal["attention", "pixels", "human"]


@dataclass(frozen=True)
class MethodSpec:
    """What there is to choose from.

    Attributes:
        name: as one asks for it.
        group: what the method looks at: the model's attention, the pixels alone, or other people's truth.
        number: what the number after the name says; None for a method without one.
        default: the numbers that are taken where none is given.
        minimum: the smallest number allowed.
    """

    name: str
    group: Group
    number: str | None = None
    default: tuple[int, ...] = ()
    minimum: int = 1


DIFFSEG, DIFFSEG_REFINED = "diffseg", "diffseg-refined"
AUTOMATIC = 0  # of a number of segments
METHODS = (
    MethodSpec(DIFFSEG, "attention"),
    MethodSpec(DIFFSEG_REFINED, "attention"),
    MethodSpec("hierarchy", "attention", "segments", (AUTOMATIC,), minimum=AUTOMATIC),
    MethodSpec("hierarchy-refined", "attention", "segments", (AUTOMATIC,), minimum=AUTOMATIC),
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
NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class MethodChoice:
    """A method with its numbers.

    Attributes:
        kind: the name in `METHODS`.
        numbers: in the order given; none for a method without.
    """

    kind: str
    numbers: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Of its rows: "slic:8" with one number; "slic" with several, or where it finds the number itself."""
        return f"{self.kind}:{self.numbers[0]}" if len(self.numbers) == 1 and any(self.numbers) else self.kind

    @property
    def settings(self) -> tuple[str, ...]:
        """What its settings are called: the numbers, or "" where there is only one."""
        return tuple(map(str, self.numbers)) if len(self.numbers) > 1 else ("",)

    @property
    def text(self) -> str:
        """As one asks for it, with all numbers."""
        return f"{self.kind}:{','.join(map(str, self.numbers))}" if any(self.numbers) else self.kind

    @property
    def is_diffseg(self) -> bool:
        """Whether DiffSeg's settings are its own."""
        return self.kind in (DIFFSEG, DIFFSEG_REFINED)

    @property
    def cuts_a_tree(self) -> bool:
        """Whether it is the hierarchy on attention, whose settings are those of DiffSeg Hierarchy."""
        return self.kind.startswith("hierarchy")

    @property
    def looks_at_image(self) -> bool:
        """Whether it segments images; people did it before."""
        return BY_NAME[self.kind].group != HUMAN

    @property
    def needs_model(self) -> bool:
        """Whether it needs captured attention."""
        return BY_NAME[self.kind].group == "attention"


def parse_methods(text: str, annotators: bool = True) -> tuple[MethodChoice, ...]:
    """Read a list of methods such as ``diffseg,slic:8,16,one-segment``.

    A number belongs to the method before it; several make a sweep. ``slic`` alone takes its default numbers,
    "all" every method that the dataset allows.

    Args:
        text: the list.
        annotators: whether several people segmented each image of the dataset.

    Raises:
        InvalidSettingError: an unknown method, or one that is named twice; a number that it does not take;
            people's agreement where there is one person alone.

    >>> [choice.name for choice in parse_methods("slic:8,16,grid:3")]
    ['slic', 'grid:3']
    """
    pieces = [piece.strip() for piece in text.split(",")]
    if pieces == [ALL]:
        return tuple(
            MethodChoice(kind.name, kind.default) for kind in METHODS if annotators or kind.group != HUMAN
        )
    chosen: dict[str, list[int]] = {}
    last = None
    for piece in pieces:
        if NUMBER.fullmatch(piece) and last is not None and chosen[last]:
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


def make_methods(
    choices: Sequence[MethodChoice],
    model: ModelChoice,
    capture: CaptureSettings,
    settings: Mapping[str, SegmentSettings],
) -> tuple[list[Method], SharedCapture | None]:
    """Make the chosen methods; the model is loaded only if one of them needs it.

    Args:
        choices: which; "human" is none that looks at the image, and is left out.
        model, capture: what the attention is captured with.
        settings: of DiffSeg, by the names under which they are recorded.

    Returns:
        the methods in their order, and the capture that they share; None without any that uses it.
    """
    needs_model = any(choice.needs_model for choice in choices)
    shared = SharedCapture(Segmenter(model, capture)) if needs_model else None
    methods: list[Method] = []
    for choice in choices:
        if shared is not None and choice.needs_model:
            methods.append(_attention_method(choice, shared, settings))
        elif BY_NAME[choice.kind].group == "pixels":
            methods.append(_pixel_method(choice))
    return methods, shared


def _attention_method(
    choice: MethodChoice, shared: SharedCapture, settings: Mapping[str, SegmentSettings]
) -> Method:
    if choice.is_diffseg:
        refine = choice.kind == DIFFSEG_REFINED
        chosen = {name: replace(each, refine_edges=refine) for name, each in settings.items()}
        return DiffSegMethod(choice.name, shared, chosen)
    if choice.kind.startswith("hierarchy"):
        refined = choice.kind.endswith("refined")
        tree = tree_settings(settings)
        cuts = (SegmentSettings(replace(tree, number=number or None), refined) for number in choice.numbers)
        return DiffSegMethod(choice.name, shared, dict(zip(choice.settings, cuts, strict=True)))
    clustering: Clustering = colour_clusters if choice.kind.startswith("colour") else attention_clusters
    if choice.kind.endswith("oracle"):
        return ClusterMethod(choice.name, shared, clustering, {"": true_count})
    counts = zip(choice.settings, map(constant, choice.numbers), strict=True)
    return ClusterMethod(choice.name, shared, clustering, dict(counts))


def tree_settings(settings: Mapping[str, SegmentSettings]) -> NestedSettings:
    """How the tree is built: as for DiffSeg where it is cut from one too, else the defaults."""
    nested = (each.method for each in settings.values() if isinstance(each.method, NestedSettings))
    return replace(next(nested, NestedSettings()), number=None, height=None)


def _pixel_method(choice: MethodChoice) -> Method:
    if choice.kind == "one-segment":
        return PixelMethod(choice.name, {"": one_segment})
    baseline: dict[str, Callable[[Photo, int], Labels]] = {
        "grid": regular_grid,
        "slic": slic_superpixels,
        "felzenszwalb": felzenszwalb_regions,
        "colour-hierarchy": colour_hierarchy,
    }
    at_numbers = (_with_number(baseline[choice.kind], number) for number in choice.numbers)
    return PixelMethod(choice.name, dict(zip(choice.settings, at_numbers, strict=True)))


def _with_number(baseline: Callable[[Photo, int], Labels], number: int) -> Baseline:
    return lambda photo: baseline(photo, number)


def _kind(name: str) -> MethodSpec:
    if name not in BY_NAME:
        raise InvalidSettingError(
            f"Expected methods among {', '.join(BY_NAME)}, or {ALL}, got {name!r}. A number follows a colon, "
            "as in slic:8."
        )
    return BY_NAME[name]


def _checked_number(kind: MethodSpec, text: str) -> int:
    if kind.number is None:
        raise InvalidSettingError(f"Expected no number for the method {kind.name}, got {text!r}.")
    if not NUMBER.fullmatch(text) or int(text) < kind.minimum:
        raise InvalidSettingError(
            f"Expected a whole number from {kind.minimum} ({kind.number}) for {kind.name}, got {text!r}."
        )
    return int(text)
