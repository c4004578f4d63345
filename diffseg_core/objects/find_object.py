"""Objects in each image of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from ..errors import InvalidSettingError
from ..images import matching_images
from ..segments import Segments
from .object_finder import ObjectFinder
from .prompts import FIRST_OBJECT, Prompt, names_of, read_objects

if TYPE_CHECKING:
    from ..images import ImageLike


def find_object(
    segments: Segments, images: ImageLike, prompts: Sequence[Prompt]
) -> tuple[Segments, tuple[float, ...]]:
    """One object in each image of a batch, by the same prompts.

    Args:
        segments: with a hierarchy, as `segment_hierarchy` gives them; at which cut does not matter.
        images: of the segments, as `as_images` takes them; alpha is left out.
        prompts: in the order in which they were given, as `parse_prompts` takes them or gave them.

    Returns:
        segments of one each, the object, or of none where the prompts mean nothing; and how well each object
        is set off from what is around it, 0..1.

    Raises:
        InvalidSettingError: segments without a hierarchy, or images that do not fit.
    """
    found, scores = find_objects(segments, images, {FIRST_OBJECT: prompts})
    return found, tuple(score for (score,) in scores)


def find_objects(
    segments: Segments,
    images: ImageLike,
    objects: Mapping[str, Sequence[Prompt]],
) -> tuple[Segments, tuple[tuple[float, ...], ...]]:
    """Some objects in each image of a batch, each by its own prompts.

    Args:
        segments: with a hierarchy, as `segment_hierarchy` gives them; at which cut does not matter.
        images: of the segments, as `as_images` takes them; alpha is left out.
        objects: the prompts of each by its name, as `parse_objects` takes them or gave them.

    Returns:
        segments with these names, one for each object that is found: see `Segments.of_masks`; and for each
        image how well each object is set off from what is around it, 0..1.

    Raises:
        InvalidSettingError: segments without a hierarchy, images that do not fit, or what is no prompt.
    """
    wanted = read_objects(objects)
    if not segments.hierarchies:
        raise InvalidSettingError(
            "Expected segments with a hierarchy, to find objects in them, got segments without one. Take "
            "them from DiffSeg Hierarchy (segment_hierarchy)."
        )
    masks, scores = [], []
    for tree, image in zip(segments.hierarchies, matching_images(images, segments), strict=True):
        finder = ObjectFinder(tree, image)
        found = [finder.find(prompts) for prompts in wanted.values()]
        scores.append(tuple(each.score for each in found))
        own = [torch.from_numpy(each.mask).to(segments.labels.device) for each in found]
        masks.append(torch.stack(own) if own else segments.labels.new_zeros(0, *segments.image_size).bool())
    return Segments.of_masks(masks, [names_of(wanted)] * len(masks)), tuple(scores)
