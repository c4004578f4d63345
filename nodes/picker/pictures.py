"""What the picker shows of a batch: every image, so that it can turn to another one."""

from __future__ import annotations

from typing import Any

import torch

from ...diffseg_core import Images, Segments
from .finders import object_view_of
from .view import picker_view

MAX_IMAGES = 16  # of a batch that the picker gets; of a longer one it gets the image at hand


def picker_pictures(
    segments: Segments,
    image: torch.Tensor | None,
    seen: Images | None,
    images: torch.Tensor,
    image_index: int,
) -> dict[str, dict[str, Any]]:
    """The entries of ``pictures`` in `web/PROTOCOL.md`.

    Segments with a tree go to it as that tree, whatever the cut is: it makes every cut by itself. What it
    takes to find objects goes for the image at hand alone.
    """
    few = segments.batch_size <= MAX_IMAGES
    shown = range(segments.batch_size) if few else [image_index]
    views: dict[str, dict[str, Any]] = {}
    for index in shown:
        if segments.hierarchies:
            tree = segments.hierarchies[index]
            views[str(index)] = picker_view(tree.leaves, images[index], tree.joins)
            views[str(index)]["given"] = segments.counts[index]
        else:
            views[str(index)] = picker_view(segments.labels[index], images[index])
    if "ids" in views[str(image_index)]:
        views[str(image_index)] |= object_view_of(segments, image, seen, image_index)
    return views
