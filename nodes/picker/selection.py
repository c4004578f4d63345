"""What DiffSeg Select Segments chooses: segments by points, or objects by prompts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from ...diffseg_core import Segments
from ...diffseg_core.objects.object_finder import ObjectFinder
from ...diffseg_core.objects.points import Point, complement, segments_under
from ...diffseg_core.objects.prompts import Prompt, names_of, told_outside
from .prompts import Objects


def warn(text: str) -> None:
    """Say in the log what the node leaves unheeded."""
    logging.warning("DiffSeg Select Segments: %s", text)


def at_granularity(segments: Segments, granularity: int) -> Segments:
    """The segments at another cut, 0 for as they are; without a tree they stay, and the log says so."""
    if granularity and segments.hierarchies:
        return segments.at_granularity(granularity)
    if granularity:
        warn(f"granularity of {granularity} is ignored: these segments have no hierarchy.")
    return segments


def chosen_segments(
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


def found_objects(
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


def count_outside(prompts: Sequence[Prompt], segments: Segments, noun: str) -> int:
    """How many prompts lie outside the image; the log says so too."""
    count, note = told_outside(prompts, segments.image_size, noun)
    if note:
        warn(note)
    return count
