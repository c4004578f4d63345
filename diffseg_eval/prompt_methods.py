"""Methods that find an object by prompts: that of the node DiffSeg Select, and controls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from diffseg_core.benchmark.clicks import Bitmap
from diffseg_core.hierarchy.segment_hierarchy import colour_tree, segment_hierarchy
from diffseg_core.images import as_images
from diffseg_core.objects.object_finder import ObjectFinder
from diffseg_core.objects.prompts import Box, Prompt
from diffseg_core.tree import Hierarchy

from .segmentations import Context
from .types import AnnotatedImage, Finder


def by_attention(run: Context, image: AnnotatedImage) -> Finder:
    """Objects by prompts, as the picker and DiffSeg Select find them."""
    images = as_images(image.pixels)
    tree = segment_hierarchy(run.maps(image), images).hierarchies[0]
    return _finder(tree, images.colours[0], attention=True)


def by_colours(run: Context, image: AnnotatedImage) -> Finder:
    """The same on colours alone, the tree included."""
    pixels = as_images(image.pixels).colours[0]
    return _finder(colour_tree(pixels), pixels, attention=False)


def the_box_itself(run: Context, image: AnnotatedImage) -> Finder:
    """All that lies in the last box."""

    def find(prompts: Sequence[Prompt]) -> Bitmap:
        box = prompts[-1]
        assert isinstance(box, Box)
        mask = np.zeros((image.pixels.height, image.pixels.width), dtype=bool)
        mask[box.y1 : box.y2, box.x1 : box.x2] = True
        return mask

    return find


def _finder(tree: Hierarchy, pixels: torch.Tensor, attention: bool) -> Finder:
    finder = ObjectFinder(tree, pixels, attention)
    return lambda prompts: finder.find(prompts).mask
