"""The control: the same tree without any model, by the colours alone."""

from __future__ import annotations

import torch

from .. import progress
from ..hierarchy.tree_building import build_hierarchy
from ..image.boundary_contrast import Contrast
from ..image.colour_histograms import colour_histograms
from ..image.smoothing import smoothed
from ..image.superpixels import superpixels
from ..settings import CONTRAST, FINEST
from ..tree import Hierarchy


def colour_tree(image: torch.Tensor) -> Hierarchy:
    """The tree of `segment_hierarchy` with the same superpixels and contrasts, but colours for attention.

    What this reaches is not the model's merit. The tree's maps are the superpixels' colour histograms.

    Args:
        image: float32 ``[H, W, 3]`` in 0..1, in system memory.
    """
    smooth = smoothed(image)
    leaves = superpixels(image, FINEST.default, smooth)
    progress.step()
    histograms = colour_histograms(smooth, leaves)
    contrast = Contrast(smooth, leaves, CONTRAST.default)
    return build_hierarchy(histograms[:, None], leaves, contrast)
