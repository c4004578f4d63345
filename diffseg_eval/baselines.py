"""Segmentations that need no network: what any learned method must beat to be worth running."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from skimage.segmentation import felzenszwalb, random_walker, slic
from skimage.transform import resize

from diffseg_core.benchmark.colours import colour_tree
from diffseg_core.images import as_images
from diffseg_core.objects.prompts import Click

from .attention_methods import Labels, Segmentation
from .types import AnnotatedImage

WALKED = 160  # pixels of the longer side on which a random walker walks


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


def pixel_walker(image: npt.NDArray[np.float32], clicks: Sequence[Click]) -> npt.NDArray[np.bool_]:
    """The object of clicks by a random walker over pixels (Grady, 2006), on an image of at most 160×160.

    Args:
        image: ``[H, W, 3]`` in 0..1.
        clicks: without any against the object, the pixels at the image's edge are.
    """
    height, width = image.shape[:2]
    scale = min(1.0, WALKED / max(height, width))
    size = max(2, round(height * scale)), max(2, round(width * scale))
    small = resize(image, size, anti_aliasing=True)
    seeds = np.zeros(size, np.int64)
    if all(click.positive for click in clicks):
        seeds[[0, -1]] = seeds[:, [0, -1]] = 2
    for click in clicks:
        seeds[click.point.y * size[0] // height, click.point.x * size[1] // width] = (
            1 if click.positive else 2
        )
    if not (seeds == 1).any():
        return np.zeros((height, width), bool)
    labels = random_walker(small, seeds, beta=130, mode="cg_j", tol=1e-6, prob_tol=0.1, channel_axis=-1)
    rows, columns = np.arange(height) * size[0] // height, np.arange(width) * size[1] // width
    mask: npt.NDArray[np.bool_] = labels[rows[:, None], columns] == 1
    return mask
