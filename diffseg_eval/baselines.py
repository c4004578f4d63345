"""Segmentations that need no network: what any learned method must beat to be worth running."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.segmentation import felzenszwalb, random_walker, slic
from skimage.transform import resize

from diffseg_core.benchmark.colours import colour_tree
from diffseg_core.images import as_images
from diffseg_core.objects.prompts import Click

from .types import AnnotatedImage

Photo = npt.NDArray[np.uint8]
"""RGB pixels 0..255, ``[H, W, 3]``."""
Labels = npt.NDArray[np.int64]
"""Segment numbers from 0 up, ``[H, W]``."""
Baseline = Callable[[Photo], Labels]

WALKED = 160  # pixels of the longer side on which a random walker walks


@dataclass(frozen=True)
class PixelMethod:
    """A method that looks at the pixels alone.

    Attributes:
        name: of its row.
        baselines: what makes the labels, by the name of the setting.
    """

    name: str
    baselines: Mapping[str, Baseline]

    def segment(self, image: AnnotatedImage) -> dict[str, npt.NDArray[np.int64]]:
        """The image's labels at every setting."""
        photo = np.array(image.pixels)
        return {setting: baseline(photo) for setting, baseline in self.baselines.items()}


def one_segment(photo: Photo) -> Labels:
    """The whole image as one segment."""
    return np.zeros(photo.shape[:2], np.int64)


def regular_grid(photo: Photo, side: int) -> Labels:
    """``side`` by ``side`` rectangles of equal size, numbered row by row."""
    height, width = photo.shape[:2]
    rows = np.arange(height) * side // height
    columns = np.arange(width) * side // width
    labels: Labels = rows[:, None] * side + columns[None, :]
    return labels


def slic_superpixels(photo: Photo, segments: int) -> Labels:
    """SLIC (Achanta et al., 2012): k-means over colour and place, about ``segments`` connected regions."""
    labels = slic(photo, n_segments=segments, compactness=10.0, start_label=0)
    return np.asarray(labels, np.int64)


def colour_hierarchy(photo: Photo, number: int) -> Labels:
    """The tree of `segment_hierarchy` without attention: the same superpixels and contrasts, colours alone.

    What this reaches is not the model's merit.

    Args:
        photo: the image.
        number: of segments; 0 for the tree's own choice.
    """
    tree = colour_tree(as_images(photo).colours[0])
    labels, _ = tree.cut(number or tree.automatic_number())
    return labels.numpy().astype(np.int64)


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


def felzenszwalb_regions(photo: Photo, scale: float, sigma: float = 0.8, min_size: int = 200) -> Labels:
    """Felzenszwalb and Huttenlocher's graph segmentation (2004); a larger ``scale`` gives larger regions."""
    labels = felzenszwalb(photo, scale=scale, sigma=sigma, min_size=min_size)
    return np.asarray(labels, np.int64)
