"""What a person says of an object: clicks, boxes, strokes, each for it or against it, and words for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import unexpected
from ..errors import InvalidSettingError
from ..grid import GridSize
from ..plain_text import plain_text
from .points import Point, pixel_of, read_json, read_point

EXAMPLE = '[{"x": 120, "y": 80}, {"x": 40, "y": 30, "label": 0}, {"box": [10, 20, 200, 150]}]'

FIRST_OBJECT = "Object 1"
"""The object of prompts that name none."""


@dataclass(frozen=True)
class Click:
    """A pixel of the object, or of what it is not.

    Attributes:
        point: the pixel.
        positive: whether it is the object's.
        size: steps up (larger) or down (smaller) in the tree from the part that the click takes by itself.
    """

    point: Point
    positive: bool = True
    size: int = 0


@dataclass(frozen=True)
class Box:
    """A box around the object: columns ``x1`` to below ``x2``, rows ``y1`` to below ``y2``.

    Attributes:
        positive: with False, nothing in the box is the object's.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    positive: bool = True


@dataclass(frozen=True)
class Stroke:
    """A line drawn over the object, or over what it is not.

    Attributes:
        points: its corners, at least one.
        positive: whether it is drawn over the object.
    """

    points: tuple[Point, ...]
    positive: bool = True


@dataclass(frozen=True, eq=False)
class Scribble:
    """Pixels drawn over the object, or over what it is not, with any brush.

    Attributes:
        pixels: bool ``[H, W]``, of the image's size.
        positive: whether they are drawn over the object.
    """

    pixels: npt.NDArray[np.bool_]
    positive: bool = True


@dataclass(frozen=True)
class Words:
    """Words for the object. They stand for a click until they were looked for in the image.

    Attributes:
        text: a line of `parse_words`.
    """

    text: str
    positive: bool = True


Placed = Click | Box | Stroke | Scribble
Prompt = Placed | Words


def parse_prompts(value: Any) -> tuple[Prompt, ...]:
    """Read prompts: ``{"x": 120, "y": 80}``, ``{"box": [x1, y1, x2, y2]}`` or ``{"stroke": [[x, y], …]}``.

    ``{"words": "cup"}`` is read too, for those who look for words. Each may have a ``label`` (1 for the
    object, the default, or 0; words only 1), a click also a ``size``. Points are read as `objects.points`
    reads them, so what ComfyUI's SAM3 node and KJNodes write is a list of clicks.

    Args:
        value: JSON text, or what it stands for: a list of mappings, or of prompts that are read already.
            Empty text, ``null`` and None are none.

    Raises:
        InvalidSettingError: broken JSON, or an entry that is no prompt; the message quotes it.
    """
    return tuple(_prompt(entry, number) for number, entry in enumerate(_entries(value)))


def parse_objects(value: Any, against: bool = False) -> dict[str, tuple[Prompt, ...]]:
    """Read the prompts of several objects: as `parse_prompts`, each with the name of its ``object``.

    Args:
        value: as `parse_prompts` takes it; prompts without a name are those of "Object 1".
        against: with True all of them are against their object, whatever their labels say.

    Returns:
        the prompts of each object by its name, in the order in which objects are first named.

    Raises:
        InvalidSettingError: broken JSON, or an entry that is no prompt; the message quotes it.

    Example:
        >>> list(parse_objects('[{"x": 1, "y": 2}, {"x": 9, "y": 9, "object": "cup"}, {"x": 3, "y": 4}]'))
        ['Object 1', 'cup']
    """
    objects: dict[str, list[Prompt]] = {}
    for number, entry in enumerate(_entries(value)):
        prompt = _prompt({**entry, "label": 0} if against and isinstance(entry, Mapping) else entry, number)
        if against and prompt.positive:
            prompt = replace(prompt, positive=False)
        name = entry.get("object", "") if isinstance(entry, Mapping) else ""
        objects.setdefault(_name(name, f" in prompt {number}"), []).append(prompt)
    return {name: tuple(prompts) for name, prompts in objects.items()}


def read_objects(objects: Any) -> dict[str, tuple[Prompt, ...]]:
    """The prompts of several objects, as `parse_objects` takes them, or by their names already.

    Raises:
        InvalidSettingError: what is no prompt, or no name.
    """
    if not isinstance(objects, Mapping):
        return parse_objects(objects)
    found: dict[str, tuple[Prompt, ...]] = {}
    for given, prompts in objects.items():
        name = _name(given)
        found[name] = (*found.get(name, ()), *parse_prompts(prompts))
    return found


def _name(given: Any, where: str = "") -> str:
    if not isinstance(given, str):
        raise unexpected(f"the name of an object as text{where}", given)
    return plain_text(given).strip() or FIRST_OBJECT


def names_of(objects: Collection[str]) -> tuple[str, ...]:
    """What the segments of objects are called: by their names, but a first one alone has none."""
    return ("",) if list(objects) == [FIRST_OBJECT] else tuple(objects)


def without_words(objects: Mapping[str, tuple[Prompt, ...]]) -> Mapping[str, tuple[Prompt, ...]]:
    """The same objects, for those who cannot look for words.

    Raises:
        InvalidSettingError: words among the prompts.
    """
    for prompts in objects.values():
        _placed(prompts)
    return objects


def _placed(prompts: Iterable[Prompt]) -> list[Placed]:
    placed: list[Placed] = []
    for prompt in prompts:
        if isinstance(prompt, Words):
            raise InvalidSettingError(
                f"Expected prompts at a place, got the words {prompt.text!r:.60}. Words are looked for by "
                "DiffSeg Select Segments with attention, model and clip, and by DiffSeg Find by Words."
            )
        placed.append(prompt)
    return placed


def _entries(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        value = read_json(value, "prompts", EXAMPLE)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise unexpected(f"a list of prompts such as {EXAMPLE}", value)
    return value


def split_by_place(prompts: Iterable[Prompt], size: GridSize) -> tuple[list[Placed], list[Placed]]:
    """The prompts as far as they lie in an image, and those that lie outside of it or nowhere.

    Raises:
        InvalidSettingError: words among them, which lie nowhere.
    """
    seen = [(prompt, _within(prompt, size)) for prompt in _placed(prompts)]
    inside = [within for _, within in seen if within is not None]
    return inside, [prompt for prompt, within in seen if within is None]


def told_outside(prompts: Sequence[Prompt], size: GridSize, noun: str = "prompt") -> tuple[int, str]:
    """How many of some prompts lie outside an image, and a sentence on them; an empty one where none does.

    Args:
        prompts: without words.
        size: of the image.
        noun: what they are to the reader.
    """
    _, outside = split_by_place(prompts, size)
    if not outside:
        return 0, ""
    return len(outside), (
        f"{len(outside)} of {len(prompts)} {noun}(s) ignored, as they lie outside the image of {size} "
        f"pixels, such as {_described(outside[0])}."
    )


def _within(prompt: Placed, size: GridSize) -> Placed | None:
    """What of a prompt lies in an image; None for nothing."""
    if isinstance(prompt, Click):
        return prompt if prompt.point.lies_in(size) else None
    if isinstance(prompt, Box):
        x1, x2 = (min(max(x, 0), size.width) for x in (prompt.x1, prompt.x2))
        y1, y2 = (min(max(y, 0), size.height) for y in (prompt.y1, prompt.y2))
        return Box(x1, y1, x2, y2, prompt.positive) if x1 < x2 and y1 < y2 else None
    if isinstance(prompt, Scribble):
        return prompt if prompt.pixels.any() else None
    return prompt if any(point.lies_in(size) for point in prompt.points) else None


def _described(prompt: Placed) -> str:
    if isinstance(prompt, Click):
        return f"x {prompt.point.x}, y {prompt.point.y}"
    if isinstance(prompt, Box):
        return f"the box {[prompt.x1, prompt.y1, prompt.x2, prompt.y2]}"
    if isinstance(prompt, Scribble):
        return "a scribble without a pixel"
    return f"the stroke from x {prompt.points[0].x}, y {prompt.points[0].y}"


def _prompt(entry: Any, number: int) -> Prompt:
    if isinstance(entry, Click | Box | Stroke | Scribble | Words):
        return entry
    if not isinstance(entry, Mapping):
        raise _refused(entry, number)
    label = entry.get("label", 1)
    if label not in (0, 1, True, False):
        raise unexpected(f"a label of 1 or 0 in prompt {number}", label)
    positive = bool(label)
    if "box" in entry:
        return _box(entry["box"], number, positive)
    if "stroke" in entry:
        return Stroke(_points(entry["stroke"], number), positive)
    if "words" in entry:
        return _words(entry["words"], number, positive)
    size = entry.get("size", 0)
    steps = pixel_of(size)
    if steps is None or steps != size:
        raise unexpected(f"a whole number for the size of prompt {number}", size)
    return Click(read_point(entry, number), positive, steps)


def _words(text: Any, number: int, positive: bool) -> Words:
    seen = plain_text(text).strip() if isinstance(text, str) else ""
    if not seen:
        raise unexpected(f"words as text in prompt {number}", text)
    if not positive:
        expected = f"a label of 1 for the words {text!r:.60} in prompt {number}"
        raise unexpected(expected, 0, "Prompts of words are for an object.")
    return Words(seen)


def _box(corners: Any, number: int, positive: bool) -> Box:
    if not isinstance(corners, (list, tuple)) or len(corners) != 4:
        raise unexpected(f"a box as [x1, y1, x2, y2] in prompt {number}", corners)
    (x1, y1), (x2, y2) = _points([corners[:2], corners[2:]], number)
    if x1 >= x2 or y1 >= y2:
        expected = f"a box of at least one pixel in prompt {number}"
        raise unexpected(expected, corners, "It goes from its left upper corner to its right lower one.")
    return Box(x1, y1, x2, y2, positive)


def _points(pairs: Any, number: int) -> tuple[Point, ...]:
    are_pairs = isinstance(pairs, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs
    )
    if not are_pairs or not pairs:
        raise _refused(pairs, number)
    return tuple(read_point({"x": x, "y": y}, number) for x, y in pairs)


def _refused(entry: Any, number: int) -> InvalidSettingError:
    return unexpected(f"prompt {number} such as one of {EXAMPLE}", entry)
