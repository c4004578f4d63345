"""Segmentations that need no network: what any learned method must beat to be worth running."""

from __future__ import annotations

import numpy as np
from skimage.segmentation import felzenszwalb, slic

from diffseg_core.benchmark.colours import colour_tree
from diffseg_core.images import as_images

from .attention_methods import Labels, Segmentation
from .types import AnnotatedImage


def regular_grid(side: int) -> Segmentation:
    """``side`` by ``side`` rectangles of equal size, numbered row by row; the whole image for 1."""

    def segmentation(image: AnnotatedImage) -> Labels:
        rows = np.arange(image.pixels.height) * side // image.pixels.height
        columns = np.arange(image.pixels.width) * side // image.pixels.width
        return np.asarray(rows[:, None] * side + columns[None, :])

    return segmentation


def slic_superpixels(segments: int) -> Segmentation:
    """SLIC (Achanta et al., 2012): k-means over colour and place, about ``segments`` connected regions."""
    return lambda image: np.asarray(
        slic(np.array(image.pixels), n_segments=segments, compactness=10.0, start_label=0)
    )


def felzenszwalb_regions(scale: float, sigma: float = 0.8, min_size: int = 200) -> Segmentation:
    """Felzenszwalb and Huttenlocher's graph segmentation (2004); a larger ``scale`` gives larger regions."""
    return lambda image: np.asarray(
        felzenszwalb(np.array(image.pixels), scale=scale, sigma=sigma, min_size=min_size)
    )


def colour_hierarchy(number: int) -> Segmentation:
    """The tree of `segment_hierarchy` without attention: the same superpixels and contrasts, colours alone.

    What this reaches is not the model's merit.

    Args:
        number: of segments; 0 for the tree's own choice.
    """

    def segmentation(image: AnnotatedImage) -> Labels:
        tree = colour_tree(as_images(np.array(image.pixels)).colours[0])
        labels, _ = tree.cut(number or tree.automatic_number())
        return np.asarray(labels.numpy())

    return segmentation
