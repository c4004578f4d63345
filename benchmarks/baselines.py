"""Segmentations that need no network: what any learned method must beat to be worth running."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from skimage.segmentation import felzenszwalb, slic

Photo = npt.NDArray[np.uint8]
"""RGB pixels 0..255, ``[H, W, 3]``."""
LabelMap = npt.NDArray[np.int64]
"""Segment numbers from 0 up, ``[H, W]``."""


def one_segment(photo: Photo) -> LabelMap:
    """The whole picture as one segment."""
    return np.zeros(photo.shape[:2], np.int64)


def regular_grid(photo: Photo, side: int) -> LabelMap:
    """``side`` by ``side`` rectangles of equal size, numbered row by row."""
    height, width = photo.shape[:2]
    rows = np.arange(height) * side // height
    columns = np.arange(width) * side // width
    labels: LabelMap = rows[:, None] * side + columns[None, :]
    return labels


def slic_superpixels(photo: Photo, segments: int) -> LabelMap:
    """SLIC (Achanta et al., 2012): k-means over colour and place, about ``segments`` connected regions."""
    labels = slic(photo, n_segments=segments, compactness=10.0, start_label=0)
    return np.asarray(labels, np.int64)


def felzenszwalb_regions(photo: Photo, scale: float, sigma: float = 0.8, min_size: int = 200) -> LabelMap:
    """Felzenszwalb and Huttenlocher's graph segmentation (2004); a larger ``scale`` gives larger regions."""
    labels = felzenszwalb(photo, scale=scale, sigma=sigma, min_size=min_size)
    return np.asarray(labels, np.int64)


BASELINES: dict[str, Callable[[Photo], LabelMap]] = {
    "one segment": one_segment,
    **{f"grid {side}x{side}": partial(regular_grid, side=side) for side in (2, 3, 4)},
    **{f"SLIC {count}": partial(slic_superpixels, segments=count) for count in (8, 16)},
    **{
        f"Felzenszwalb {scale}": partial(felzenszwalb_regions, scale=scale) for scale in (200, 400, 800, 1600)
    },
}
"""Every baseline that is reported, under the name of its row."""
