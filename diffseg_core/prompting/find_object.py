"""One object in each image of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import InvalidSettingError
from ..images import matching_images
from ..segments import Segments
from .object_finder import ObjectFinder
from .prompts import Prompt

if TYPE_CHECKING:
    from ..images import ImageLike


def find_object(
    segments: Segments, images: ImageLike, prompts: Sequence[Prompt]
) -> tuple[Segments, tuple[float, ...]]:
    """One object in each image of a batch, by the same prompts.

    Args:
        segments: with a hierarchy, as `segment_nested` gives them; at which cut does not matter.
        images: of the segments, as `as_images` takes them; alpha is left out.
        prompts: in the order in which they were given; see `parse_prompts`.

    Returns:
        segments of one each, the object, or of none where the prompts mean nothing; and how well each object
        is set off from what is around it, 0..1.

    Raises:
        InvalidSettingError: segments without a hierarchy, or images that do not fit.
    """
    if not segments.hierarchies:
        raise InvalidSettingError(
            "Expected segments with a hierarchy, to find objects in them, got segments without one. Take "
            "them from DiffSeg Hierarchy (segment_nested)."
        )
    found = [
        ObjectFinder(tree, image).find(prompts)
        for tree, image in zip(segments.hierarchies, matching_images(images, segments), strict=True)
    ]
    masks = torch.from_numpy(np.stack([each.mask for each in found])).to(segments.labels.device)
    return Segments(masks.int() - 1, ()), tuple(each.score for each in found)
