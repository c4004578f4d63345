"""Choosing segments by points: a point names the segment under it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from ..errors import InvalidSettingError
from ..grid import GridSize
from ..plain_text import plain_text

EXAMPLE = '[{"x": 120, "y": 80}]'
FARTHEST = 1_000_000  # a coordinate of any image; as in web/picker/prompting/prompts.mjs


class Point(NamedTuple):
    """A pixel of the image: column ``x`` from the left, row ``y`` from the top, both from 0."""

    x: int
    y: int

    def lies_in(self, size: GridSize) -> bool:
        """Whether it is a pixel of an image of this size."""
        return 0 <= self.x < size.width and 0 <= self.y < size.height


def parse_points(value: Any) -> tuple[Point, ...]:
    """Read points as ComfyUI's nodes write them: ``[{"x": 120, "y": 80}, …]`` in pixels.

    Numbers with a fraction name the pixel that they lie in. Further keys of a point, such as a label, are
    left alone. The picker in the browser reads the same text in the same way (`web/PROTOCOL.md`).

    Args:
        value: JSON text, or what it stands for: a list of mappings. Empty text, ``null`` and None are no
            point.

    Raises:
        InvalidSettingError: broken JSON, or an entry that is not a point; the message quotes it.
    """
    entries = read_json(value, "points", EXAMPLE) if isinstance(value, str) else value
    if entries is None:
        return ()
    if not isinstance(entries, (list, tuple)):
        raise InvalidSettingError(
            f"Expected a list of points such as {EXAMPLE}, got {_quote(entries)}. Put it in brackets."
        )
    return tuple(read_point(entry, number) for number, entry in enumerate(entries))


def read_json(text: str, what: str, example: str) -> Any:
    """What JSON text stands for, as `plain_text` has it; None for empty text.

    Args:
        text: typed by a person, or sent by a program.
        what: it should hold, in the plural, with an example.

    Raises:
        InvalidSettingError: text that is not JSON.
    """
    text = plain_text(text).strip()
    if not text:
        return None
    expected = f"Expected {what} as JSON such as {example}, got"
    advice = "Mend it, or clear it to choose nothing."

    def refuse(name: str) -> Any:
        raise InvalidSettingError(f"Expected numbers as JSON has them, got {name}. {advice}")

    try:
        return json.loads(text, parse_constant=refuse)
    except InvalidSettingError:
        raise
    except json.JSONDecodeError as error:
        around = text[max(0, error.pos - 20) : error.pos + 20]
        raise InvalidSettingError(
            f"{expected} text that is not JSON at character {error.pos} ({error.msg}), near {around!r}. "
            f"{advice}"
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        raise InvalidSettingError(
            f"{expected} a number or a nesting that is too long, in text that begins with {text[:40]!r}. "
            f"{advice}"
        ) from None


def read_point(entry: Any, number: int) -> Point:
    """One entry of a list of points, by its number in that list.

    Raises:
        InvalidSettingError: it is not a point; the message quotes it.
    """
    if isinstance(entry, Mapping):
        x, y = pixel_of(entry.get("x")), pixel_of(entry.get("y"))
        if x is not None and y is not None:
            return Point(x, y)
    raise InvalidSettingError(
        f'Expected every point as {{"x": 120, "y": 80}}, two numbers in pixels, got {_quote(entry)} '
        f"as entry {number}. Correct or remove it."
    )


def pixel_of(value: Any) -> int | None:
    """The pixel that a coordinate lies in, or None for what is no number, or beyond any image."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return math.floor(value) if is_number and -FARTHEST <= value <= FARTHEST else None


def _quote(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else f"{text[:77]}..."


def segments_under(labels: torch.Tensor, points: Sequence[Point]) -> list[int]:
    """The segments that the points name, each once, in ascending order.

    A point on no segment names none, nor does one outside the image: points outlive the image that they
    were made on, and the next one may be smaller.

    Args:
        labels: int ``[H, W]``, −1 where no segment is.
        points: in pixels of the label map.
    """
    size = GridSize(*labels.shape)
    inside = [point for point in points if point.lies_in(size)]
    if not inside:
        return []
    rows = torch.tensor([point.y for point in inside], device=labels.device)
    columns = torch.tensor([point.x for point in inside], device=labels.device)
    return sorted({label for label in labels[rows, columns].tolist() if label >= 0})


def complement(chosen: Iterable[int], count: int) -> list[int]:
    """All of the segments 0..count-1 that are not among the chosen, in ascending order."""
    return sorted(set(range(count)).difference(chosen))
