"""Snapping: a roughly drawn mask takes the outlines of the segments that it covers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ..errors import InvalidSettingError
from ..grid import GridSize
from ..images import finite_range
from ..segments import Segments
from ..settings import COVERAGE


def snap(
    segments: Segments, mask: torch.Tensor | npt.NDArray[Any], coverage: float = COVERAGE.default
) -> Segments:
    """Keep the segments of which a mask covers more than a given share.

    Args:
        segments: of one or more images.
        mask: ``[H, W]``, ``[B, H, W]``, ``[B, 1, H, W]`` or ``[B, H, W, 1]``, a tensor or an array; floats
            in 0..1, which are clamped to that, bool, or integers of 0 and 1. One mask serves all images. A
            soft mask counts by its values. A mask of another size is stretched to that of the segments,
            bilinearly and antialiased, so that thin strokes are not lost.
        coverage: share of a segment's area, 0..1. A segment is kept where more than this is covered, and
            wherever all of it is.

    Returns:
        the kept segments, renumbered by area; their `Segments.union` is the snapped mask.

    Raises:
        InvalidSettingError: a mask of another type, shape or number, with values that are not finite or
            integers above 1, or a coverage outside 0..1.
    """
    coverage = COVERAGE.checked(coverage)
    masks = masks_for(segments, mask)
    chosen = []
    for image_index, values in enumerate(masks.expand(segments.batch_size, -1, -1)):
        labels = segments.labels[image_index].cpu().numpy().ravel()
        inside = labels >= 0
        areas = np.bincount(labels[inside])
        covered = np.bincount(labels[inside], weights=values.numpy().ravel()[inside])
        # Sums and products of shares are exact to far less than this.
        enough = covered > coverage * areas + 1e-6
        whole = covered >= areas * (1 - 1e-5)
        chosen.append(np.flatnonzero(enough | whole).tolist())
    return segments.subset(chosen)


def masks_for(segments: Segments, mask: torch.Tensor | npt.NDArray[Any]) -> torch.Tensor:
    """The mask as float32 ``[1 or B, H, W]`` in 0..1 at the segments' size."""
    if isinstance(mask, np.ndarray) and mask.dtype.kind in "biuf":
        mask = torch.from_numpy(np.require(mask, mask.dtype.newbyteorder("="), ["C", "W"]))
    if not isinstance(mask, torch.Tensor):
        got = f"an array of {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise InvalidSettingError(f"Expected the mask as a tensor or a NumPy array of numbers, got {got}.")
    masks, shape, is_float = mask.detach(), tuple(mask.shape), mask.is_floating_point()
    if masks.ndim == 2:
        masks = masks[None]
    elif masks.ndim == 4 and 1 in (shape[1], shape[3]):
        masks = masks.squeeze(1 if shape[1] == 1 else 3)
    if masks.ndim != 3 or masks.numel() == 0:
        raise InvalidSettingError(
            "Expected a mask of height×width, with or without a batch and one channel, got "
            f"{'×'.join(map(str, shape))}. Make a mask of an image with Convert Image to Mask."
        )
    if len(masks) not in (1, segments.batch_size):
        raise InvalidSettingError(
            f"Expected 1 or {segments.batch_size} masks for segments of {segments.batch_size} image(s), "
            f"got {len(masks)}."
        )
    masks = masks.float()
    lowest, highest = finite_range(masks, "mask")
    if not is_float and not 0 <= lowest <= highest <= 1:
        raise InvalidSettingError(
            f"Expected integers of 0 and 1 in the mask, got {lowest:g} to {highest:g}. Divide it by what is "
            "white in it (255 in 8 bits)."
        )
    masks = masks.cpu().clamp(0, 1)
    if GridSize(*masks.shape[1:]) != segments.image_size:
        size = tuple(segments.image_size)
        masks = F.interpolate(masks[:, None], size, mode="bilinear", antialias=True)[:, 0]
    return masks
