"""What DiffSeg Select Segments chooses: segments by points, or objects by prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...diffseg_core import Images, InvalidSettingError, Segments, parse_objects
from ...diffseg_core.objects.object_finder import ObjectFinder
from ...diffseg_core.objects.points import Point, complement, segments_under
from ...diffseg_core.objects.prompts import Click, Prompt, names_of, told_outside
from ...diffseg_core.settings import GRANULARITY, INVERT, MODE, Mode
from ..types import CapturedSegments
from .prompts import Objects, as_json, connected_objects, read_points, united, warn, without_blanks
from .view import kept_finder
from .words import lines_of, look_for, with_clicks, words_view

Chosen = tuple[torch.Tensor, Segments, dict[str, Any], list[dict[str, Any]]]
"""What is chosen in one image: bool masks ``[K, H, W]``, the same as segments of the batch (other images have
none), and for the picker what it gets to know of other nodes' prompts and of words: see `web/PROTOCOL.md`."""


def check_prompts(points: Any, more_points: Any, negative_points: Any, mode: Mode | None) -> None:
    """Refuse points, or prompts where objects are chosen, that cannot be read, and another mode.

    Raises:
        InvalidSettingError: what is wrong with them.
    """
    if mode is not None:  # ComfyUI leaves it to a node that looks at it
        MODE.checked(mode)
    if mode == "object":
        against = parse_objects(negative_points, against=True)
        lines_of((parse_objects(points), parse_objects(more_points), against))
    else:
        for text in (points, more_points, negative_points):
            read_points(text)


def choose(
    captured: CapturedSegments,
    images: Images | None,
    mode: Mode,
    points: Any,
    connected: tuple[Any, Any, Any, Any],
    granularity: int,
    image_index: int,
    invert: bool,
) -> Chosen:
    """What points or prompts choose, or all else.

    Args:
        captured: segments of the batch.
        images: those of the capture, to see colours in; None where a latent was captured.
        mode: what is chosen.
        points: of the picker.
        connected: the first four that `connected_objects` takes.
        granularity: another cut, 0 for the segments as they are; ignored without a tree.
        image_index: which image to choose in.
        invert: choose the rest.

    Raises:
        InvalidSettingError: what cannot be read; objects in segments without a hierarchy; further what
            `look_for` raises.
    """
    segments = captured.segments
    INVERT.checked(invert)
    GRANULARITY.checked(granularity)
    if MODE.checked(mode) == "segments":
        more_points, negative_points, *of_objects = connected
        if any(value is not None for value in of_objects):
            warn("bounding_box and scribble are ignored, as mode is segments. Set it to object.")
        named, more, against = map(read_points, (points, more_points, negative_points))
        _warn_outside([Click(point) for point in (*named, *more, *against)], segments, "point")
        if granularity and segments.hierarchies:
            segments = segments.at_granularity(granularity)
        elif granularity:
            warn(f"granularity of {granularity} is ignored: these segments have no hierarchy.")
        masks, chosen = _under(segments, (*named, *more), against, image_index, invert)
        view = {"more_points": more, "negative_points": against}
        return masks, chosen, {key: [point._asdict() for point in of] for key, of in view.items()}, []
    if not segments.hierarchies:
        raise InvalidSettingError(
            "Expected segments with a hierarchy to find objects in, got segments without one. "
            "Connect DiffSeg Hierarchy in the place of DiffSeg Segment, or set mode to segments."
        )
    from_nodes = connected_objects(*connected, segments, image_index)
    from_picker = parse_objects(points)
    words = look_for(lines_of((from_nodes, from_picker)), captured, image_index)
    from_nodes, from_picker = with_clicks(from_nodes, words), with_clicks(from_picker, words)
    finder = kept_finder(captured, images, image_index).finder
    objects = united(from_nodes, from_picker)
    _warn_outside([prompt for prompts in objects.values() for prompt in prompts], segments, "prompt")
    masks, chosen = _found(finder, without_blanks(objects), segments, image_index, invert)
    return masks, chosen, {"more_points": [], "more_prompts": as_json(from_nodes, finder)}, words_view(words)


def _under(
    segments: Segments, points: Sequence[Point], against: Sequence[Point], image_index: int, invert: bool
) -> tuple[torch.Tensor, Segments]:
    """The segments under points and none against, or all others: bool ``[K, H, W]``, and as segments."""
    labels = segments.labels_of(image_index)
    left_out = segments_under(labels, against)
    chosen = [segment for segment in segments_under(labels, points) if segment not in left_out]
    if invert:
        chosen = complement(chosen, segments.counts[image_index])
    indices = torch.tensor(chosen, dtype=labels.dtype, device=labels.device)
    kept = [chosen if index == image_index else [] for index in range(segments.batch_size)]
    return labels == indices[:, None, None], segments.subset(kept)


def _found(
    finder: ObjectFinder, objects: Objects, segments: Segments, image_index: int, invert: bool
) -> tuple[torch.Tensor, Segments]:
    """A mask of each object, or of the rest of the tree: bool ``[K, H, W]``, and as segments of the batch."""
    object_masks = [torch.from_numpy(finder.find(prompts).mask) for prompts in objects.values()]
    none = torch.zeros(0, *segments.image_size, dtype=torch.bool)
    masks, names = torch.stack(object_masks) if object_masks else none, names_of(objects)
    if invert:
        within = segments.hierarchies[image_index].leaves.cpu() >= 0
        masks, names = (within & ~masks.any(0))[None], ("",)
    by_image = [masks if index == image_index else none for index in range(segments.batch_size)]
    device = segments.labels.device
    return masks.to(device), Segments.of_masks(
        [image_masks.to(device) for image_masks in by_image],
        [names if index == image_index else () for index in range(segments.batch_size)],
    )


def _warn_outside(prompts: Sequence[Prompt], segments: Segments, noun: str) -> None:
    _, note = told_outside(prompts, segments.image_size, noun)
    if note:
        warn(note)
