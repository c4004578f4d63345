"""What other nodes say of objects: points, boxes and a drawn mask, as prompts."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...diffseg_core import InvalidSettingError, Segments, parse_objects
from ...diffseg_core.editing.snapping import masks_for
from ...diffseg_core.objects.object_finder import ObjectFinder
from ...diffseg_core.objects.points import Point, parse_points
from ...diffseg_core.objects.prompts import FIRST_OBJECT, Box, Click, Prompt, Scribble, Words

Objects = dict[str, tuple[Prompt, ...]]


def warn(text: str) -> None:
    """Say in the log what the node leaves unheeded."""
    logging.warning("DiffSeg Select Segments: %s", text)


def read_points(value: Any) -> tuple[Point, ...]:
    """Points, and where other prompts are among them, the mode that takes these."""
    try:
        return parse_points(value)
    except InvalidSettingError as error:
        try:
            parse_objects(value)
        except InvalidSettingError:
            raise error from None
        raise InvalidSettingError(f"{error} Boxes, strokes and words are for the mode object.") from None


def united(first: Mapping[str, Sequence[Prompt]], second: Mapping[str, Sequence[Prompt]]) -> Objects:
    """The prompts of both, object by object, those of the first before those of the second."""
    names = dict.fromkeys((*first, *second))
    return {name: (*first.get(name, ()), *second.get(name, ())) for name in names}


def connected_objects(
    more_points: Any,
    negative_points: Any,
    bounding_box: Any,
    scribble: torch.Tensor | None,
    segments: Segments,
    image_index: int,
) -> Objects:
    """The prompts that come from other nodes: boxes first, then what is drawn, then points for, then against.

    Args:
        more_points: as `parse_objects` takes them.
        negative_points: the same, all of them against.
        bounding_box: ComfyUI's BOUNDING_BOX, one or a list: each is an object of its own. A list of lists has
            one for each image.
        scribble: a mask drawn over the first object.
        segments: of the images.
        image_index: which image the objects are in.

    Raises:
        InvalidSettingError: one of them cannot be read, or does not fit the images.
    """
    objects: dict[str, list[Prompt]] = {}
    for number, box in enumerate(_boxes(bounding_box, segments.batch_size, image_index), start=1):
        objects[f"Object {number}"] = [box]
    if scribble is not None:
        drawn = masks_for(segments, scribble)
        pixels = drawn[image_index if len(drawn) > 1 else 0] > 0.5
        on_segments = pixels.cpu() & (segments.hierarchies[image_index].leaves.cpu() >= 0)
        objects.setdefault(FIRST_OBJECT, []).append(Scribble(on_segments.numpy()))
    drawn_first = {name: tuple(prompts) for name, prompts in objects.items()}
    points = united(parse_objects(more_points), parse_objects(negative_points, against=True))
    return united(drawn_first, points)


def without_blanks(objects: Mapping[str, Sequence[Prompt]]) -> Objects:
    """The prompts without scribbles of nothing, and without objects of such alone."""
    drawn = {
        name: tuple(prompt for prompt in prompts if not isinstance(prompt, Scribble) or prompt.pixels.any())
        for name, prompts in objects.items()
    }
    return {name: prompts for name, prompts in drawn.items() if prompts}


def as_json(objects: Mapping[str, Sequence[Prompt]], finder: ObjectFinder) -> list[dict[str, Any]]:
    """Prompts in the form of the picker's widget; a scribble as the leaves that it fixes."""
    return [
        {**_fields(prompt, finder), "label": int(prompt.positive), "object": name}
        for name, prompts in objects.items()
        for prompt in prompts
    ]


def _fields(prompt: Prompt, finder: ObjectFinder) -> dict[str, Any]:
    if isinstance(prompt, Click):
        return {**prompt.point._asdict(), "size": prompt.size}
    if isinstance(prompt, Box):
        return {"box": [prompt.x1, prompt.y1, prompt.x2, prompt.y2]}
    if isinstance(prompt, Scribble):
        return {"leaves": finder.leaves_under(prompt).tolist()}
    if isinstance(prompt, Words):
        return {"words": prompt.text}
    return {"stroke": [list(point) for point in prompt.points]}


def _boxes(value: Any, batch_size: int, image_index: int) -> list[Box]:
    if value is None:
        return []
    boxes = value if isinstance(value, (list, tuple)) else [value]
    if boxes and all(isinstance(box, (list, tuple)) for box in boxes):
        if len(boxes) not in (1, batch_size):
            raise InvalidSettingError(
                f"Expected boxes for 1 or {batch_size} image(s), got them for {len(boxes)}."
            )
        boxes = boxes[image_index if len(boxes) > 1 else 0]
    return [_box(box, number) for number, box in enumerate(boxes)]


def _box(value: Any, number: int) -> Box:
    try:
        x, y, width, height = (float(value[key]) for key in ("x", "y", "width", "height"))
        box = Box(math.floor(x), math.floor(y), math.ceil(x + width), math.ceil(y + height))
    except (TypeError, KeyError, ValueError, OverflowError):
        box = None
    if box is None or box.x1 >= box.x2 or box.y1 >= box.y2:
        raise InvalidSettingError(
            "Expected a bounding box of x, y, width and height in pixels, of at least one pixel, got "
            f"{value!r:.80} as box {number}."
        )
    return box
